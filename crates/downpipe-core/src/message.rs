//! The message on the queue: JSON from a stranger, turned into a [`Message`] or refused.
//!
//! Numbers are kept as the text that was sent, so that `9007199254740993` and `0.10` stay what they are.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::job::JobId;
use crate::rejection::{Rejection, Rejections, shorten};

/// The most bytes a message body may have. SQS itself takes more; a request has no use for it.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Who asked, when the message does not say.
pub const OPERATOR: &str = "operator";

const FIELDS: [&str; 7] =
    ["export", "params", "requested_by", "request_id", "profile", "format", "compression"];
/// RFC 5321 allows an address no more than 254 characters.
const MAX_REQUESTER: usize = 254;
const MAX_REQUEST_ID: usize = 128;
/// A definition's name is shorter; this is what an unknown one may have.
const MAX_EXPORT: usize = 128;

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A new export.
    Export(ExportMessage),
    /// Go on with a job that is not finished. Harmless when it is.
    Continue(JobId),
}

/// A message that asks for an export, its fields well-formed but not yet held against the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportMessage {
    /// The definition's name.
    pub export: String,
    /// Parameters by name.
    pub params: BTreeMap<String, RawParam>,
    /// An e-mail address, or [`OPERATOR`].
    pub requested_by: String,
    /// The idempotency key, if the sender chose one.
    pub request_id: Option<String>,
    /// Profile instead of the definition's.
    pub profile: Option<String>,
    /// Format instead of the definition's.
    pub format: Option<String>,
    /// Compression instead of the definition's.
    pub compression: Option<String>,
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
    /// Reads a message body.
    ///
    /// # Errors
    /// When it is not a JSON object, or a field is unknown, missing or of the wrong type. All wrong fields are named.
    pub fn parse(body: &str) -> Result<Self, Rejections> {
        if body.len() > MAX_BODY_BYTES {
            let expected = format!("at most {MAX_BODY_BYTES} bytes");
            return Err(Rejection::new("message", expected, format!("{} bytes", body.len())).into());
        }
        let fields: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(body).map_err(|_| not_an_object(body))?;
        if let Some(job) = fields.get("continue") {
            return parse_continue(&fields, job).map(Self::Continue);
        }
        parse_export(&fields).map(Self::Export)
    }

    /// The message as JSON. Reading it again gives the same message.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Export(message) => message.to_json(),
            Self::Continue(id) => format!("{{\"continue\":{}}}", quoted(id.as_str())),
        }
    }
}

impl ExportMessage {
    /// The message as JSON, for a queue or for the ledger. Reading it again gives the same message.
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
        json += &format!(",\"requested_by\":{}", quoted(&self.requested_by));
        for (name, value) in optional {
            if let Some(value) = value {
                json += &format!(",\"{name}\":{}", quoted(value));
            }
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
    /// As the sender wrote it: a string in quotes, so that `"5"` and `5` look different in an error.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// Who asked for what, as far as a message says it, be the rest of it ever so wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Legible {
    pub(crate) requested_by: String,
    pub(crate) export: String,
    pub(crate) request_id: Option<String>,
}

impl Legible {
    pub(crate) fn of_body(body: &str) -> Self {
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(body).unwrap_or_default();
        let legible = |name: &str, most| {
            let text = string(name, fields.get(name)?, &mut Vec::new())?;
            let mut wrong = Vec::new();
            check_text(name, &text, most, &mut wrong);
            wrong.is_empty().then_some(text)
        };
        Self {
            requested_by: legible("requested_by", MAX_REQUESTER).unwrap_or_else(|| OPERATOR.to_owned()),
            export: legible("export", MAX_EXPORT).unwrap_or_default(),
            request_id: legible("request_id", MAX_REQUEST_ID),
        }
    }
}

impl From<&ExportMessage> for Legible {
    fn from(message: &ExportMessage) -> Self {
        Self {
            requested_by: message.requested_by.clone(),
            export: message.export.clone(),
            request_id: message.request_id.clone(),
        }
    }
}

fn parse_continue(fields: &BTreeMap<String, Box<RawValue>>, job: &RawValue) -> Result<JobId, Rejections> {
    let mut wrong: Vec<Rejection> = fields
        .keys()
        .filter(|name| *name != "continue")
        .map(|name| Rejection::new(name, "no other field beside `continue`", "one"))
        .collect();
    let id = string("continue", job, &mut wrong).unwrap_or_default();
    Rejections::none_of(wrong)?;
    id.parse().map_err(|error| Rejection::new("continue", format!("{error}"), format!("{id:?}")).into())
}

fn parse_export(fields: &BTreeMap<String, Box<RawValue>>) -> Result<ExportMessage, Rejections> {
    let mut wrong = Vec::new();
    for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        wrong.push(Rejection::new(
            name,
            format!("one of the fields {}", FIELDS.join(", ")),
            "an unknown field",
        ));
    }
    // Null says the same as leaving a field out.
    let given = |name: &str| fields.get(name).filter(|raw| raw.get() != "null");
    let optional =
        |name: &str, wrong: &mut Vec<Rejection>| given(name).and_then(|raw| string(name, raw, wrong));
    let export = optional("export", &mut wrong);
    if given("export").is_none() {
        wrong.push(Rejection::new("export", "the name of an export", "nothing"));
    }
    if let Some(export) = &export {
        check_text("export", export, MAX_EXPORT, &mut wrong);
    }
    let requested_by = optional("requested_by", &mut wrong).unwrap_or_else(|| OPERATOR.to_owned());
    check_text("requested_by", &requested_by, MAX_REQUESTER, &mut wrong);
    let request_id = optional("request_id", &mut wrong);
    if let Some(request_id) = &request_id {
        check_text("request_id", request_id, MAX_REQUEST_ID, &mut wrong);
    }
    let profile = optional("profile", &mut wrong);
    let format = optional("format", &mut wrong);
    let compression = optional("compression", &mut wrong);
    let params = given("params").map(|raw| parse_params(raw, &mut wrong)).unwrap_or_default();
    Rejections::none_of(wrong)?;
    let export = export.unwrap_or_default();
    Ok(ExportMessage { export, params, requested_by, request_id, profile, format, compression })
}

fn parse_params(raw: &RawValue, wrong: &mut Vec<Rejection>) -> BTreeMap<String, RawParam> {
    let Ok(fields) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(raw.get()) else {
        wrong.push(Rejection::new("params", "an object of parameters by name", describe(raw)));
        return BTreeMap::new();
    };
    let mut params = BTreeMap::new();
    for (name, raw) in fields {
        let text = raw.get();
        let value = match text.as_bytes().first() {
            Some(b'n') => continue,
            Some(b't' | b'f') => RawParam::Boolean(text == "true"),
            Some(b'"') => match string(&format!("params.{name}"), &raw, wrong) {
                Some(text) => RawParam::Text(text),
                None => continue,
            },
            Some(b'{' | b'[') | None => {
                let field = format!("params.{name}");
                wrong.push(Rejection::new(field, "a string, a number or a boolean", describe(&raw)));
                continue;
            }
            Some(_) => RawParam::Number(text.to_owned()),
        };
        params.insert(name, value);
    }
    params
}

fn string(name: &str, raw: &RawValue, wrong: &mut Vec<Rejection>) -> Option<String> {
    serde_json::from_str(raw.get())
        .map_err(|_| {
            // JSON takes a string that is no text: "\ud800" is half a character.
            let half = raw.get().starts_with('"');
            let expected = if half { "a string of whole characters" } else { "a string" };
            wrong.push(Rejection::new(name, expected, describe(raw)));
        })
        .ok()
}

fn check_text(name: &str, text: &str, most: usize, wrong: &mut Vec<Rejection>) {
    let length = text.chars().count();
    if text.trim().is_empty() || length > most || text.chars().any(char::is_control) {
        let expected = format!("1 to {most} characters and none of them a control character");
        let actual = if length > most { format!("{length} characters") } else { format!("{text:?}") };
        wrong.push(Rejection::new(name, expected, actual));
    }
}

fn not_an_object(body: &str) -> Rejections {
    let actual = match serde_json::from_str::<&RawValue>(body) {
        Ok(raw) => describe(raw),
        Err(_) if body.trim().is_empty() => "an empty body".to_owned(),
        Err(error) => format!("{:?}, which is not JSON ({error})", shorten(body)),
    };
    // The actual text is short already, and the parser's position behind it must not be cut off.
    Rejection { field: "message".to_owned(), expected: "a JSON object".to_owned(), actual }.into()
}

fn describe(raw: &RawValue) -> String {
    let text = raw.get();
    let kind = match text.as_bytes().first() {
        Some(b'"') => "the string",
        Some(b'{') => "the object",
        Some(b'[') => "the array",
        Some(b't' | b'f') => "the boolean",
        Some(b'n') => return "null".to_owned(),
        _ => "the number",
    };
    format!("{kind} {}", shorten(text))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
