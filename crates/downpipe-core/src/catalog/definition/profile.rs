//! `[profiles.<name>]`: a definition's own profiles.

use std::borrow::Cow;
use std::collections::BTreeMap;

use downpipe_format::{Charset, LineEnd, Profile, Quoting, UnknownName};
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::catalog::definition::time_zone;

/// Delimiters that cannot be part of a number, a date or a quoted field.
const DELIMITERS: &str = ",;|^~\t";

/// Built-in profiles that can be a base. `lossless` cannot: with a change it would not be lossless.
const BASES: [Profile; 3] = [Profile::PLAIN, Profile::EXCEL, Profile::EXCEL_CP932];

/// `[profiles.<name>]` as the file has it. Keys that are left out have the values of `base`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProfile {
    base: Option<String>,
    delimiter: Option<String>,
    quote: Option<String>,
    quoting: Option<RawQuoting>,
    line_end: Option<RawLineEnd>,
    header: Option<bool>,
    null: Option<String>,
    byte_order_mark: Option<bool>,
    encoding: Option<String>,
    escape_formulas: Option<bool>,
    time_zone: Option<String>,
    decimal: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawQuoting {
    Needed,
    Always,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawLineEnd {
    Lf,
    CrLf,
}

/// Returns the profile of this name, built in or own, with the time zone of its definition.
pub(super) fn named(
    name: &str,
    own: &BTreeMap<String, Profile>,
    zone: &TimeZone,
) -> Result<Profile, UnknownName> {
    let profile = Profile::built_in(name).or_else(|| own.get(name).cloned());
    profile.map(|profile| time_zone::profile_in(zone, profile)).ok_or_else(|| UnknownName {
        allowed: Profile::ALL.iter().chain(own.values()).map(|profile| profile.name.to_string()).collect(),
        actual: name.to_owned(),
    })
}

impl RawProfile {
    /// Returns the profile, or the wrong key with what was expected and what came.
    pub(super) fn read(self, name: &str) -> Result<Profile, String> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(word) {
            return Err(format!(
                ": expected a name of 1 to 64 characters out of a-z, 0-9, _ and -, got {name:?}"
            ));
        }
        if Profile::built_in(name).is_some() {
            return Err(": this name is built in".to_owned());
        }
        let base = self.base.as_deref().unwrap_or("plain");
        let base = BASES.into_iter().find(|profile| profile.name == base).ok_or_else(|| {
            let bases = BASES.map(|profile| profile.name.into_owned()).join(", ");
            format!(".base: expected one of {bases}, got {base:?}")
        })?;
        let charset = self.encoding.as_deref().map_or(Ok(base.charset), Charset::named);
        let charset = charset.map_err(|error| format!(".encoding: {error}"))?;
        if self.byte_order_mark == Some(true) && charset != Charset::UTF_8 {
            return Err(format!(".byte_order_mark: expected none in {}, only UTF-8 has one", charset.name()));
        }
        let zone = self
            .time_zone
            .as_deref()
            .map(|name| time_zone::read(name).map_err(|reason| format!(".time_zone: {reason}")));
        let profile = Profile {
            name: Cow::Owned(name.to_owned()),
            delimiter: one_of(".delimiter", self.delimiter.as_deref(), DELIMITERS, base.delimiter)?,
            quote: one_of(".quote", self.quote.as_deref(), "\"'", base.quote)?,
            quoting: self.quoting.map_or(base.quoting, Into::into),
            escape: false,
            line_end: self.line_end.map_or(base.line_end, Into::into),
            header: self.header.unwrap_or(base.header),
            null: self.null.map_or(base.null, Cow::Owned),
            byte_order_mark: self.byte_order_mark.unwrap_or(base.spreadsheet && charset == Charset::UTF_8),
            charset,
            escape_formulas: self.escape_formulas.unwrap_or(base.escape_formulas),
            spreadsheet: base.spreadsheet,
            time_zone: zone.transpose()?,
            decimal: one_of(".decimal", self.decimal.as_deref(), ".,", base.decimal)?,
        };
        check(profile)
    }
}

/// Checks keys that are right by themselves and wrong together.
fn check(profile: Profile) -> Result<Profile, String> {
    if profile.decimal == profile.delimiter {
        return Err(".decimal: expected another character than the delimiter, got \",\" for both".to_owned());
    }
    // A tab is the delimiter of TSV, whatever the profile says.
    let special = [profile.delimiter, profile.quote, b'\t', b'\r', b'\n'];
    let readable = profile.null.is_ascii() && !profile.null.bytes().any(|b| special.contains(&b));
    // Numbers, dates and bytes are not quoted; a text of the same letters is.
    let value = profile.null.bytes().any(|b| b.is_ascii_digit())
        || (!profile.null.is_empty() && profile.null.bytes().all(|b| b.is_ascii_hexdigit()));
    if !readable || value {
        return Err(format!(
            ".null: expected ASCII characters without digits, tabs, delimiters, quotes and line breaks, and not only of the \
             letters A to F, got {:?}",
            profile.null
        ));
    }
    Ok(profile)
}

pub(crate) fn one_of(key: &str, given: Option<&str>, allowed: &str, base: u8) -> Result<u8, String> {
    let Some(given) = given else { return Ok(base) };
    match given.as_bytes() {
        [byte] if allowed.as_bytes().contains(byte) => Ok(*byte),
        _ => {
            let allowed: Vec<String> = allowed.chars().map(|c| format!("{:?}", c.to_string())).collect();
            Err(format!("{key}: expected one of {}, got {given:?}", allowed.join(" ")))
        }
    }
}

impl From<RawQuoting> for Quoting {
    fn from(raw: RawQuoting) -> Self {
        match raw {
            RawQuoting::Needed => Self::Needed,
            RawQuoting::Always => Self::Always,
        }
    }
}

impl From<RawLineEnd> for LineEnd {
    fn from(raw: RawLineEnd) -> Self {
        match raw {
            RawLineEnd::Lf => Self::Lf,
            RawLineEnd::CrLf => Self::CrLf,
        }
    }
}
