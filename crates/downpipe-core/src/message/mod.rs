//! The message on the queue. Keeps numbers as the text that was sent, so that `9007199254740993` and `0.10` stay what they are.

mod new_job;
mod parse;
mod rejection;

pub use self::new_job::Incoming;
pub use self::parse::MAX_BODY_BYTES;
pub use self::rejection::{Rejection, Rejections};
pub(crate) use self::rejection::{cut, one_of, shorten};

use std::collections::BTreeMap;

use crate::job::JobId;
use crate::language::Language;
use crate::requester::{InvalidRequester, Requester};
use crate::untrusted_text::escaped_json;

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A new export.
    Export(ExportMessage),
    /// A job to resume. Harmless when it has ended.
    Continue(JobId),
}

/// A message that asks for an export, its fields well-formed but not yet held against the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportMessage {
    /// The definition's name.
    pub export: String,
    /// Parameters by name.
    pub params: BTreeMap<String, RawParam>,
    /// Who asked.
    pub requested_by: Requester,
    /// The idempotency key, if the sender chose one.
    pub request_id: Option<String>,
    /// Profile instead of the definition's.
    pub profile: Option<String>,
    /// Format instead of the definition's.
    pub format: Option<String>,
    /// Compression instead of the definition's.
    pub compression: Option<String>,
    /// The language that the requester reads. Part of neither a job's identity nor its fingerprint.
    pub language: Option<Language>,
}

/// A parameter's value as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawParam {
    /// A JSON string, or text from a command line.
    Text(String),
    /// A JSON number, digit for digit.
    Number(String),
    /// `true` or `false`.
    Boolean(bool),
}

impl Message {
    /// Returns the message as JSON, which parses to the same message.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Export(message) => message.to_json(),
            Self::Continue(id) => format!("{{\"continue\":{}}}", quoted(id.as_str())),
        }
    }
}

impl ExportMessage {
    /// Returns the message as JSON for a queue or for the ledger, which parses to the same message.
    #[must_use]
    pub fn to_json(&self) -> String {
        let optional = [
            ("request_id", &self.request_id),
            ("profile", &self.profile),
            ("format", &self.format),
            ("compression", &self.compression),
        ];
        let mut json = format!("{{\"export\":{}", quoted(&self.export));
        if !self.params.is_empty() {
            let params: Vec<String> = self
                .params
                .iter()
                .map(|(name, value)| format!("{}:{}", quoted(name), value.to_json()))
                .collect();
            json += &format!(",\"params\":{{{}}}", params.join(","));
        }
        json += &format!(",\"requested_by\":{}", quoted(self.requested_by.as_str()));
        for (name, value) in optional {
            if let Some(value) = value {
                json += &format!(",\"{name}\":{}", quoted(value));
            }
        }
        if let Some(language) = self.language {
            json += &format!(",\"language\":\"{language}\"");
        }
        json + "}"
    }
}

impl RawParam {
    fn to_json(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Number(number) => number.clone(),
            Self::Boolean(boolean) => boolean.to_string(),
        }
    }
}

impl std::fmt::Display for RawParam {
    /// Writes the value as the sender did: a string in quotes, so that `"5"` and `5` look different in an error.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_json())
    }
}

pub(crate) fn requester(text: &str, wrong: &mut Vec<Rejection>) -> Option<Requester> {
    let invalid = |expected| Rejection::new("requested_by", format!("{expected}"), format!("{text:?}"));
    text.parse().map_err(|error: InvalidRequester| wrong.push(invalid(error))).ok()
}

/// Returns a text as a JSON string. SQS takes no character that XML cannot carry, so those are escaped.
pub(super) fn quoted(text: &str) -> String {
    escaped_json(&serde_json::Value::from(text).to_string()).into_owned()
}
