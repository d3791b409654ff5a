//! Notices: the e-mails that tell requesters and the operator how a job ended, and the port that publishes them.

mod changes;
mod context;
mod event;
mod human;
mod letter;
mod letters;

pub use self::changes::changes;
pub use self::context::NoticeContext;
pub use self::human::size;
pub use self::letter::{Action, Content, Fact, Letter, Section};
pub use crate::words::grouped;

use std::error::Error;

use serde_json::Value;

use self::letters::Writer;
use crate::job::{Job, JobState};
use crate::language::Language;
use crate::requester::Requester;
use crate::untrusted_text::one_line;
use crate::words::{Args, own};

/// SNS refuses a subject of 100 characters or more.
const MAX_SUBJECT: usize = 99;

/// An e-mail, with the attributes by which subscriptions are filtered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Who gets it.
    pub recipient: Requester,
    /// The export's name as the message has it, in one line. It may be no export's.
    pub export: String,
    /// `ready`, `failed` or `cancelled`.
    pub status: JobState,
    /// The job.
    pub job_id: String,
    /// The language of the letter.
    pub language: Language,
    /// English in ASCII, under 100 characters, no control characters: SNS takes no other subject.
    pub subject: String,
    /// What it says.
    pub letter: Letter,
    /// The letter as plain text.
    pub body: String,
    /// Whether it is the one notice of how the job ended, and not another to the operator besides.
    pub is_of_the_job: bool,
    /// The job for programs: `{"event": "job.ready", "job": {…}}`.
    pub event: Value,
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
    /// Returns whether there is something to say about a job.
    #[must_use]
    pub fn is_due(job: &Job) -> bool {
        match job.state {
            JobState::Ready => job.receipt.is_some(),
            JobState::Failed => job.failure.is_some(),
            JobState::Cancelled => true,
            _ => false,
        }
    }

    /// Returns the notice to the requester of a job that has ended. `None` when there is nothing to say. Without a link, the reader
    /// gets the file by the download command, or is told its address.
    #[must_use]
    pub fn of(job: &Job, context: &NoticeContext<'_>) -> Option<Self> {
        let writer = Writer::new(job, context, language_of(job, context));
        let (outcome, letter) = match (job.state, &job.receipt, &job.failure) {
            (JobState::Ready, Some(receipt), _) => ("is ready", writer.ready(receipt)),
            (JobState::Failed, _, Some(failure)) => ("could not be prepared", writer.failed(failure)),
            (JobState::Cancelled, ..) => ("is cancelled", writer.cancelled()),
            _ => return None,
        };
        Some(Self::new(job, context, &job.requested_by, outcome, letter))
    }

    /// Returns an additional notice to the operator, when the job has failed for a reason that only the operator can fix. `None` when
    /// the operator is the requester, who is notified anyway. It is in the language of the context: the requester's may be another.
    #[must_use]
    pub fn to_operator(job: &Job, context: &NoticeContext<'_>) -> Option<Self> {
        let failure = job.failure.as_ref().filter(|failure| failure.for_operator)?;
        if job.state != JobState::Failed || job.requested_by.is_operator() {
            return None;
        }
        let letter = Writer::new(job, context, context.language).needs_operator(failure);
        Some(Self::new(job, context, &Requester::operator(), "failed and needs you", letter))
    }

    /// Returns the notice to the operator that the requester's notice was refused and a short one is sent instead. `None` when the
    /// operator is the requester, who gets the short one.
    #[must_use]
    pub fn of_refusal(job: &Job, context: &NoticeContext<'_>) -> Option<Self> {
        if job.requested_by.is_operator() {
            return None;
        }
        let letter = Writer::new(job, context, context.language).of_refusal();
        Some(Self::new(job, context, &Requester::operator(), "has an e-mail that was refused", letter))
    }

    /// Returns a notice in fixed words, to replace one that was refused for what is in it.
    #[must_use]
    pub fn shortened(&self) -> Self {
        let (outcome, id) = match self.status {
            JobState::Ready => ("is ready", "short-ready"),
            JobState::Cancelled => ("is cancelled", "short-cancelled"),
            _ => ("could not be prepared", "short-failed"),
        };
        let words = |id: &str| own(self.language, id, &Args::new());
        let letter = Letter {
            subject: words(id),
            state: self.letter.state.clone(),
            heading: words(id),
            action: None,
            sections: vec![Section::without_heading(Content::Words(vec![words("short-body")]))],
            fine_print: vec![Fact::new(words("job"), self.job_id.as_str())],
            footer: self.letter.footer.clone(),
        };
        // Any part of the notice may be what was refused.
        let export = self.export.chars().filter(char::is_ascii_alphanumeric).take(64).collect::<String>();
        let export = if export.is_empty() { "unknown".to_owned() } else { export };
        Self {
            export,
            subject: subject("", outcome),
            body: letter.text(self.language),
            letter,
            event: event::bare_event(&self.job_id, self.status),
            ..self.clone()
        }
    }

    fn new(
        job: &Job,
        context: &NoticeContext<'_>,
        recipient: &Requester,
        outcome: &str,
        letter: Letter,
    ) -> Self {
        let is_operators = recipient.is_operator() && !job.requested_by.is_operator();
        let language = if is_operators { context.language } else { language_of(job, context) };
        Self {
            recipient: recipient.clone(),
            // An attribute must not be empty, and a message that could not be read names no export.
            export: if job.export.is_empty() { "unknown".to_owned() } else { one_line(&job.export) },
            status: job.state,
            job_id: job.id.to_string(),
            language,
            is_of_the_job: !is_operators,
            subject: subject(&job.export, outcome),
            body: letter.text(language),
            letter,
            event: event::event(job, context, language),
        }
    }
}

fn language_of(job: &Job, context: &NoticeContext<'_>) -> Language {
    job.language.unwrap_or(context.language)
}

/// Returns a subject for SNS.
fn subject(export: &str, outcome: &str) -> String {
    let name: String = export.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    let subject =
        if name.is_empty() { format!("Your export {outcome}") } else { format!("Export {name} {outcome}") };
    debug_assert!(subject.len() <= MAX_SUBJECT);
    subject
}
