//! A request of the API, made into the message that a worker reads.
//!
//! What a person sends is held against the same rules as a message on the queue. Who asked, and what the token fixes, comes from the
//! token alone.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use downpipe_core::catalog::{Catalog, Definition};
use downpipe_core::message::{ExportMessage, Message, RawParam, Rejection};
use downpipe_core::request::ExportRequest;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::body::Fields;
use crate::caller::Caller;
use crate::problem::Problem;

/// The fields of a request.
const FIELDS: [&str; 5] = ["params", "profile", "format", "compression", "language"];

/// The most characters of an idempotency key.
const MAX_KEY: usize = 128;

/// Returns the idempotency key, if there is one.
///
/// # Errors
/// When it is empty, too long, or has other characters than ASCII's visible ones.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let text = key.to_str().ok().map(str::trim).filter(|key| (1..=MAX_KEY).contains(&key.len()));
    match text {
        Some(key) => Ok(Some(key.to_owned())),
        None => {
            let expected = format!("1 to {MAX_KEY} visible characters of ASCII");
            Err(Problem::wrong_values(vec![rejection("Idempotency-Key", expected, "something else")]))
        }
    }
}

/// Returns the message of a request, and the request itself.
///
/// # Errors
/// With every field that is wrong.
pub(super) fn accept<'c>(
    caller: &Caller,
    definition: &Definition,
    catalog: &'c Catalog,
    fields: Fields,
    request_id: Option<&str>,
) -> Result<(ExportMessage, ExportRequest<'c>), Problem> {
    let mut wrong = Vec::new();
    let text = message(caller, definition, fields, request_id, &mut wrong);
    let accepted = Message::parse(&text).and_then(|message| match message {
        Message::Export(message) => {
            ExportRequest::accept(&message, catalog).map(|request| Some((message, request)))
        }
        Message::Continue(_) => Ok(None),
    });
    match accepted {
        Ok(Some(accepted)) if wrong.is_empty() => return Ok(accepted),
        Ok(_) => {}
        Err(rejections) => {
            let is_new = |rejection: &&Rejection| wrong.iter().all(|other| other.field != rejection.field);
            let others: Vec<Rejection> = rejections.shown().filter(is_new).cloned().collect();
            wrong.extend(others);
        }
    }
    Err(Problem::wrong_values(wrong))
}

/// Returns the message of a request as JSON.
fn message(
    caller: &Caller,
    definition: &Definition,
    mut fields: Fields,
    request_id: Option<&str>,
    wrong: &mut Vec<Rejection>,
) -> String {
    fields.retain(|name, _| {
        let is_known = FIELDS.contains(&name.as_str());
        if !is_known {
            let expected = format!("one of the fields {}", FIELDS.join(", "));
            wrong.push(rejection(&shown(name), expected, "an unknown field"));
        }
        is_known
    });
    let params = params(caller, definition, fields.remove("params"), wrong);
    fields.extend(params.map(|params| ("params".to_owned(), params)));
    let own = [
        ("export", Some(definition.name.as_str())),
        ("requested_by", Some(caller.requester.as_str())),
        ("request_id", request_id),
    ];
    fields.extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), raw(&value?)?))));
    serde_json::to_string(&fields).unwrap_or_default()
}

/// Returns the parameters of a request with those that its token fixes.
fn params(
    caller: &Caller,
    definition: &Definition,
    sent: Option<Box<RawValue>>,
    wrong: &mut Vec<Rejection>,
) -> Option<Box<RawValue>> {
    let sent = sent.filter(|sent| sent.get() != "null");
    let read = match &sent {
        // What is no object is refused with the rest of the message.
        Some(sent) => match serde_json::from_str::<Fields>(sent.get()) {
            Ok(read) => read,
            Err(_) => return Some(sent.clone()),
        },
        None => Fields::new(),
    };
    let mut params: BTreeMap<String, Box<RawValue>> = caller.params.clone();
    for (name, value) in read.into_iter().filter(|(_, value)| value.get() != "null") {
        if may_give(caller, definition, &name, value.get()) {
            params.insert(name, value);
        } else {
            wrong.push(not_of_the_token(&name));
        }
    }
    raw(&params)
}

/// Checks a request of the past against the token of now: what the token fixes it had, and what only a token may give is this one's.
///
/// # Errors
/// With every parameter that is wrong.
pub(super) fn check_params(
    caller: &Caller,
    definition: &Definition,
    params: &BTreeMap<String, RawParam>,
) -> Result<(), Problem> {
    let given = params.iter().filter(|(name, value)| !may_give(caller, definition, name, &value.to_string()));
    let left_out = caller.params.keys().filter(|name| !params.contains_key(*name));
    let wrong: Vec<Rejection> =
        given.map(|(name, _)| name).chain(left_out).map(|name| not_of_the_token(name)).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Problem::wrong_values(wrong)) }
}

/// Returns whether a person may give a parameter this value, as JSON: any, but for one that their token fixes, and for one that only a
/// token may give.
fn may_give(caller: &Caller, definition: &Definition, name: &str, value: &str) -> bool {
    match caller.params.get(name) {
        Some(fixed) => is_same_json(fixed.get(), value),
        None => !definition.params.get(name).is_some_and(|param| param.locked),
    }
}

/// Returns whether two values are the same, however their strings are escaped. Numbers are compared digit for digit, as no type has
/// room for all of them.
fn is_same_json(one: &str, other: &str) -> bool {
    let string = |json| serde_json::from_str::<String>(json).ok();
    one == other || string(one).is_some_and(|one| string(other) == Some(one))
}

fn not_of_the_token(name: &str) -> Rejection {
    let field = format!("params.{}", shown(name));
    rejection(&field, "no value but that of the app's token".to_owned(), "another value")
}

/// Returns a name for an error, which need not be long.
fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}

fn raw(value: &impl Serialize) -> Option<Box<RawValue>> {
    to_raw_value(value).ok()
}

fn rejection(field: &str, expected: String, actual: &str) -> Rejection {
    Rejection { field: field.to_owned(), expected, actual: actual.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_same_whatever_their_escapes_and_by_each_digit() {
        assert!(
            is_same_json(r#""open""#, r#""\u006fpen""#)
                && is_same_json("7", "7")
                && is_same_json("true", "true")
        );
        for (one, other) in [("7", r#""7""#), ("7", "7.0"), ("18446744073709551617", "18446744073709551618")]
        {
            assert!(!is_same_json(one, other), "{one} and {other}");
        }
    }
}
