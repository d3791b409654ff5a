//! What the ledger remembers of jobs. Knows nothing of messages, stores or databases.

mod attempt;
pub(crate) mod checkpoint;
mod failure;
mod id;
mod receipt;
mod resume_key;
mod session;
mod state;
mod via;

pub use self::attempt::JobAttempt;
pub(crate) use self::checkpoint::RowPosition;
pub use self::checkpoint::{Checkpoint, CompletedFile, ObjectDigest, StoredPart};
pub use self::failure::{Failure, FailureWords};
pub use self::id::{InvalidJobId, JobId};
pub(crate) use self::receipt::changes_to_json;
pub use self::receipt::{FileReceipt, Receipt};
pub use self::resume_key::{Key, KeyError};
pub use self::session::{ChangedSetting, Session};
pub use self::state::JobState;
pub use self::via::Via;

use std::time::Duration;

use serde::Serialize;

use crate::language::Language;
use crate::requester::Requester;

/// A job before the ledger has recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its identity.
    pub id: JobId,
    /// Who is notified when it ends.
    pub requested_by: Requester,
    /// The name in the message, which need not exist in the catalog. Empty for a message that could not be read.
    pub export: String,
    /// The idempotency key: the sender's, or the message id.
    pub request_id: String,
    /// The queue's id of the message that brought it. Empty for a request that did not come as one.
    pub message_id: String,
    /// The message as it arrived.
    pub message: String,
    /// Digests requester, definition, parameters and output: the same digest is the same request. `None` for a request that was
    /// refused. See [`ExportRequest::fingerprint`](crate::request::ExportRequest::fingerprint).
    pub fingerprint: Option<String>,
    /// Digests the same without the requester, where requesters share results. See
    /// [`ExportRequest::shared_fingerprint`](crate::request::ExportRequest::shared_fingerprint).
    pub shared_fingerprint: Option<String>,
    /// How old a finished file of the same request may be to be reused.
    pub reuse: Option<Duration>,
    /// The language that the requester reads, if the request says so.
    pub language: Option<Language>,
    /// How the request came.
    pub via: Via,
    /// The app whose token brought the request.
    pub app: Option<String>,
    /// The version of the definition. `None` for a request that was refused. See
    /// [`Definition::sha256`](crate::catalog::Definition::sha256).
    pub definition_sha256: Option<String>,
    /// How many rows the file will have, if that was estimated.
    pub expected_rows: Option<u64>,
}

/// What the ledger remembers of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// Who asked.
    pub requested_by: Requester,
    /// The export's name.
    pub export: String,
    /// The idempotency key.
    pub request_id: String,
    /// Its state.
    pub state: JobState,
    /// The number of its last attempt, from 1: the fencing token.
    pub attempt: u32,
    /// Attempts since the last progress that a checkpoint keeps.
    pub attempts_since_progress: u32,
    /// Runs that ended at a checkpoint, from which the next one resumed.
    pub resume_count: u32,
    /// Rows written, as of the last heartbeat while it runs.
    pub rows: u64,
    /// Bytes written, as of the last heartbeat while it runs.
    pub bytes: u64,
    /// Why it failed, or why its last attempt did.
    pub failure: Option<Failure>,
    /// The proof of its file, once ready.
    pub receipt: Option<Receipt>,
    /// When it was accepted.
    pub created_at: jiff::Timestamp,
    /// When its first attempt began.
    pub started_at: Option<jiff::Timestamp>,
    /// When it ended.
    pub finished_at: Option<jiff::Timestamp>,
    /// When its requester was notified.
    pub notified_at: Option<jiff::Timestamp>,
    /// The language that the requester reads, if the request says so.
    pub language: Option<Language>,
    /// How the request came.
    pub via: Via,
    /// The app whose token brought the request.
    pub app: Option<String>,
    /// The version of the definition: when it was accepted, and then the one that its file was made with.
    pub definition_sha256: Option<String>,
    /// How many rows the file will have, if that was estimated.
    pub expected_rows: Option<u64>,
    /// When the queue took its message. `None` until then, and for a request that [came](Via::Queue) as a message.
    pub sent_at: Option<jiff::Timestamp>,
    /// From where the next run resumes. On a job that ended without a file: what is still to be removed.
    #[serde(skip)]
    pub checkpoint: Option<Checkpoint>,
    /// The queue's id of the message whose worker holds the lease.
    #[serde(skip)]
    pub owner_message_id: Option<String>,
    /// The digest of the request. See [`NewJob::fingerprint`].
    #[serde(skip)]
    pub fingerprint: Option<String>,
    /// The queue's id of the message that brought it.
    #[serde(skip)]
    pub message_id: String,
    /// The message as it arrived; every attempt reads the request from it.
    #[serde(skip)]
    pub message: String,
}

impl Job {
    /// Returns whether the job made its file itself, and was not given that of another. The file may be gone.
    #[must_use]
    pub fn has_made_its_file(&self) -> bool {
        let is_own = self.receipt.as_ref().is_some_and(|receipt| receipt.job_id == self.id.as_str());
        matches!(self.state, JobState::Ready | JobState::Expired) && self.attempt > 0 && is_own
    }

    /// Returns whether the job waits for a message that no queue has taken, as far as the ledger knows. A request that came as a message
    /// has had one.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        let Self { state, attempt, via, sent_at, .. } = self;
        *state == JobState::Queued && *attempt == 0 && *via != Via::Queue && sent_at.is_none()
    }

    /// Returns since when the job has its place in the queue, as long as no worker has had it.
    #[must_use]
    pub fn queued_at(&self) -> jiff::Timestamp {
        self.sent_at.unwrap_or(self.created_at)
    }
}
