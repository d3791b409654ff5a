//! A receipt as the cache keeps it: with a signature, because others may write to a cache.
//!
//! An entry is the version of this form in one byte, the HMAC-SHA-256 of version, key and receipt in 32, and the receipt as JSON, which
//! names its job. As the key is signed too, an entry is of no use under another key.

use std::fmt;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::job::Receipt;

/// The version of the form. An entry of another one is a miss.
const VERSION: u8 = 1;

const MAC_BYTES: usize = 32;

/// The keys that sign cached receipts. The first one signs and every one verifies, so that a key can be replaced without a stop.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceiptKeys {
    first: [u8; 32],
    others: Vec<[u8; 32]>,
}

/// Why an entry is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InvalidEntry {
    /// Another version of Downpipe wrote it.
    OtherVersion,
    /// No key that is known has signed it, for this key of the cache.
    Forged,
    /// It is signed and no receipt.
    Unreadable,
}

impl ReceiptKeys {
    /// Makes the keys of the one that signs and those that only verify.
    #[must_use]
    pub fn new(first: [u8; 32], others: Vec<[u8; 32]>) -> Self {
        Self { first, others }
    }

    /// Returns the entry of a receipt under a key of the cache.
    pub(super) fn sign(&self, key: &str, receipt: &Receipt) -> Bytes {
        let json = receipt.to_json();
        let mac = mac(&self.first, key, json.as_bytes()).finalize().into_bytes();
        let mut entry = Vec::with_capacity(1 + MAC_BYTES + json.len());
        entry.push(VERSION);
        entry.extend_from_slice(&mac);
        entry.extend_from_slice(json.as_bytes());
        entry.into()
    }

    /// Returns the receipt of an entry that was found under a key of the cache.
    pub(super) fn verify(&self, key: &str, entry: &[u8]) -> Result<Receipt, InvalidEntry> {
        let Some((&VERSION, signed)) = entry.split_first() else { return Err(InvalidEntry::OtherVersion) };
        let (signature, json) = signed.split_at_checked(MAC_BYTES).ok_or(InvalidEntry::Forged)?;
        let has_signed = |with: &[u8; 32]| mac(with, key, json).verify_slice(signature).is_ok();
        if !std::iter::once(&self.first).chain(&self.others).any(has_signed) {
            return Err(InvalidEntry::Forged);
        }
        serde_json::from_slice(json).map_err(|_| InvalidEntry::Unreadable)
    }
}

impl fmt::Debug for ReceiptKeys {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiptKeys").finish_non_exhaustive()
    }
}

fn mac(with: &[u8; 32], key: &str, json: &[u8]) -> Hmac<Sha256> {
    // A key shorter than a block is filled up with zeros (RFC 2104).
    let mut block = [0; 64];
    block[..with.len()].copy_from_slice(with);
    Hmac::new(&block.into())
        .chain_update([VERSION])
        .chain_update(key.len().to_le_bytes())
        .chain_update(key)
        .chain_update(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt {
        serde_json::from_value(serde_json::json!({
            "job_id": "0123456789abcdef01234567", "attempt": 1, "export": "orders", "title": "Orders", "definition_sha256": "",
            "params": { "from": "2026-01-01" }, "requested_by": "alice@example.com", "as_of": "2026-01-02T03:04:05Z",
            "completed_at": "2026-01-02T03:04:05Z", "expires_at": "2026-01-09T03:04:05Z", "format": "csv", "profile": "plain",
            "compression": "none", "columns": ["id"], "rows": 7, "bytes": 77, "changes": {}, "continued": false,
        }))
        .unwrap()
    }

    #[test]
    fn entry_is_verified_under_its_key_by_every_key_that_is_known() {
        let (old, new) = (ReceiptKeys::new([1; 32], Vec::new()), ReceiptKeys::new([2; 32], vec![[1; 32]]));
        let entry = old.sign("receipt:a", &receipt());
        assert_eq!(old.verify("receipt:a", &entry), Ok(receipt()));
        assert_eq!(new.verify("receipt:a", &entry), Ok(receipt()), "a replaced key still verifies");
        assert_eq!(new.verify("receipt:b", &entry), Err(InvalidEntry::Forged), "another key of the cache");
        let newer = new.sign("receipt:a", &receipt());
        assert_eq!(old.verify("receipt:a", &newer), Err(InvalidEntry::Forged), "the first key signs");
    }

    #[test]
    fn entry_with_any_byte_changed_is_refused() {
        let keys = ReceiptKeys::new([1; 32], Vec::new());
        let entry = keys.sign("receipt:a", &receipt());
        for at in 0..entry.len() {
            let mut changed = entry.to_vec();
            changed[at] ^= 1;
            let expected = if at == 0 { InvalidEntry::OtherVersion } else { InvalidEntry::Forged };
            assert_eq!(keys.verify("receipt:a", &changed), Err(expected), "byte {at}");
        }
        for length in 1..entry.len() {
            assert_eq!(
                keys.verify("receipt:a", &entry[..length]),
                Err(InvalidEntry::Forged),
                "{length} bytes"
            );
        }
        assert_eq!(keys.verify("receipt:a", b""), Err(InvalidEntry::OtherVersion));
    }

    #[test]
    fn debug_output_of_keys_hides_them() {
        assert_eq!(format!("{:?}", ReceiptKeys::new([1; 32], Vec::new())), "ReceiptKeys { .. }");
    }
}
