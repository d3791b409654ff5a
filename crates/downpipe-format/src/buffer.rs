//! Buffers that are taken away full, again and again.

/// Takes what is in the buffer, and leaves an empty one in its place.
pub(crate) fn take_all(buffer: &mut Vec<u8>) -> Vec<u8> {
    let next = like(buffer);
    std::mem::replace(buffer, next)
}

/// An empty buffer for as much as this one held. The next piece will be about as long, give or take a row; grown step by step, it
/// would end at up to twice of that.
pub(crate) fn like(last: &[u8]) -> Vec<u8> {
    Vec::with_capacity(last.len() + last.len() / 16)
}
