//! Masks, and the key of pseudonyms.

use std::fmt;

use hmac::{Hmac, KeyInit as _};
use sha2::{Digest as _, Sha256};

/// What hides a column's values. `NULL` stays `NULL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// Every value becomes `***`.
    Fixed,
    /// A pseudonym: the HMAC-SHA-256 of the value under the layout's [`MaskKey`], in hexadecimal.
    ///
    /// A value has the same pseudonym in every file of one key, so files can still be joined. Without the key, a guessed value cannot
    /// be compared with it.
    Hash,
    /// A `*` for every character but the last so many. A value with no more characters than that is hidden completely.
    KeepLast(usize),
}

/// The key of [`Mask::Hash`].
#[derive(Clone, PartialEq, Eq)]
pub struct MaskKey([u8; 32]);

impl MaskKey {
    /// Creates a key of these bytes.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    pub(crate) fn keyed(&self) -> Hmac<Sha256> {
        // A key shorter than a block is filled up with zeros (RFC 2104).
        let mut block = [0; 64];
        block[..self.0.len()].copy_from_slice(&self.0);
        Hmac::new(&block.into())
    }

    /// Returns a digest that differs between keys and reveals none.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        Sha256::new().chain_update("mask key").chain_update(self.0).finalize().into()
    }
}

impl fmt::Debug for MaskKey {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskKey").finish_non_exhaustive()
    }
}
