//! Reads a [`Definition`] from TOML. Checks what serde cannot check, and reports the line.
//!
//! Larger tables have files of their own: [`params`](super::params), [`query`](super::query), [`output`](super::output).

use std::collections::BTreeMap;

use downpipe_format::{ColumnOptions, Layout, Profile, same_name};
use jiff::tz::TimeZone;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use super::column::RawColumn;
use super::output::{RawOutput, read_output};
use super::params::{RawDefinitionParam, read_params};
use super::profile::RawProfile;
use super::query::{RawResume, read_resume, read_sql, read_sql_mode};
use super::source_text::Source;
use super::throttle::{RawThrottle, read_throttle};
use super::translation::{RawTranslation, read_translation};
use super::{time_zone, toml_error, warnings};
use crate::catalog::definition::{
    Access, Definition, DefinitionError, Limits, LinkAccess, Places, REQUESTED_BY,
};
use crate::catalog::sql::SqlTemplate;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDefinition {
    title: Spanned<String>,
    description: Option<String>,
    time_zone: Option<Spanned<String>>,
    sql: Spanned<String>,
    sql_mode: Option<Spanned<String>>,
    #[serde(default)]
    params: BTreeMap<Spanned<String>, Spanned<RawDefinitionParam>>,
    resume: Option<Spanned<RawResume>>,
    #[serde(default)]
    columns: BTreeMap<Spanned<String>, RawColumn>,
    #[serde(default)]
    profiles: BTreeMap<Spanned<String>, RawProfile>,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    throttle: RawThrottle,
    #[serde(default)]
    access: RawAccess,
    #[serde(default)]
    output: RawOutput,
    #[serde(default)]
    ja: RawTranslation,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    rows: Option<std::num::NonZeroU64>,
    bytes: Option<std::num::NonZeroU64>,
    seconds: Option<std::num::NonZeroU64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawAccess {
    requesters: Option<Vec<Spanned<String>>>,
    shared: Option<Spanned<bool>>,
    link: Option<Spanned<String>>,
}

impl Definition {
    /// Reads a definition. Errors name `file`, whose stem is the definition's name.
    ///
    /// # Errors
    /// The first mistake, with its line.
    pub fn parse(file: &str, text: &str) -> Result<Self, DefinitionError> {
        let source = Source { file, text };
        let name = name_of(file).map_err(|reason| source.wrong(0..0, reason))?;
        let raw: RawDefinition = toml::from_str(text).map_err(|error| toml_error::read(&source, &error))?;
        if raw.title.get_ref().trim().is_empty() {
            return Err(source.wrong(raw.title.span(), "title: expected some text, got none".to_owned()));
        }
        let places = source.places(&raw);
        let time_zone = read_time_zone(&source, raw.time_zone.as_ref())?;
        let param_order = in_order(&raw.params);
        let params = read_params(&source, raw.params, &time_zone)?;
        let ja = read_translation(&source, raw.ja, &params)?;
        let mode = read_sql_mode(&source, raw.sql_mode.as_ref())?;
        let sql = read_sql(&source, &raw.sql, mode, &params, raw.resume.is_some())?;
        let resume = raw.resume.map(|resume| read_resume(&source, &resume, &sql)).transpose()?;
        let profiles = read_profiles(&source, raw.profiles)?;
        let output = read_output(&source, name, &raw.output, &params, &profiles, &time_zone)?;
        let limits: Limits = raw.limits.into();
        let access = read_access(&source, raw.access, &sql)?;
        let mut definition = Self {
            name: name.to_owned(),
            title: raw.title.into_inner(),
            description: raw.description,
            time_zone,
            sql,
            params,
            resume,
            layout: read_columns(&source, raw.columns)?,
            profiles,
            limits,
            throttle: read_throttle(&source, raw.throttle)?,
            access,
            output,
            ja,
            param_order,
            sha256: hex::encode(Sha256::digest(text)),
            warnings: Vec::new(),
            places,
        };
        definition.warnings = warnings::find(&source, &definition, &raw.sql, mode, raw.time_zone.is_some());
        Ok(definition)
    }
}

/// Returns the name of a file without its folders and its ending.
pub(super) fn stem(file: &str) -> &str {
    let base = file.rsplit('/').next().unwrap_or(file);
    base.strip_suffix(".toml").unwrap_or(base)
}

fn name_of(file: &str) -> Result<&str, String> {
    let name = stem(file);
    let tail = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    let head = name.bytes().next().is_some_and(|c| tail(c) && c != b'_' && c != b'-');
    if head && name.len() <= 64 && name.bytes().all(tail) {
        Ok(name)
    } else {
        Err(format!(
            "expected a file name of 1 to 64 characters out of a-z, 0-9, _ and -, the first a letter or a digit, got {name:?}"
        ))
    }
}

/// Returns the names of parameters in the order of the file.
fn in_order<T>(params: &BTreeMap<Spanned<String>, T>) -> Vec<String> {
    let mut names: Vec<&Spanned<String>> = params.keys().collect();
    names.sort_by_key(|name| name.span().start);
    names.into_iter().map(|name| name.get_ref().clone()).collect()
}

fn read_time_zone(source: &Source<'_>, raw: Option<&Spanned<String>>) -> Result<TimeZone, DefinitionError> {
    let Some(raw) = raw else { return Ok(TimeZone::UTC) };
    time_zone::read(raw.get_ref()).map_err(|reason| source.wrong(raw.span(), format!("time_zone: {reason}")))
}

fn read_columns(
    source: &Source<'_>,
    raw: BTreeMap<Spanned<String>, RawColumn>,
) -> Result<Layout, DefinitionError> {
    let mut columns: BTreeMap<String, ColumnOptions> = BTreeMap::new();
    for (name, raw) in raw {
        if let Some(other) = columns.keys().find(|other| same_name(other, name.get_ref())) {
            let reason =
                format!("columns.{}: the same column as {other:?}; names ignore case", name.get_ref());
            return Err(source.wrong(name.span(), reason));
        }
        columns.insert(name.into_inner(), raw.into());
    }
    Ok(Layout::new(columns))
}

fn read_profiles(
    source: &Source<'_>,
    raw: BTreeMap<Spanned<String>, RawProfile>,
) -> Result<BTreeMap<String, Profile>, DefinitionError> {
    let read = |(name, raw): (Spanned<String>, RawProfile)| {
        let span = name.span();
        let name = name.into_inner();
        match raw.read(&name) {
            Ok(profile) => Ok((name, profile)),
            Err(reason) => Err(source.wrong(span, format!("profiles.{name}{reason}"))),
        }
    };
    raw.into_iter().map(read).collect()
}

fn read_access(source: &Source<'_>, raw: RawAccess, sql: &SqlTemplate) -> Result<Access, DefinitionError> {
    let read = |pattern: &Spanned<String>| {
        let wrong = |reason| source.wrong(pattern.span(), format!("access.requesters: {reason}"));
        Access::pattern(pattern.get_ref()).map_err(wrong)
    };
    let requesters = raw.requesters.map(|patterns| patterns.iter().map(read).collect()).transpose()?;
    let shared = raw.shared.filter(|shared| *shared.get_ref());
    if let Some(shared) = &shared
        && sql.placeholders().any(|name| name == REQUESTED_BY)
    {
        let reason = "access.shared: expected no `:requested_by` in the SQL, whose result differs between requesters, or shared = false";
        return Err(source.wrong(shared.span(), reason.to_owned()));
    }
    let link = match raw.link.as_ref().map(|link| (link.get_ref().as_str(), link.span())) {
        None | Some(("requester", _)) => LinkAccess::Requester,
        Some(("holder", _)) => LinkAccess::Holder,
        Some((other, span)) => {
            let reason = format!("access.link: expected \"requester\" or \"holder\", got {other:?}");
            return Err(source.wrong(span, reason));
        }
    };
    Ok(Access { requesters, shares_results: shared.is_some(), link })
}

impl From<RawLimits> for Limits {
    fn from(raw: RawLimits) -> Self {
        Self {
            rows: raw.rows.map(Into::into),
            bytes: raw.bytes.map(Into::into),
            seconds: raw.seconds.map(Into::into),
        }
    }
}

impl Source<'_> {
    fn places(&self, raw: &RawDefinition) -> Places {
        let columns = raw.columns.keys().map(|name| (format!("columns.{}", name.get_ref()), name.span()));
        let resume = raw.resume.as_ref().map(|resume| ("resume".to_owned(), resume.span()));
        let zone = raw.time_zone.as_ref().map(|zone| ("time_zone".to_owned(), zone.span()));
        let format = raw.output.format.as_ref().or(raw.output.compression.as_ref());
        let format = format.map(|format| ("output.format".to_owned(), format.span()));
        let spans =
            columns.chain(resume).chain(zone).chain(format).chain([("sql".to_owned(), raw.sql.span())]);
        let lines = spans.map(|(key, span)| (key, self.line(span.start))).collect();
        Places { file: self.file.to_owned(), lines }
    }
}
