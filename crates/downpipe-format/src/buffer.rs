//! Buffers that are taken away full, again and again.

use std::mem;

/// Takes what is in the buffer, and leaves an empty one in its place.
pub(crate) fn take_all(buffer: &mut Vec<u8>, spare: &mut Vec<u8>) -> Vec<u8> {
    let next = after(buffer, spare);
    mem::replace(buffer, next)
}

/// An empty buffer for as much as this one holds: the spare one, if it is large enough. The next piece will be about as long, give or
/// take a row; grown step by step, it would end at up to twice of that.
pub(crate) fn after(full: &[u8], spare: &mut Vec<u8>) -> Vec<u8> {
    let spare = mem::take(spare);
    if spare.capacity() > full.len() { spare } else { Vec::with_capacity(full.len() + full.len() / 16) }
}
