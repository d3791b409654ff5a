//! The words of notices.

use std::fmt::Write as _;

use super::human::{day, grouped, minute, plain, size};
use crate::job::{Failure, Job, Receipt};
use crate::message::{Message, shorten};
use crate::untrusted_text::one_line;

/// SNS refuses a subject of 100 characters or more.
const MAX_SUBJECT: usize = 99;

/// Files, columns and parameters that an e-mail lists. SNS refuses more than 256 KiB; the receipt has all of them.
const MAX_LINES: usize = 20;

/// Returns the zone of the parameters and, where it differs, that of the times in the file.
fn time_zone(Receipt { sql_time_zone, time_zone, .. }: &Receipt) -> String {
    match sql_time_zone.as_str() {
        // Receipts of earlier versions have no zone of the query.
        "" => time_zone.clone(),
        zone if zone == time_zone => zone.to_owned(),
        zone => format!("{zone}; times in the file are {time_zone}"),
    }
}

pub(crate) fn subject(export: &str, outcome: &str) -> String {
    let name: String = export.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    let subject =
        if name.is_empty() { format!("Your export {outcome}") } else { format!("Export {name} {outcome}") };
    debug_assert!(subject.len() <= MAX_SUBJECT);
    subject
}

pub(crate) fn ready(
    job: &Job,
    receipt: &Receipt,
    portal_url: Option<&str>,
    download_command: Option<&str>,
) -> String {
    let mut text = format!("Your export \"{}\" is ready.\n\n", one_line(&receipt.title));
    let mut line = |name: &str, value: String| push_line(&mut text, name, &value);
    match &receipt.files[..] {
        [file] => line("File", file.file_name.clone()),
        files => {
            for file in files.iter().take(MAX_LINES) {
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
    line("Time zone", time_zone(receipt));
    for (name, value) in &receipt.params {
        line(&format!("  {name}"), plain(value));
    }
    text += "\nGet it here:\n";
    match (portal_url, download_command) {
        (Some(url), _) => push_portal_link(&mut text, url, job),
        (None, Some(command)) => {
            let _ = writeln!(text, "  {command}");
        }
        (None, None) => {
            for file in receipt.files.iter().take(MAX_LINES) {
                let _ = writeln!(text, "  {}", file.address);
            }
        }
    }
    if !receipt.changes.is_empty() {
        text += "\nNot as in the database:\n";
        for (column, counts) in receipt.changes.iter().take(MAX_LINES) {
            let _ = writeln!(text, "  {}", shorten(column));
            for change in changes(counts) {
                let _ = writeln!(text, "    {change}");
            }
        }
        if let Some(more) = receipt.changes.len().checked_sub(MAX_LINES).filter(|more| *more > 0) {
            let _ = writeln!(text, "  and {more} more columns, which the receipt has");
        }
    }
    text.push('\n');
    for file in receipt.files.iter().take(MAX_LINES) {
        let _ = writeln!(text, "SHA-256 {}", file.sha256);
    }
    text + &format!("Job     {}\n", job.id)
}

pub(crate) fn failed(job: &Job, failure: &Failure, portal_url: Option<&str>) -> String {
    let what = if job.export.is_empty() {
        "Your export".to_owned()
    } else {
        format!("Your export \"{}\"", one_line(&job.export))
    };
    let mut text = format!(
        "{what} could not be prepared.\n\nWhat happened\n  {}\n\nWhat to do\n  {}\n\n",
        one_line(&failure.message),
        one_line(&failure.advice)
    );
    push_request(&mut text, job);
    if let Some(url) = portal_url {
        push_portal_link(&mut text, url, job);
    }
    text + &format!("Job     {}\n", job.id)
}

pub(crate) fn needs_operator(job: &Job, failure: &Failure, portal_url: Option<&str>) -> String {
    let mut text = String::from(
        "An export failed for a reason that its requester cannot fix. The requester has been notified.\n\n",
    );
    push_line(&mut text, "Export", &shorten(&job.export));
    push_line(&mut text, "Asked for by", job.requested_by.as_str());
    push_line(&mut text, "Failure", &failure.code);
    push_line(&mut text, "Attempts", &job.attempt.to_string());
    let _ = write!(
        text,
        "\nWhat happened\n  {}\n\nWhere to look\n  downpipe status {}    (with the database's or the store's own words)\n  \
         the worker's log, for the job's number\n",
        one_line(&failure.message),
        job.id
    );
    if let Some(url) = portal_url {
        push_portal_link(&mut text, url, job);
    }
    text + &format!("\nJob     {}\n", job.id)
}

pub(crate) fn cancelled(job: &Job, portal_url: Option<&str>) -> String {
    let mut text = format!(
        "Your export \"{}\" was cancelled.\n\nWhat happened\n  Its cancellation was requested. There is no file.\n\n\
         What to do\n  Ask for it again when you need it.\n\n",
        one_line(&job.export)
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
        push_line(text, "export", &one_line(&message.export));
        for (name, value) in message.params.iter().take(MAX_LINES) {
            push_line(text, &shorten(name), &shorten(&value.to_string()));
        }
        if let Some(more) = message.params.len().checked_sub(MAX_LINES).filter(|more| *more > 0) {
            push_line(text, "", &format!("and {more} more"));
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

/// Returns the counters of a column's changes in words, from the JSON that [`ColumnChanges`](downpipe_format::ColumnChanges) becomes.
pub fn changes(counts: &serde_json::Value) -> impl Iterator<Item = String> {
    counts.as_object().into_iter().flatten().map(|(what, count)| {
        let words = match what.as_str() {
            "formulas_guarded" => "an apostrophe in front of what begins like a formula",
            "numbers_as_text" => "numbers kept as text, so that no digit is lost",
            "dates_as_text" => "dates kept as text, because a spreadsheet does not know them",
            "zero_dates_as_null" => "dates left empty, because they are none (0000-00-00)",
            "microseconds_hidden" => "times cut to the millisecond",
            "times_as_text" => {
                "times with more than three digits after the seconds, which Excel leaves as text"
            }
            "texts_too_long" => "texts of more than 32,767 characters, which Excel cuts",
            "nulls_as_empty" => "NULL written as the empty string, because readers skip blank lines",
            "lookalike_characters" => "characters replaced by others that look the same",
            "unmappable_characters" => "characters replaced by ?, because the encoding does not have them",
            "invalid_text" => "cells with bytes that are no text",
            "masked" => "cells masked",
            other => other,
        };
        format!("{words}: {}", grouped(count.as_u64().unwrap_or_default()))
    })
}
