//! SHA-256 and CRC-64/NVME of a file, with a state from which another run goes on hashing.

use crc_fast::{CrcAlgorithm, Digest as Crc};
use sha2::digest::common::hazmat::{SerializableState as _, SerializedState};
use sha2::{Digest as _, Sha256};

/// SHA-256 and CRC-64/NVME of the bytes so far.
#[derive(Clone)]
pub(crate) struct Digests {
    sha256: Sha256,
    crc64nvme: Crc,
}

impl Digests {
    pub(crate) fn new() -> Self {
        Self { sha256: Sha256::new(), crc64nvme: Crc::new(CrcAlgorithm::Crc64Nvme) }
    }

    /// Restores digests from a [state](Self::state). `None` for a state that another version of the program has written otherwise.
    pub(crate) fn in_state(sha256: &str, crc64nvme: u64) -> Option<Self> {
        let state: SerializedState<Sha256> = hex::decode(sha256).ok()?.as_slice().try_into().ok()?;
        Some(Self {
            sha256: Sha256::deserialize(&state).ok()?,
            crc64nvme: Crc::new_with_init_state(CrcAlgorithm::Crc64Nvme, crc64nvme),
        })
    }

    /// Returns the state for [`in_state`](Self::in_state). It has up to 63 bytes of the file in clear.
    pub(crate) fn state(&self) -> (String, u64) {
        (hex::encode(self.sha256.serialize()), self.crc64nvme.get_state())
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.crc64nvme.update(bytes);
    }

    pub(crate) fn sha256(&self) -> String {
        hex::encode(self.sha256.clone().finalize())
    }

    pub(crate) fn crc64nvme(&self) -> u64 {
        self.crc64nvme.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_restored_from_any_state_continue() {
        let bytes: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut whole = Digests::new();
        whole.update(&bytes);
        for cut in [0, 1, 63, 64, 65, 4096, bytes.len()] {
            let mut first = Digests::new();
            first.update(&bytes[..cut]);
            let (sha256, crc64nvme) = first.state();
            let mut second = Digests::in_state(&sha256, crc64nvme).unwrap();
            second.update(&bytes[cut..]);
            assert_eq!((second.sha256(), second.crc64nvme()), (whole.sha256(), whole.crc64nvme()), "{cut}");
        }
    }

    #[test]
    fn text_that_is_no_state_is_refused() {
        for wrong in ["", "00", "zz", "0"] {
            assert!(Digests::in_state(wrong, 0).is_none(), "{wrong:?}");
        }
    }
}
