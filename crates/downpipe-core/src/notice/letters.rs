//! The letters: what each kind of notice says.

use serde_json::Value;

use super::changes::changes;
use super::context::NoticeContext;
use super::event::as_json;
use super::human::{moment, plain, size_in};
use super::letter::{Action, Content, Fact, Letter, Section};
use crate::job::{Failure, Job, Receipt};
use crate::language::Language;
use crate::message::{Message, cut, shorten};
use crate::untrusted_text::one_line;
use crate::words::{Args, args, grouped, own};

/// Files, columns and parameters that an e-mail lists. The receipt has all of them.
const MAX_LINES: usize = 20;

/// The most characters of a title.
const MAX_TITLE: usize = 120;

/// Writes in one language.
pub(super) struct Writer<'a> {
    language: Language,
    job: &'a Job,
    context: &'a NoticeContext<'a>,
    named: Args,
}

impl<'a> Writer<'a> {
    /// Begins a letter about a job in this language.
    pub(super) fn new(job: &'a Job, context: &'a NoticeContext<'a>, language: Language) -> Self {
        let title = job.receipt.as_ref().map(|receipt| receipt.title.as_str()).or(context.title);
        let title = one_line(&cut(title.unwrap_or(&job.export), MAX_TITLE));
        Self { language, job, context, named: args([("title", title.into())]) }
    }

    /// Returns the letter about a file that is ready.
    pub(super) fn ready(&self, receipt: &Receipt) -> Letter {
        let fetch = || {
            let lines = match self.context.download_command {
                Some(command) => vec![one_line(command)],
                None => receipt.files.iter().take(MAX_LINES).map(|file| one_line(&file.address)).collect(),
            };
            Section::new(self.own("ready-fetch"), Content::Code(lines))
        };
        let mut sections = Vec::new();
        if self.context.link.is_none() {
            sections.push(fetch());
        }
        sections.push(Section::without_heading(Content::Facts(self.facts_of_file(receipt))));
        if !receipt.params.is_empty() {
            let params = receipt.params.iter().map(|(name, value)| (name.as_str(), value));
            sections.push(self.asked_for(params));
        }
        sections.extend(self.changes(receipt));
        let checksums =
            receipt.files.iter().take(MAX_LINES).map(|file| Fact::new("SHA-256", file.sha256.as_str()));
        let fine_print = checksums.chain([self.job_number()]).collect();
        Letter { sections, fine_print, ..self.letter("ready") }
    }

    /// Returns the letter about a job that failed.
    pub(super) fn failed(&self, failure: &Failure) -> Letter {
        let words = failure.words(self.language);
        let mut sections = vec![
            Section::new(self.own("happened"), Content::Words(vec![words.message])),
            Section::new(self.own("advice"), Content::Words(vec![words.advice])),
        ];
        sections.extend(self.request());
        let letter = self.letter("failed");
        // A message that could not be read names no export.
        if self.job.export.is_empty() {
            let (subject, heading) = (self.own("unnamed-subject"), self.own("unnamed-heading"));
            return Letter { subject, heading, sections, ..letter };
        }
        Letter { sections, ..letter }
    }

    /// Returns the letter about a job that was cancelled.
    pub(super) fn cancelled(&self) -> Letter {
        let mut sections = vec![
            Section::new(self.own("happened"), Content::Words(vec![self.own("cancelled-happened")])),
            Section::new(self.own("advice"), Content::Words(vec![self.own("cancelled-advice")])),
        ];
        sections.extend(self.request());
        Letter { sections, ..self.letter("cancelled") }
    }

    /// Returns the letter to the operator about a failure that only they can fix.
    pub(super) fn needs_operator(&self, failure: &Failure) -> Letter {
        let facts = vec![
            Fact::new(self.own("export"), shorten(&self.job.export)),
            Fact::new(self.own("requester"), self.job.requested_by.as_str()),
            Fact::new(self.own("failure"), failure.code.as_str()),
            Fact::new(self.own("attempts"), self.job.attempt.to_string()),
        ];
        let message = failure.words(self.language).message;
        let mut sections = vec![
            Section::without_heading(Content::Words(vec![self.own("operator-notified")])),
            Section::without_heading(Content::Facts(facts)),
            Section::new(self.own("happened"), Content::Words(vec![message])),
        ];
        sections.push(self.where_to_look());
        Letter { sections, ..self.letter("operator") }
    }

    /// Returns the letter to the operator about a notice that was refused.
    pub(super) fn of_refusal(&self) -> Letter {
        let facts = vec![
            Fact::new(self.own("export"), shorten(&self.job.export)),
            Fact::new(self.own("requester"), self.job.requested_by.as_str()),
        ];
        let mut sections = vec![
            Section::without_heading(Content::Words(vec![self.own("refusal-instead")])),
            Section::without_heading(Content::Facts(facts)),
        ];
        sections.push(self.where_to_look());
        let footer = self.own("footer-operator");
        let (subject, heading) = (self.own("refusal-subject"), self.own("refusal-heading"));
        let state = self.own("refusal-state");
        Letter {
            subject,
            state,
            heading,
            action: None,
            sections,
            fine_print: vec![self.job_number()],
            footer,
        }
    }

    /// Returns what letters of a kind have in common.
    fn letter(&self, kind: &str) -> Letter {
        let action = |url: &str| Action { label: self.own(&format!("{kind}-action")), url: one_line(url) };
        let footer = if kind == "operator" { "footer-operator" } else { "footer-requester" };
        Letter {
            subject: self.own(&format!("{kind}-subject")),
            state: self.own(&format!("{kind}-state")),
            heading: self.own(&format!("{kind}-heading")),
            action: self.context.link.map(action),
            sections: Vec::new(),
            fine_print: vec![self.job_number()],
            footer: self.own(footer),
        }
    }

    fn facts_of_file(&self, receipt: &Receipt) -> Vec<Fact> {
        // Receipts of earlier versions have no zone of the query.
        let zone = if receipt.sql_time_zone.is_empty() { &receipt.time_zone } else { &receipt.sql_time_zone };
        let at = |at| moment(at, zone, self.language);
        let file_name = |name: &str| Value::from(one_line(name));
        let mut facts = Vec::new();
        match &receipt.files[..] {
            [file] => facts.push(Fact::new(self.own("file"), one_line(&file.file_name))),
            files => {
                for file in files.iter().take(MAX_LINES) {
                    let named = [("file", file_name(&file.file_name)), ("rows", file.rows.into())];
                    facts.push(Fact::new(self.own("file"), self.with("file-with-rows", named)));
                }
                facts.push(Fact::new(self.own("files"), grouped(files.len() as u64)));
            }
        }
        facts.push(Fact::new(self.own("rows"), grouped(receipt.rows)));
        facts.push(Fact::new(self.own("size"), size_in(receipt.bytes, self.language)));
        facts.push(Fact::new(self.own("as-of"), at(receipt.as_of)));
        if receipt.continued {
            let until = self.with("until-several-runs", [("moment", at(receipt.completed_at).into())]);
            facts.push(Fact::new(self.own("until"), until));
        }
        facts.push(Fact::new(self.own("kept-until"), at(receipt.expires_at)));
        let zones = match receipt.time_zone.as_str() {
            of_file if of_file == zone => zone.clone(),
            of_file => {
                self.with("time-zone-of-file", [("zone", zone.as_str().into()), ("file", of_file.into())])
            }
        };
        facts.push(Fact::new(self.own("time-zone"), one_line(&zones)));
        facts
    }

    fn changes(&self, receipt: &Receipt) -> Option<Section> {
        let columns = receipt.changes.iter().take(MAX_LINES);
        let mut entries: Vec<(String, Vec<String>)> = columns
            .map(|(column, counts)| (shorten(column), changes(counts, self.language).collect()))
            .collect();
        if let Some(more) = receipt.changes.len().checked_sub(MAX_LINES).filter(|more| *more > 0) {
            entries.push((self.with("changes-more", [("more", more.into())]), Vec::new()));
        }
        (!entries.is_empty()).then(|| Section::new(self.own("changes"), Content::List(entries)))
    }

    /// Returns what the message asked for. `None` for one that cannot be read, or that asks for nothing in particular.
    fn request(&self) -> Option<Section> {
        let Ok(Message::Export(message)) = Message::parse(&self.job.message) else { return None };
        let params: Vec<(&str, Value)> =
            message.params.iter().map(|(name, value)| (name.as_str(), as_json(value))).collect();
        (!params.is_empty()).then(|| self.asked_for(params.iter().map(|(name, value)| (*name, value))))
    }

    fn asked_for<'v>(&self, params: impl ExactSizeIterator<Item = (&'v str, &'v Value)>) -> Section {
        let more = params.len().saturating_sub(MAX_LINES);
        let shown = params.take(MAX_LINES);
        let mut facts: Vec<Fact> =
            shown.map(|(name, value)| Fact::new(shorten(name), plain(value, self.language))).collect();
        if more > 0 {
            facts.push(Fact::new("", self.with("asked-for-more", [("more", more.into())])));
        }
        Section::new(self.own("asked-for"), Content::Facts(facts))
    }

    fn where_to_look(&self) -> Section {
        let places = vec![
            (format!("downpipe status {}", self.job.id), vec![self.own("operator-status")]),
            (self.own("operator-log"), vec![self.own("operator-log-under")]),
        ];
        Section::new(self.own("operator-look"), Content::List(places))
    }

    fn job_number(&self) -> Fact {
        Fact::new(self.own("job"), self.job.id.as_str())
    }

    fn own(&self, id: &str) -> String {
        own(self.language, id, &self.named)
    }

    fn with<const N: usize>(&self, id: &str, named: [(&str, Value); N]) -> String {
        own(self.language, id, &args(named))
    }
}
