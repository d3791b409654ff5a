//! `[params]`: what a request may say, with its default and the values that are allowed.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use super::source_text::Source;
use crate::catalog::definition::{AFTER, DefinitionError, REQUESTED_BY};
use crate::catalog::params::Param;
use crate::catalog::value::{ParamType, Value};
use crate::message::RawParam;

/// A parameter as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDefinitionParam {
    #[serde(rename = "type")]
    kind: ParamType,
    required: Option<bool>,
    default: Option<Spanned<Scalar>>,
    #[serde(default)]
    one_of: Vec<Spanned<Scalar>>,
    label: Option<String>,
    help: Option<String>,
    #[serde(default)]
    locked: bool,
    max_length: Option<Spanned<usize>>,
}

/// A parameter's value in TOML. Dates may be written bare, as TOML has them.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a string, a whole number, a boolean or a date (a decimal number is written as a string)"
)]
pub(super) enum Scalar {
    Boolean(bool),
    Integer(i64),
    Datetime(toml::value::Datetime),
    Text(String),
}

impl From<&Scalar> for RawParam {
    fn from(scalar: &Scalar) -> Self {
        match scalar {
            Scalar::Boolean(boolean) => Self::Boolean(*boolean),
            Scalar::Integer(number) => Self::Number(number.to_string()),
            Scalar::Datetime(datetime) => Self::Text(datetime.to_string()),
            Scalar::Text(text) => Self::Text(text.clone()),
        }
    }
}

impl From<Scalar> for RawParam {
    fn from(scalar: Scalar) -> Self {
        (&scalar).into()
    }
}

/// Reads the parameters, by name.
pub(super) fn read_params(
    source: &Source<'_>,
    raw: BTreeMap<Spanned<String>, Spanned<RawDefinitionParam>>,
    time_zone: &TimeZone,
) -> Result<BTreeMap<String, Param>, DefinitionError> {
    let mut params = BTreeMap::new();
    for (name, raw) in raw {
        let word = name.get_ref().bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if !word || name.get_ref().is_empty() {
            let reason =
                format!("params: expected a name of letters, digits and _, got {:?}", name.get_ref());
            return Err(source.wrong(name.span(), reason));
        }
        if [REQUESTED_BY, AFTER].contains(&name.get_ref().as_str()) {
            let reason = format!("params.{}: this name is built in", name.get_ref());
            return Err(source.wrong(name.span(), reason));
        }
        let param = read_param(source, name.get_ref(), raw, time_zone)?;
        params.insert(name.into_inner(), param);
    }
    Ok(params)
}

/// Reads one parameter.
fn read_param(
    source: &Source<'_>,
    name: &str,
    raw: Spanned<RawDefinitionParam>,
    time_zone: &TimeZone,
) -> Result<Param, DefinitionError> {
    let raw = raw.into_inner();
    if let Some(most) = raw.max_length.as_ref().filter(|_| raw.kind != ParamType::String) {
        let reason = format!("params.{name}.max_length: only a string has a length");
        return Err(source.wrong(most.span(), reason));
    }
    let mut param = Param {
        kind: raw.kind,
        required: raw.required.unwrap_or(raw.default.is_none()),
        default: None,
        one_of: Vec::new(),
        label: raw.label,
        help: raw.help,
        locked: raw.locked,
        max_length: raw.max_length.map(Spanned::into_inner),
    };
    let read = |param: &Param, key: &str, scalar: Spanned<Scalar>| {
        let span = scalar.span();
        let field = format!("params.{name}.{key}");
        param
            .read(&field, Some(&scalar.into_inner().into()), time_zone)
            .map_err(|error| source.wrong(span, error.to_string()))
    };
    let one_of: Result<Vec<Value>, _> =
        raw.one_of.into_iter().map(|value| read(&param, "one_of", value)).collect();
    param.one_of = one_of?;
    // Read last, so that the default must be one of the allowed values, too.
    param.default = raw.default.map(|value| read(&param, "default", value)).transpose()?;
    Ok(param)
}
