//! How large row groups are.

/// The size of the first row groups, in bytes in memory.
///
/// Readers like groups large: they skip whole groups by their statistics, and every group costs them a request for each column.
/// But each group is held in memory twice, as it came and as it is written. At 8 MiB, the size of an upload's part, the second is
/// at most one part more.
///
/// A row is never divided: one with a cell of 64 MiB makes a group of that size.
pub(super) const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// Groups of one size before the size doubles, up to eight times the first.
///
/// The file's last page describes every column of every group, and waits in memory with a kilobyte or so for each. The doubling
/// keeps it at some megabytes for a file of 100 GB.
const GROUPS_PER_SIZE: u32 = 64;

/// A column's least share of a group. A thousand columns would fill 8 MiB with a few rows, and the last page with descriptions.
const COLUMN_BYTES: usize = 16 * 1024;

/// The most rows of a group, however small they are. Other writers have the same limit.
pub(super) const GROUP_ROWS: usize = 1_048_576;

/// Returns the size of the next row group.
pub(super) fn group_bytes(columns: usize, groups: u32) -> usize {
    (GROUP_BYTES << (groups / GROUPS_PER_SIZE).min(3)).max(columns * COLUMN_BYTES)
}
