//! What is printed: JSON for programs, aligned text for people.

use std::io::{ErrorKind, Write as _};

use downpipe_core::job::Job;
use downpipe_core::notice::{grouped, size};
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use crate::error::CliError;

/// Prints text on standard output. A reader that has seen enough and gone, such as `head`, is no error.
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
    print(&format!("{json}\n"))
}

/// Prints rows of cells in columns as wide as they need to be.
pub(crate) fn print_table(header: &[&str], rows: &[Vec<String>]) -> Result<(), CliError> {
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
    let rest = rows.iter().map(|row| line(&mut row.iter().map(String::as_str)));
    print(&std::iter::once(first).chain(rest).collect::<String>())
}

/// A job as a row of the list.
pub(crate) fn job_row(job: &Job) -> Vec<String> {
    vec![
        job.id.to_string(),
        job.state.as_str().to_owned(),
        if job.export.is_empty() { "-".to_owned() } else { job.export.clone() },
        job.requested_by.clone(),
        grouped(job.rows),
        size(job.bytes),
        moment(Some(job.created_at)),
    ]
}

/// Prints everything about a job.
pub(crate) fn print_job(job: &Job) -> Result<(), CliError> {
    let mut lines = vec![
        ("job", job.id.to_string()),
        ("state", job.state.as_str().to_owned()),
        ("export", job.export.clone()),
        ("requested by", job.requested_by.clone()),
        ("request id", job.request_id.clone()),
        ("attempt", job.attempt.to_string()),
        ("rows", grouped(job.rows)),
        ("size", size(job.bytes)),
        ("created", moment(Some(job.created_at))),
        ("started", moment(job.started_at)),
        ("finished", moment(job.finished_at)),
        ("notified", moment(job.notified_at)),
    ];
    if let Some(receipt) = &job.receipt {
        for file in &receipt.files {
            lines.push(("file", file.address.clone()));
            lines.push(("SHA-256", file.sha256.clone()));
        }
        lines.push(("kept until", moment(Some(receipt.expires_at))));
    }
    if let Some(failure) = &job.failure {
        lines.push(("failure", failure.code.clone()));
        lines.push(("", failure.message.clone()));
        lines.push(("", failure.advice.clone()));
        lines.extend(failure.detail.iter().map(|detail| ("detail", detail.clone())));
    }
    print(&lines.iter().map(|(name, value)| format!("{name:<13} {value}\n")).collect::<String>())
}

fn moment(at: Option<jiff::Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}
