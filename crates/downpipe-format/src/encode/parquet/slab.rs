//! Keeps many byte strings in one piece of memory, so that a value costs no allocation.

use std::ops::Range;

use bytes::Bytes;

use super::group::GROUP_BYTES;

/// Byte strings, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Slab {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Slab {
    /// Appends what `write` writes, and returns the bytes that it takes here.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
        self.bytes.len() - start + size_of::<usize>()
    }

    /// Returns where each byte string is.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter().copied()).map(|(start, end)| start..end)
    }

    /// Returns the byte strings.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges().map(|range| &self.bytes[range])
    }

    /// Takes all bytes, in a form of which values are pieces. The next row group will have about as many.
    pub(super) fn share(&mut self) -> Bytes {
        let next = Vec::with_capacity(self.bytes.len().min(GROUP_BYTES));
        Bytes::from(std::mem::replace(&mut self.bytes, next))
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}
