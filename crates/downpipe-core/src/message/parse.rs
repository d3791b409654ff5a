//! Parses untrusted JSON into a [`Message`], or rejects it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::rejection::{Rejection, Rejections, shorten};
use super::{ExportMessage, Message, RawParam, requester};
use crate::job::JobId;
use crate::language::{InvalidLanguage, Language};
use crate::requester::Requester;

/// The most bytes that a message body may have. SQS takes more; a request has no use for it.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

const FIELDS: [&str; 8] =
    ["export", "params", "requested_by", "request_id", "profile", "format", "compression", "language"];

const MAX_REQUEST_ID: usize = 128;

/// The most characters of an unknown export's name. A definition's name is shorter.
const MAX_EXPORT: usize = 128;

impl Message {
    /// Parses a message body.
    ///
    /// # Errors
    /// When it is not a JSON object, or a field is unknown, missing or of the wrong type. Names every wrong field.
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
}

/// Who asked for what, as far as a message says it, however wrong the rest of it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartialRequest {
    pub(crate) requested_by: Requester,
    pub(crate) export: String,
    pub(crate) request_id: Option<String>,
    pub(crate) language: Option<Language>,
}

impl PartialRequest {
    pub(crate) fn of_body(body: &str) -> Self {
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(body).unwrap_or_default();
        let text = |name: &str| string(name, fields.get(name)?, &mut Vec::new());
        let valid = |name: &str, max| {
            let text = text(name)?;
            let mut wrong = Vec::new();
            check_text(name, &text, max, &mut wrong);
            wrong.is_empty().then_some(text)
        };
        Self {
            requested_by: text("requested_by")
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(Requester::operator),
            export: valid("export", MAX_EXPORT).unwrap_or_default(),
            request_id: valid("request_id", MAX_REQUEST_ID),
            language: text("language").and_then(|text| text.parse().ok()),
        }
    }
}

impl From<&ExportMessage> for PartialRequest {
    fn from(message: &ExportMessage) -> Self {
        Self {
            requested_by: message.requested_by.clone(),
            export: message.export.clone(),
            request_id: message.request_id.clone(),
            language: message.language,
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
    // A field that is null counts as left out.
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
    let requested_by = optional("requested_by", &mut wrong).and_then(|text| requester(&text, &mut wrong));
    let request_id = optional("request_id", &mut wrong);
    if let Some(request_id) = &request_id {
        check_text("request_id", request_id, MAX_REQUEST_ID, &mut wrong);
    }
    let profile = optional("profile", &mut wrong);
    let format = optional("format", &mut wrong);
    let compression = optional("compression", &mut wrong);
    let language = optional("language", &mut wrong).and_then(|text| language(&text, &mut wrong));
    let params = given("params").map(|raw| parse_params(raw, &mut wrong)).unwrap_or_default();
    Rejections::none_of(wrong)?;
    let export = export.unwrap_or_default();
    let requested_by = requested_by.unwrap_or_else(Requester::operator);
    Ok(ExportMessage { export, params, requested_by, request_id, profile, format, compression, language })
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
            // JSON allows a string that is no text: "\ud800" is half a character.
            let half = raw.get().starts_with('"');
            let expected = if half { "a string of whole characters" } else { "a string" };
            wrong.push(Rejection::new(name, expected, describe(raw)));
        })
        .ok()
}

fn language(text: &str, wrong: &mut Vec<Rejection>) -> Option<Language> {
    let invalid =
        |expected: InvalidLanguage| Rejection::new("language", expected.to_string(), format!("{text:?}"));
    text.parse().map_err(|error| wrong.push(invalid(error))).ok()
}

fn check_text(name: &str, text: &str, max: usize, wrong: &mut Vec<Rejection>) {
    let length = text.chars().count();
    if text.trim().is_empty() || length > max || text.chars().any(char::is_control) {
        let expected = format!("1 to {max} characters and none of them a control character");
        let actual = if length > max { format!("{length} characters") } else { format!("{text:?}") };
        wrong.push(Rejection::new(name, expected, actual));
    }
}

fn not_an_object(body: &str) -> Rejections {
    let actual = match serde_json::from_str::<&RawValue>(body) {
        Ok(raw) => describe(raw),
        Err(_) if body.trim().is_empty() => "an empty body".to_owned(),
        Err(error) => format!("{:?}, which is not JSON ({error})", shorten(body)),
    };
    // The text is short already, and the parser's position after it must not be cut off.
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
