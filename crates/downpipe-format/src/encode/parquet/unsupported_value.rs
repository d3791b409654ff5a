//! Why a value cannot be in its column.

/// What the column takes, and what came instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnsupportedValue {
    pub(super) expected: String,
    pub(super) actual: String,
}
