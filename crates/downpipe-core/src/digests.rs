//! What proves the bytes of an object, once it has seen all of them in their order.

use crc_fast::{CrcAlgorithm, Digest as Crc};
use sha2::digest::common::hazmat::{SerializableState as _, SerializedState};
use sha2::{Digest as _, Sha256};

use crate::job::hex;

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

    /// The digests in this [`state`](Self::state). `None` when it is none: another version of the program may write it otherwise.
    pub(crate) fn in_state(sha256: &str, crc64nvme: u64) -> Option<Self> {
        let state: SerializedState<Sha256> = unhex(sha256)?.as_slice().try_into().ok()?;
        Some(Self {
            sha256: Sha256::deserialize(&state).ok()?,
            crc64nvme: Crc::new_with_init_state(CrcAlgorithm::Crc64Nvme, crc64nvme),
        })
    }

    /// What [`in_state`](Self::in_state) goes on from. The end of what was hashed stands in it as it is, up to 63 bytes.
    pub(crate) fn state(&self) -> (String, u64) {
        (hex(&self.sha256.serialize()), self.crc64nvme.get_state())
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.crc64nvme.update(bytes);
    }

    pub(crate) fn sha256(&self) -> String {
        hex(&self.sha256.clone().finalize())
    }

    pub(crate) fn crc64nvme(&self) -> u64 {
        self.crc64nvme.finalize()
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?);
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashing_goes_on_from_any_state() {
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
    fn what_is_no_state_is_refused() {
        for wrong in ["", "00", "zz", "0"] {
            assert!(Digests::in_state(wrong, 0).is_none(), "{wrong:?}");
        }
    }
}
