//! What a message brings: a new job, before the ledger has recorded it, or word of one that exists.

use super::parse::PartialRequest;
use super::rejection::Rejections;
use super::{ExportMessage, Message};
use crate::job::{JobId, NewJob, Via};

/// A message that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one for a message")]
pub enum Incoming {
    /// A new job. One that cannot be read is recorded too, and its requester notified, as far as it says who that is.
    New {
        /// The job.
        job: NewJob,
        /// The request, or what is wrong with it.
        message: Result<ExportMessage, Rejections>,
    },
    /// A job to resume.
    Continue(JobId),
}

impl Incoming {
    /// Reads a message body, whatever is in it.
    #[must_use]
    pub fn read(body: &str, message_id: &str) -> Self {
        match Message::parse(body) {
            Ok(Message::Continue(id)) => Self::Continue(id),
            Ok(Message::Export(message)) => {
                let job = NewJob::of_request(&message, message_id, body);
                Self::New { job, message: Ok(message) }
            }
            Err(rejections) => {
                Self::New { job: NewJob::of_unreadable(message_id, body), message: Err(rejections) }
            }
        }
    }

    /// Returns the job that the message brings or resumes.
    #[must_use]
    pub fn job_id(&self) -> &JobId {
        match self {
            Self::New { job, .. } => &job.id,
            Self::Continue(id) => id,
        }
    }
}

impl JobId {
    /// Returns the job of a well-formed request. `message_id` serves as the idempotency key when the sender chose none.
    #[must_use]
    pub fn of_request(message: &ExportMessage, message_id: &str) -> Self {
        let keyed = ExportMessage {
            request_id: Some(message.request_id.as_deref().unwrap_or(message_id).to_owned()),
            language: None,
            ..message.clone()
        };
        Self::digest("request", &[&keyed.to_json()])
    }

    /// Returns the job of a request that does not come as a message. No other such request of the requester has the same key.
    #[must_use]
    pub fn of_key(message: &ExportMessage, key: &str) -> Self {
        Self::digest("key", &[message.requested_by.as_str(), key])
    }

    /// Returns the job that records a message which could not be read. `key` is the sender's idempotency key where one could be
    /// found, else the message id.
    #[must_use]
    pub fn of_unreadable(key: &str, body: &str) -> Self {
        Self::digest("unreadable", &[key, body])
    }
}

impl NewJob {
    /// Returns the job of a message. `None` for a message that resumes another job.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn of(message: &Result<Message, Rejections>, message_id: &str, body: &str) -> Option<Self> {
        match message {
            Ok(Message::Continue(_)) => None,
            Ok(Message::Export(message)) => Some(Self::of_request(message, message_id, body)),
            Err(_) => Some(Self::of_unreadable(message_id, body)),
        }
    }

    /// Returns the job of a request that does not come as a message. Its `request_id` is this key.
    #[must_use]
    pub fn of_click(message: &ExportMessage, key: &str) -> Self {
        let message = ExportMessage { request_id: Some(key.to_owned()), ..message.clone() };
        let id = JobId::of_key(&message, key);
        Self::of_partial(id, PartialRequest::from(&message), "", &message.to_json())
    }

    fn of_request(message: &ExportMessage, message_id: &str, body: &str) -> Self {
        let id = JobId::of_request(message, message_id);
        Self::of_partial(id, PartialRequest::from(message), message_id, body)
    }

    fn of_unreadable(message_id: &str, body: &str) -> Self {
        let partial = PartialRequest::of_body(body);
        let id = JobId::of_unreadable(partial.request_id.as_deref().unwrap_or(message_id), body);
        Self::of_partial(id, partial, message_id, body)
    }

    fn of_partial(id: JobId, partial: PartialRequest, message_id: &str, body: &str) -> Self {
        Self {
            id,
            requested_by: partial.requested_by,
            export: partial.export,
            request_id: partial.request_id.unwrap_or_else(|| message_id.to_owned()),
            message_id: message_id.to_owned(),
            message: body.to_owned(),
            fingerprint: None,
            shared_fingerprint: None,
            reuse: None,
            language: partial.language,
            via: Via::Queue,
            app: None,
            definition_sha256: None,
            expected_rows: None,
        }
    }
}
