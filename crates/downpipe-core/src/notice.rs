//! The notice: what the person is told, and the port that tells them.

use std::error::Error;
use std::fmt::Write as _;

use crate::job::{Failure, Job, JobState};
use crate::message::{Message, OPERATOR};
use crate::receipt::Receipt;
use crate::rejection::shorten;

/// SNS cuts no subject short; it refuses one of 100 characters or more.
const MAX_SUBJECT: usize = 99;

/// Files, and columns, that an e-mail speaks of one by one. SNS takes 256 KiB and refuses what is longer; the receipt has all.
const MOST_LINES: usize = 20;

/// An e-mail, and the attributes by which it finds its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Who is told: subscriptions are filtered by it.
    pub recipient: String,
    /// The export's name.
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
            (JobState::Cancelled, ..) => ("is cancelled", cancelled(job, portal_url)),
            _ => return None,
        };
        Some(Self::new(job, &job.requested_by, outcome, body))
    }

    /// The notice for the operator besides, when the job has failed for a reason that only they can mend. `None` when it has not,
    /// and when they asked for it themselves: they are told so already.
    #[must_use]
    pub fn to_operator(job: &Job, portal_url: Option<&str>) -> Option<Self> {
        let failure = job.failure.as_ref().filter(|failure| failure.for_operator)?;
        if job.state != JobState::Failed || recipient_of(&job.requested_by) == OPERATOR {
            return None;
        }
        Some(Self::new(job, OPERATOR, "failed and needs you", needs_operator(job, failure, portal_url)))
    }

    fn new(job: &Job, recipient: &str, outcome: &str, body: String) -> Self {
        Self {
            recipient: recipient_of(recipient),
            // An attribute may not be empty, and a message that could not be read names no export.
            export: if job.export.is_empty() { "unknown".to_owned() } else { job.export.clone() },
            status: job.state,
            job_id: job.id.to_string(),
            subject: subject(&job.export, outcome),
            body,
        }
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
    match &receipt.files[..] {
        [file] => line("File", file.file_name.clone()),
        files => {
            for file in files.iter().take(MOST_LINES) {
                line("File", format!("{} ({} rows)", file.file_name, grouped(file.rows)));
            }
            line("Files", grouped(files.len() as u64));
        }
    }
    line("Rows", grouped(receipt.rows));
    line("Size", size(receipt.bytes));
    line("Data as of", minute(receipt.as_of));
    if receipt.continued {
        line("", format!("read in several runs until {}", minute(receipt.completed_at)));
    }
    line("Kept until", day(receipt.expires_at));
    for (name, value) in &receipt.params {
        line(&format!("  {name}"), plain(value));
    }
    text += "\nGet it here:\n";
    match portal_url {
        Some(url) => push_portal_link(&mut text, url, job),
        None => {
            let _ = writeln!(text, "  {}", copy_command(receipt));
        }
    }
    if !receipt.changes.is_empty() {
        text += "\nNot as in the database:\n";
        for (column, counts) in receipt.changes.iter().take(MOST_LINES) {
            let _ = writeln!(text, "  {}", shorten(column));
            for change in changes(counts) {
                let _ = writeln!(text, "    {change}");
            }
        }
        if let Some(more) = receipt.changes.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
            let _ = writeln!(text, "  and {more} more columns, which the receipt has");
        }
    }
    text.push('\n');
    for file in receipt.files.iter().take(MOST_LINES) {
        let _ = writeln!(text, "SHA-256 {}", file.sha256);
    }
    text + &format!("Job     {}\n", job.id)
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
    push_request(&mut text, job);
    if let Some(url) = portal_url {
        push_portal_link(&mut text, url, job);
    }
    text + &format!("Job     {}\n", job.id)
}

fn needs_operator(job: &Job, failure: &Failure, portal_url: Option<&str>) -> String {
    let mut text = String::from(
        "An export failed for a reason that whoever asked for it cannot mend. They are told so.\n\n",
    );
    push_line(&mut text, "Export", &shorten(&job.export));
    push_line(&mut text, "Asked for by", &shorten(&job.requested_by));
    push_line(&mut text, "Failure", &failure.code);
    push_line(&mut text, "Attempts", &job.attempt.to_string());
    let _ = write!(
        text,
        "\nWhat happened\n  {}\n\nWhere to look\n  downpipe status {}    (with the database's or the store's own words)\n  \
         the worker's log, for the job's number\n",
        failure.message, job.id
    );
    if let Some(url) = portal_url {
        push_portal_link(&mut text, url, job);
    }
    text + &format!("\nJob     {}\n", job.id)
}

fn cancelled(job: &Job, portal_url: Option<&str>) -> String {
    let mut text = format!(
        "Your export \"{}\" was cancelled.\n\nWhat happened\n  Somebody asked for it to stop. There is no file.\n\n\
         What to do\n  Ask for it again when you need it.\n\n",
        job.export
    );
    push_request(&mut text, job);
    if let Some(url) = portal_url {
        push_portal_link(&mut text, url, job);
    }
    text + &format!("Job     {}\n", job.id)
}

fn push_request(text: &mut String, job: &Job) {
    if let Ok(Message::Export(message)) = Message::parse(&job.message) {
        *text += "What was asked for\n";
        push_line(text, "export", &message.export);
        for (name, value) in &message.params {
            push_line(text, &shorten(name), &shorten(&value.to_string()));
        }
        text.push('\n');
    }
}

fn push_portal_link(text: &mut String, portal_url: &str, job: &Job) {
    let _ = writeln!(text, "  {}/jobs/{}", portal_url.trim_end_matches('/'), job.id);
}

fn push_line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<12} {value}");
}

/// What brings the file to where its reader is; several, which lie in a folder of their own, all at once.
fn copy_command(receipt: &Receipt) -> String {
    let quoted = |address: &str| format!("'{}'", address.replace('\'', r"'\''"));
    match &receipt.files[..] {
        [] => String::new(),
        [file] => format!("aws s3 cp {} .", quoted(&file.address)),
        [file, ..] => {
            let folder = file.address.rfind('/').map_or("", |slash| &file.address[..=slash]);
            format!("aws s3 cp --recursive {} .", quoted(folder))
        }
    }
}

/// A column's counters in a receipt, in words: what [`ColumnChanges`](downpipe_format::ColumnChanges) serializes to.
pub fn changes(counts: &serde_json::Value) -> impl Iterator<Item = String> {
    counts.as_object().into_iter().flatten().map(|(what, count)| {
        let words = match what.as_str() {
            "formulas_guarded" => "an apostrophe in front of what begins like a formula",
            "numbers_as_text" => "numbers kept as text, so that no digit is lost",
            "dates_as_text" => "dates kept as text, because a spreadsheet does not know them",
            "zero_dates_as_null" => "dates left empty, because they are none (0000-00-00)",
            "microseconds_hidden" => "times shown to the millisecond only",
            "lookalike_characters" => "characters replaced by others that look the same",
            "unmappable_characters" => "characters replaced by ?, because the encoding does not have them",
            "invalid_text" => "cells with bytes that are no text",
            "masked" => "cells masked",
            other => other,
        };
        format!("{words}: {}", grouped(count.as_u64().unwrap_or_default()))
    })
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
