//! Output: JSON for programs, aligned text for people.

use std::borrow::Cow;
use std::io::{ErrorKind, Write as _};

use downpipe_core::cache::LiveProgress;
use downpipe_core::job::{FailureWords, Job, JobId, JobState, Via};
use downpipe_core::language::Language;
use downpipe_core::ledger::Download;
use downpipe_core::notice::{grouped, size};
use downpipe_core::requester::Requester;
use downpipe_core::untrusted_text::{escaped, escaped_json};
use serde::Serialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use crate::error::CliError;

/// Prints text on standard output. Ignores a reader that has closed its end, such as `head`.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::failed(error)),
        _ => Ok(()),
    }
}

/// Prints a value as JSON on standard output.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    let json = serde_json::to_string_pretty(value).map_err(CliError::failed)?;
    print(&format!("{}\n", escaped_json(&json)))
}

/// Prints rows of cells in aligned columns. Escapes characters that a terminal would obey.
pub(crate) fn print_table(header: &[&str], rows: &[Vec<String>]) -> Result<(), CliError> {
    let rows: Vec<Vec<Cow<'_, str>>> =
        rows.iter().map(|row| row.iter().map(|cell| escaped(cell)).collect()).collect();
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].width());
            cells.chain([header[column].len()]).max().unwrap_or_default()
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        // The formatter counts characters, but a terminal gives 注文 the width of four.
        let pad = |(cell, width): (&str, &usize)| cell.to_owned() + &" ".repeat(width - cell.width());
        let padded: Vec<String> = cells.zip(&widths).map(pad).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let first = line(&mut header.iter().copied());
    let rest = rows.iter().map(|row| line(&mut row.iter().map(Cow::as_ref)));
    print(&std::iter::once(first).chain(rest).collect::<String>())
}

/// Returns a job as a row of the list.
pub(crate) fn job_row(job: &Job) -> Vec<String> {
    vec![
        job.id.to_string(),
        job.state.as_str().to_owned(),
        if job.export.is_empty() { "-".to_owned() } else { job.export.clone() },
        job.requested_by.to_string(),
        grouped(job.rows),
        size(job.bytes),
        moment(Some(job.created_at)),
    ]
}

/// A job that runs, as far as the cache knows it.
#[derive(Debug, Serialize)]
pub(crate) struct RunningJob {
    pub(crate) id: JobId,
    pub(crate) state: JobState,
    #[serde(flatten)]
    pub(crate) progress: LiveProgress,
}

/// Prints how far a job is that runs.
pub(crate) fn print_progress(job: &RunningJob) -> Result<(), CliError> {
    let LiveProgress { rows, bytes, rows_per_second, at } = &job.progress;
    print_lines(&[
        ("job", job.id.to_string()),
        ("state", job.state.as_str().to_owned()),
        ("rows", grouped(*rows)),
        ("size", size(*bytes)),
        ("speed", format!("{} rows/s", grouped(*rows_per_second))),
        ("as of", moment(Some(*at))),
    ])
}

/// A job, and what else the ledger knows of it.
#[derive(Debug)]
pub(crate) struct ShownJob {
    pub(crate) job: Job,
    /// How many jobs are ahead of it, while it is queued.
    pub(crate) ahead: Option<u64>,
    pub(crate) downloads: Vec<Download>,
}

/// Returns a job for programs: as the ledger has it, and its failure with words in English.
pub(crate) fn job_json(job: &Job) -> Result<Value, CliError> {
    let mut json = serde_json::to_value(job).map_err(CliError::failed)?;
    if let Some(failure) = &job.failure {
        let FailureWords { message, advice } = failure.words(Language::En);
        json["failure"]["message"] = message.into();
        json["failure"]["advice"] = advice.into();
    }
    Ok(json)
}

/// Prints everything about a job as JSON.
pub(crate) fn print_job_json(shown: &ShownJob) -> Result<(), CliError> {
    let mut json = job_json(&shown.job)?;
    json["ahead"] = shown.ahead.into();
    json["downloads"] = serde_json::to_value(&shown.downloads).map_err(CliError::failed)?;
    print_json(&json)
}

/// Prints everything about a job.
pub(crate) fn print_job(shown: &ShownJob) -> Result<(), CliError> {
    let ShownJob { job, ahead, downloads } = shown;
    let mut lines = vec![
        ("job", job.id.to_string()),
        ("state", job.state.as_str().to_owned()),
        ("export", job.export.clone()),
        ("requested by", job.requested_by.to_string()),
        ("request id", job.request_id.clone()),
        ("attempt", job.attempt.to_string()),
        ("rows", grouped(job.rows)),
        ("size", size(job.bytes)),
        ("created", moment(Some(job.created_at))),
        ("started", moment(job.started_at)),
        ("finished", moment(job.finished_at)),
        ("notified", moment(job.notified_at)),
    ];
    if job.via != Via::Queue {
        let app = job.app.as_ref().map(|app| format!(" {app}")).unwrap_or_default();
        lines.push(("via", format!("{}{app}", job.via.as_str())));
        lines.push(("sent", moment(job.sent_at)));
    }
    lines.extend(ahead.map(|ahead| ("ahead", grouped(ahead))));
    if let Some(receipt) = &job.receipt {
        for file in &receipt.files {
            lines.push(("file", file.address.clone()));
            lines.push(("SHA-256", file.sha256.clone()));
        }
        lines.push(("kept until", moment(Some(receipt.expires_at))));
    }
    if let Some(failure) = &job.failure {
        lines.push(("failure", failure.code.clone()));
        let FailureWords { message, advice } = failure.words(Language::En);
        lines.push(("", message));
        lines.push(("", advice));
        lines.extend(failure.detail.iter().map(|detail| ("detail", detail.clone())));
    }
    for Download { file, requester, via, at, .. } in downloads {
        let by = requester.as_ref().map_or("holder of the link", Requester::as_str);
        lines.push(("download", format!("{} file {file}, {by}, via {}", moment(Some(*at)), via.as_str())));
    }
    print_lines(&lines)
}

fn print_lines(lines: &[(&str, String)]) -> Result<(), CliError> {
    print(&lines.iter().map(|(name, value)| format!("{name:<13} {}\n", escaped(value))).collect::<String>())
}

fn moment(at: Option<jiff::Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}
