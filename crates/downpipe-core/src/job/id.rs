//! A job's identity.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// A job's identity: 24 hexadecimal digits.
///
/// It is derived from the request and not from the delivery: the same request is the same job, however often and in however many
/// messages it arrives. Two requesters never share one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct JobId(String);

/// A text that is no job id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job id of 24 hexadecimal digits")]
pub struct InvalidJobId;

impl JobId {
    const DIGITS: usize = 24;

    pub(crate) fn digest(kind: &str, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind);
        for part in parts {
            hash.update([0]);
            hash.update(part);
        }
        let mut id = hex::encode(hash.finalize());
        id.truncate(Self::DIGITS);
        Self(id)
    }

    /// Returns the job whose folder a key is in, see [`ExportRequest::object_key`](crate::request::ExportRequest::object_key). `None`
    /// for a key of another form.
    #[must_use]
    pub fn in_key(key: &str) -> Option<Self> {
        key.rsplit('/').nth(1)?.parse().ok()
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for JobId {
    type Err = InvalidJobId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid =
            text.len() == Self::DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidJobId) }
    }
}
