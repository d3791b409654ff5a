//! Notices: the e-mails that tell requesters and the operator how a job ended, and the port that publishes them.

mod human;
mod text;

pub use self::human::{grouped, size};
pub use self::text::changes;

use std::error::Error;

use self::text::{cancelled, failed, needs_operator, ready, subject};
use crate::job::{Job, JobState};
use crate::message::shorten;
use crate::requester::Requester;
use crate::untrusted_text::{one_line, visible_lines};

/// The most bytes of a body. SNS takes 256 KiB, attributes included.
const MAX_BODY: usize = 128 * 1024;

/// An e-mail, with the attributes by which subscriptions are filtered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whose subscription gets it.
    pub recipient: Requester,
    /// The export's name as the message has it, in one line. It may be no export's.
    pub export: String,
    /// `ready`, `failed` or `cancelled`.
    pub status: JobState,
    /// The job.
    pub job_id: String,
    /// ASCII, under 100 characters, no control characters.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// Publishes notices.
pub trait Notifier: Send + Sync {
    /// Publishes a notice.
    ///
    /// # Errors
    /// When the notice was not taken.
    fn publish(&self, notice: &Notice) -> impl Future<Output = Result<(), NotifyError>> + Send;
}

/// Why a notice was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The topic did not answer, or its own configuration is wrong. It may take the notice later.
    #[error("the notice could not be published")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The topic refused what is in the notice, and will again. It may take [`Notice::shortened`].
    #[error("the notice was refused for what is in it")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
}

impl Notice {
    /// Returns the notice to the requester of a job that has ended. `None` when there is nothing to say. Without a portal, the reader
    /// gets the file by `download_command`.
    #[must_use]
    pub fn of(job: &Job, portal_url: Option<&str>, download_command: Option<&str>) -> Option<Self> {
        let (outcome, body) = match (job.state, &job.receipt, &job.failure) {
            (JobState::Ready, Some(receipt), _) => {
                ("is ready", ready(job, receipt, portal_url, download_command))
            }
            (JobState::Failed, _, Some(failure)) => {
                ("could not be prepared", failed(job, failure, portal_url))
            }
            (JobState::Cancelled, ..) => ("is cancelled", cancelled(job, portal_url)),
            _ => return None,
        };
        Some(Self::new(job, &job.requested_by, outcome, body))
    }

    /// Returns an additional notice to the operator, when the job has failed for a reason that only the operator can fix. `None` when
    /// the operator is the requester, who is notified anyway.
    #[must_use]
    pub fn to_operator(job: &Job, portal_url: Option<&str>) -> Option<Self> {
        let failure = job.failure.as_ref().filter(|failure| failure.for_operator)?;
        if job.state != JobState::Failed || job.requested_by.is_operator() {
            return None;
        }
        let body = needs_operator(job, failure, portal_url);
        Some(Self::new(job, &Requester::operator(), "failed and needs you", body))
    }

    /// Returns the notice to the operator that the requester's notice was refused and a short one is sent instead. `None` when the
    /// operator is the requester, who gets the short one.
    #[must_use]
    pub fn of_refusal(job: &Job) -> Option<Self> {
        let body = format!(
            "The e-mail about an export was refused for what is in it. A short one is sent in its place, which says how the \
             export ended and no more.\n\n  Export       {}\n  Asked for by {}\n\nWhere to look\n  downpipe status {}\n  \
             the worker's log, for the job's number\n\nJob     {}\n",
            shorten(&job.export),
            job.requested_by,
            job.id,
            job.id
        );
        let notice = || Self::new(job, &Requester::operator(), "has an e-mail that was refused", body);
        (!job.requested_by.is_operator()).then(notice)
    }

    /// Returns a notice in fixed words, to replace one that was refused for what is in it.
    #[must_use]
    pub fn shortened(&self) -> Self {
        let outcome = match self.status {
            JobState::Ready => "is ready",
            JobState::Cancelled => "is cancelled",
            _ => "could not be prepared",
        };
        let body = format!(
            "Your export {outcome}.\n\nThe e-mail that says more could not be sent. The people who run this export can tell you \
             more: tell them the job number.\n\nJob     {}\n",
            self.job_id
        );
        // Any part of the notice may be what was refused.
        let export = self.export.chars().filter(char::is_ascii_alphanumeric).take(64).collect::<String>();
        let export = if export.is_empty() { "unknown".to_owned() } else { export };
        Self { export, subject: subject("", outcome), body, ..self.clone() }
    }

    fn new(job: &Job, recipient: &Requester, outcome: &str, body: String) -> Self {
        Self {
            recipient: recipient.clone(),
            // An attribute must not be empty, and a message that could not be read names no export.
            export: if job.export.is_empty() { "unknown".to_owned() } else { one_line(&job.export) },
            status: job.state,
            job_id: job.id.to_string(),
            subject: subject(&job.export, outcome),
            body: text_of(&body),
        }
    }
}

/// Returns a body as it is sent. Replaces characters that are invisible or that SNS refuses, and cuts a text that is too long.
fn text_of(body: &str) -> String {
    let mut text = visible_lines(body);
    if text.len() > MAX_BODY {
        text.truncate(text.floor_char_boundary(MAX_BODY));
        text += "…\n";
    }
    text
}
