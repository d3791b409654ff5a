//! The notice: what the person is told, and the port that tells them.

use std::error::Error;
use std::fmt::Write as _;

use crate::job::{Failure, Job, JobState};
use crate::message::Message;
use crate::receipt::Receipt;
use crate::rejection::shorten;

/// SNS cuts no subject short; it refuses one of 100 characters or more.
const MAX_SUBJECT: usize = 99;

/// An e-mail, and the attributes by which it finds its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Who is told: subscriptions are filtered by it.
    pub recipient: String,
    /// The export's name.
    pub export: String,
    /// `ready` or `failed`.
    pub status: JobState,
    /// The job.
    pub job_id: String,
    /// ASCII, under 100 characters, no control characters.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// Tells people.
pub trait Notifier: Send + Sync {
    /// Publishes a notice.
    ///
    /// # Errors
    /// When it was not taken.
    fn publish(&self, notice: &Notice) -> impl Future<Output = Result<(), NotifyError>> + Send;
}

/// A notice that was not taken.
#[derive(Debug, thiserror::Error)]
#[error("the notice could not be published")]
pub struct NotifyError(#[source] pub Box<dyn Error + Send + Sync>);

impl Notice {
    /// The notice for a job that has ended. `None` for one that has not, or that has nothing to tell.
    #[must_use]
    pub fn of(job: &Job, portal_url: Option<&str>) -> Option<Self> {
        let (outcome, body) = match (job.state, &job.receipt, &job.failure) {
            (JobState::Ready, Some(receipt), _) => ("is ready", ready(job, receipt, portal_url)),
            (JobState::Failed, _, Some(failure)) => {
                ("could not be prepared", failed(job, failure, portal_url))
            }
            _ => return None,
        };
        Some(Self {
            recipient: recipient_of(&job.requested_by),
            // An attribute may not be empty, and a message that could not be read names no export.
            export: if job.export.is_empty() { "unknown".to_owned() } else { job.export.clone() },
            status: job.state,
            job_id: job.id.to_string(),
            subject: subject(&job.export, outcome),
            body,
        })
    }
}

/// The address as subscriptions are filtered by it. People write theirs in upper case or in lower, and mean the same.
#[must_use]
pub fn recipient_of(requester: &str) -> String {
    requester.to_lowercase()
}

fn subject(export: &str, outcome: &str) -> String {
    let name: String = export.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    let subject =
        if name.is_empty() { format!("Your export {outcome}") } else { format!("Export {name} {outcome}") };
    debug_assert!(subject.len() <= MAX_SUBJECT);
    subject
}

fn ready(job: &Job, receipt: &Receipt, portal_url: Option<&str>) -> String {
    let mut text = format!("Your export \"{}\" is ready.\n\n", receipt.title);
    let mut line = |name: &str, value: String| push_line(&mut text, name, &value);
    line("File", receipt.file_name.clone());
    line("Rows", grouped(receipt.rows));
    line("Size", size(receipt.bytes));
    line("Data as of", minute(receipt.as_of));
    line("Kept until", day(receipt.expires_at));
    for (name, value) in &receipt.params {
        line(&format!("  {name}"), plain(value));
    }
    text += "\nGet it here:\n";
    match portal_url {
        Some(url) => push_portal_link(&mut text, url, job),
        None => text += &format!("  aws s3 cp '{}' .\n", receipt.address.replace('\'', r"'\''")),
    }
    if !receipt.changes.is_empty() {
        text += "\nChanged on the way, so that a spreadsheet shows what the database holds:\n";
        for (column, counts) in &receipt.changes {
            let _ = writeln!(text, "  {column}: {}", changes(counts));
        }
    }
    text + &format!("\nSHA-256 {}\nJob     {}\n", receipt.sha256, job.id)
}

fn failed(job: &Job, failure: &Failure, portal_url: Option<&str>) -> String {
    let what = if job.export.is_empty() {
        "Your export".to_owned()
    } else {
        format!("Your export \"{}\"", job.export)
    };
    let mut text = format!(
        "{what} could not be prepared.\n\nWhat happened\n  {}\n\nWhat to do\n  {}\n\n",
        failure.message, failure.advice
    );
    if let Ok(Message::Export(message)) = Message::parse(&job.message) {
        text += "What was asked for\n";
        push_line(&mut text, "export", &message.export);
        for (name, value) in &message.params {
            push_line(&mut text, &shorten(name), &shorten(&value.to_string()));
        }
        text.push('\n');
    }
    if let Some(url) = portal_url {
        push_portal_link(&mut text, url, job);
    }
    text + &format!("Job     {}\n", job.id)
}

fn push_portal_link(text: &mut String, portal_url: &str, job: &Job) {
    let _ = writeln!(text, "  {}/jobs/{}", portal_url.trim_end_matches('/'), job.id);
}

fn push_line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<12} {value}");
}

/// `{"formulas_guarded": 3}` as `3 formulas guarded`.
fn changes(counts: &serde_json::Value) -> String {
    let counts = counts.as_object().into_iter().flatten();
    let words: Vec<String> = counts
        .map(|(what, count)| {
            format!("{} {}", grouped(count.as_u64().unwrap_or_default()), what.replace('_', " "))
        })
        .collect();
    words.join(", ")
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => shorten(text),
        serde_json::Value::Null => "(not given)".to_owned(),
        other => other.to_string(),
    }
}

/// `1234567` as `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size for people: `0 bytes`, `48.3 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") };
    }
    let mut tenths = bytes / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

fn minute(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn day(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}
