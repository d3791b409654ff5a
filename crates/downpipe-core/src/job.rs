//! Jobs: their identity, their states, and what the ledger remembers of them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::checkpoint::Checkpoint;
use crate::message::{ExportMessage, Legible, Message};
use crate::receipt::Receipt;
use crate::rejection::Rejections;

/// A job's identity: 24 hexadecimal digits.
///
/// It is derived from the request and not from the delivery, so the same request gives the same job however often, and
/// in however many messages, it arrives. Two requesters never share one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct JobId(String);

/// A text that is no job id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job id of 24 hexadecimal digits")]
pub struct InvalidJobId;

impl JobId {
    const DIGITS: usize = 24;

    /// The job of a well-formed request. `message_id` serves as the idempotency key when the sender chose none.
    #[must_use]
    pub fn of_request(message: &ExportMessage, message_id: &str) -> Self {
        let keyed = ExportMessage {
            request_id: Some(message.request_id.as_deref().unwrap_or(message_id).to_owned()),
            ..message.clone()
        };
        Self::digest("request", &[&keyed.to_json()])
    }

    /// The job that records a message which could not even be read. `key` is the sender's idempotency key where one
    /// could be found, else the message id.
    #[must_use]
    pub fn of_unreadable(key: &str, body: &str) -> Self {
        Self::digest("unreadable", &[key, body])
    }

    fn digest(kind: &str, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind);
        for part in parts {
            hash.update([0]);
            hash.update(part);
        }
        let mut id = hex(&hash.finalize());
        id.truncate(Self::DIGITS);
        Self(id)
    }

    /// The job whose folder a key is in, see [`ExportRequest::object_key`](crate::request::ExportRequest::object_key). `None` for
    /// a key that none of ours is like.
    #[must_use]
    pub fn in_key(key: &str) -> Option<Self> {
        key.rsplit('/').nth(1)?.parse().ok()
    }

    /// The id as text.
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

/// Where a job stands: `queued -> running -> (waiting -> running)* -> ready | failed | cancelled -> expired`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Accepted, not yet begun, or put back after a passing fault.
    Queued,
    /// Being worked on under a lease.
    Running,
    /// Stopped at a checkpoint, to be continued.
    Waiting,
    /// The file is complete at its key.
    Ready,
    /// Ended without a file.
    Failed,
    /// Ended by its requester.
    Cancelled,
    /// The file has been deleted after its retention.
    Expired,
}

impl JobState {
    /// Every state with its name in the ledger.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Queued, "queued"),
        (Self::Running, "running"),
        (Self::Waiting, "waiting"),
        (Self::Ready, "ready"),
        (Self::Failed, "failed"),
        (Self::Cancelled, "cancelled"),
        (Self::Expired, "expired"),
    ];

    /// The state's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("queued", |(_, name)| name)
    }

    /// Whether nothing more will happen to the file.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Ready | Self::Failed | Self::Cancelled | Self::Expired)
    }
}

impl FromStr for JobState {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(state, _)| *state)
            .ok_or_else(|| format!("expected a job state, got {name:?}"))
    }
}

/// What is known of a job when it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its identity.
    pub id: JobId,
    /// Who is told when it ends.
    pub requested_by: String,
    /// The name in the message, which need not exist in the catalog. Empty for a message that could not be read.
    pub export: String,
    /// The idempotency key: the sender's, or the message id.
    pub request_id: String,
    /// The queue's id of the message that brought it.
    pub message_id: String,
    /// The message as it arrived.
    pub message: String,
    /// What makes two requests the same: requester, definition, parameters and output. `None` for a request that was refused. See
    /// [`ExportRequest::sameness`](crate::request::ExportRequest::sameness).
    pub sameness: Option<String>,
    /// How long the finished file of the same request is good enough.
    pub reuse: Option<Duration>,
}

impl NewJob {
    /// The job of a message, whatever is in it: one that cannot be read is recorded too, and its requester told, as far
    /// as it says who that is. `None` for a message that asks to continue another job.
    #[must_use]
    pub fn of(message: &Result<Message, Rejections>, message_id: &str, body: &str) -> Option<Self> {
        let (id, legible) = match message {
            Ok(Message::Continue(_)) => return None,
            Ok(Message::Export(message)) => (JobId::of_request(message, message_id), Legible::from(message)),
            Err(_) => {
                let legible = Legible::of_body(body);
                let key = legible.request_id.as_deref().unwrap_or(message_id);
                (JobId::of_unreadable(key, body), legible)
            }
        };
        Some(Self {
            id,
            requested_by: legible.requested_by,
            export: legible.export,
            request_id: legible.request_id.unwrap_or_else(|| message_id.to_owned()),
            message_id: message_id.to_owned(),
            message: body.to_owned(),
            sameness: None,
            reuse: None,
        })
    }
}

/// What the ledger remembers of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// Who asked.
    pub requested_by: String,
    /// The export's name.
    pub export: String,
    /// The idempotency key.
    pub request_id: String,
    /// Where it stands.
    pub state: JobState,
    /// How often it was begun or gone on with: the fencing token.
    pub attempt: u32,
    /// How often since there was progress that is kept.
    pub tries: u32,
    /// How many runs ended at a checkpoint, for the next one to go on.
    pub continuations: u32,
    /// Rows written, as of the last sign of life while it runs.
    pub rows: u64,
    /// Bytes written, likewise.
    pub bytes: u64,
    /// Why it failed, or why its last attempt did.
    pub failure: Option<Failure>,
    /// The proof, once ready.
    pub receipt: Option<Receipt>,
    /// When it was accepted.
    pub created_at: jiff::Timestamp,
    /// When it was first begun.
    pub started_at: Option<jiff::Timestamp>,
    /// When it ended.
    pub finished_at: Option<jiff::Timestamp>,
    /// When its requester was told.
    pub notified_at: Option<jiff::Timestamp>,
    /// From where the next run goes on. On a job that ended without a file: what is still to be cleared away.
    #[serde(skip)]
    pub checkpoint: Option<Checkpoint>,
    /// Who works on it: the queue's id of the message that brought them.
    #[serde(skip)]
    pub owner: Option<String>,
    /// What makes two requests the same. See [`NewJob::sameness`].
    #[serde(skip)]
    pub sameness: Option<String>,
    /// The queue's id of the message that brought it.
    #[serde(skip)]
    pub message_id: String,
    /// The message as it arrived; every attempt reads the request from it.
    #[serde(skip)]
    pub message: String,
}

/// Why a job, or one attempt at it, failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Failure {
    /// A short name that programs can rely on, such as `rejected` or `query_failed`.
    pub code: String,
    /// What happened, in words for the person who asked.
    pub message: String,
    /// What that person can do about it.
    pub advice: String,
    /// Whether only the operator can mend its cause: then they are told, too. (A ledger that is older than the field says no.)
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub for_operator: bool,
    /// What an operator needs besides: driver and service messages. May quote the data, so it goes to the ledger and
    /// never to a log or an e-mail.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing into memory cannot fail");
        text
    })
}
