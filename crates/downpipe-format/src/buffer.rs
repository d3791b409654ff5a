//! Reuses buffers.

use std::mem;

/// Takes the bytes of a buffer, and leaves an empty one in its place.
pub(crate) fn take_all(buffer: &mut Vec<u8>, spare_buffer: &mut Vec<u8>) -> Vec<u8> {
    let next = after(buffer, spare_buffer);
    mem::replace(buffer, next)
}

/// Returns an empty buffer for as many bytes as this one has: the spare one, if it is large enough.
///
/// The next bytes will be about as many, give or take a row. A buffer that grows step by step would end at up to twice the size.
pub(crate) fn after(full: &[u8], spare_buffer: &mut Vec<u8>) -> Vec<u8> {
    let next = mem::take(spare_buffer);
    if next.capacity() > full.len() { next } else { Vec::with_capacity(full.len() + full.len() / 16) }
}
