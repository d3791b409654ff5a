//! The link of an e-mail: a token that names a job and is signed, so that only workers make links.
//!
//! A token is base64url without padding of 34 bytes, 46 characters: the version of this form in one byte, the key's id in one, the
//! job's id in 12, the link's end in 4 (seconds since 1970, big-endian), and the first 16 bytes of the HMAC-SHA-256 of all before.
//! RFC 2104, section 5, allows a tag of half the digest's length.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

use crate::job::{Job, JobId};

/// How long a link leads somewhere after the file is gone, or after a job ended without one: its page says what became of the file,
/// and offers to prepare it again.
pub const LINK_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// The version of the form.
const VERSION: u8 = 1;

const JOB_BYTES: usize = 12;
const SIGNED_BYTES: usize = 2 + JOB_BYTES + 4;
const TAG_BYTES: usize = 16;
const TOKEN_BYTES: usize = SIGNED_BYTES + TAG_BYTES;

/// A key that signs links.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkKey {
    /// The number by which a token names it.
    pub id: u8,
    /// The key itself.
    pub key: [u8; 32],
}

/// The keys of links. The first one signs and every one verifies, so that a key can be replaced without a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkKeys {
    first: LinkKey,
    others: Vec<LinkKey>,
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The job.
    pub job: JobId,
    /// When the link ends, in whole seconds.
    pub until: Timestamp,
}

impl LinkKeys {
    /// Makes the keys of the one that signs and those that only verify. `None` when two have the same id, as a token would not say
    /// which one has signed it.
    #[must_use]
    pub fn new(first: LinkKey, others: Vec<LinkKey>) -> Option<Self> {
        let mut ids: Vec<u8> = others.iter().map(|key| key.id).chain([first.id]).collect();
        ids.sort_unstable();
        let is_unique = ids.windows(2).all(|pair| pair[0] != pair[1]);
        is_unique.then_some(Self { first, others })
    }

    /// Returns the token of a job that has ended: good until [`LINK_RETENTION`] after its file is deleted, or after its end if there
    /// is no file. `None` for a job that has not ended.
    #[must_use]
    pub fn token_of(&self, job: &Job) -> Option<String> {
        let end = job.receipt.as_ref().map(|receipt| receipt.expires_at).or(job.finished_at)?;
        Some(self.sign(&Link { job: job.id.clone(), until: end + LINK_RETENTION }))
    }

    /// Returns the token of a link.
    #[must_use]
    pub fn sign(&self, link: &Link) -> String {
        let mut token = [0; TOKEN_BYTES];
        (token[0], token[1]) = (VERSION, self.first.id);
        token[2..2 + JOB_BYTES].copy_from_slice(&job_bytes(&link.job));
        // Four bytes last until 2106.
        let until = u32::try_from(link.until.as_second()).unwrap_or(u32::MAX);
        token[2 + JOB_BYTES..SIGNED_BYTES].copy_from_slice(&until.to_be_bytes());
        let tag = mac(&self.first, &token[..SIGNED_BYTES]).finalize().into_bytes();
        token[SIGNED_BYTES..].copy_from_slice(&tag[..TAG_BYTES]);
        BASE64_URL_SAFE_NO_PAD.encode(token)
    }

    /// Returns what a token says, whether or not it has ended. `None` for one that no key here has signed. The comparison takes the
    /// same time for every tag.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<Link> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let bytes: [u8; TOKEN_BYTES] = bytes.try_into().ok()?;
        let (signed, tag) = bytes.split_at(SIGNED_BYTES);
        let [VERSION, id, ..] = *signed else { return None };
        let key = std::iter::once(&self.first).chain(&self.others).find(|key| key.id == id)?;
        mac(key, signed).verify_truncated_left(tag).ok()?;
        let (job, until) = signed[2..].split_at(JOB_BYTES);
        let until = u32::from_be_bytes(until.try_into().ok()?);
        Some(Link {
            job: hex::encode(job).parse().ok()?,
            until: Timestamp::from_second(i64::from(until)).ok()?,
        })
    }
}

impl fmt::Debug for LinkKey {
    /// Writes the id and not the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkKey").field("id", &self.id).finish_non_exhaustive()
    }
}

fn job_bytes(job: &JobId) -> [u8; JOB_BYTES] {
    let mut bytes = [0; JOB_BYTES];
    match hex::decode_to_slice(job.as_str(), &mut bytes) {
        Ok(()) => bytes,
        Err(error) => unreachable!("a job id is 24 hexadecimal digits: {error}"),
    }
}

fn mac(key: &LinkKey, signed: &[u8]) -> Hmac<Sha256> {
    // A key shorter than a block is filled up with zeros (RFC 2104).
    let mut block = [0; 64];
    block[..key.key.len()].copy_from_slice(&key.key);
    Hmac::new(&block.into()).chain_update(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u8) -> LinkKey {
        LinkKey { id, key: [id; 32] }
    }

    fn keys(first: u8, others: &[u8]) -> LinkKeys {
        LinkKeys::new(key(first), others.iter().copied().map(key).collect()).unwrap()
    }

    fn link() -> Link {
        Link {
            job: "0123456789abcdef01234567".parse().unwrap(),
            until: "2027-01-02T03:04:05Z".parse().unwrap(),
        }
    }

    #[test]
    fn token_has_46_characters_that_need_no_escape_in_a_url() {
        let token = keys(1, &[]).sign(&link());
        assert_eq!(token.len(), 46);
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{token}");
    }

    #[test]
    fn token_is_verified_by_every_key_that_is_known_and_by_no_other() {
        let (old, new) = (keys(1, &[]), keys(2, &[1]));
        assert_eq!(old.verify(&old.sign(&link())), Some(link()));
        assert_eq!(new.verify(&old.sign(&link())), Some(link()), "a replaced key still verifies");
        assert_eq!(
            old.verify(&new.sign(&link())),
            None,
            "the first key signs, and is not known to the old ones"
        );
        assert_eq!(keys(2, &[]).verify(&old.sign(&link())), None, "a retired key");
        let same_id = LinkKeys::new(LinkKey { id: 1, key: [9; 32] }, Vec::new()).unwrap();
        assert_eq!(same_id.verify(&old.sign(&link())), None, "another key of the same id");
    }

    #[test]
    fn token_with_any_bit_changed_or_of_another_length_is_refused() {
        let keys = keys(1, &[2]);
        let token = BASE64_URL_SAFE_NO_PAD.decode(keys.sign(&link())).unwrap();
        for bit in 0..token.len() * 8 {
            let mut changed = token.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keys.verify(&BASE64_URL_SAFE_NO_PAD.encode(changed)), None, "bit {bit}");
        }
        for length in 0..token.len() {
            let cut = BASE64_URL_SAFE_NO_PAD.encode(&token[..length]);
            assert_eq!(keys.verify(&cut), None, "{length} bytes");
        }
        for text in ["", "=", "../../jobs", &"A".repeat(46), &format!("{}A", keys.sign(&link()))] {
            assert_eq!(keys.verify(text), None, "{text}");
        }
    }

    #[test]
    fn keys_of_the_same_id_are_refused() {
        assert_eq!(LinkKeys::new(key(1), vec![key(2), key(1)]), None);
    }

    #[test]
    fn debug_output_of_keys_hides_them() {
        assert_eq!(format!("{:?}", key(7)), "LinkKey { id: 7, .. }");
    }
}
