//! TOML text to a [`Definition`]. What serde cannot check is checked here, with the line it stands on.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use downpipe_format::{ColumnOptions, Compression, Format, Layout, Profile, Style, same_name};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use super::column::RawColumn;
use super::output::{FilenameTemplate, Output, Retention, parse_time};
use super::profile::{self, RawProfile};
use super::{AFTER, Access, Definition, DefinitionError, Limits, REQUESTED_BY, Resume};
use crate::job::hex;
use crate::message::RawParam;
use crate::pace::Pace;
use crate::params::{Param, ParamType, Value, parse};
use crate::sql::SqlTemplate;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDefinition {
    title: Spanned<String>,
    sql: Spanned<String>,
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
    pace: RawPace,
    #[serde(default)]
    access: RawAccess,
    #[serde(default)]
    output: RawOutput,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDefinitionParam {
    #[serde(rename = "type")]
    kind: ParamType,
    required: Option<bool>,
    default: Option<Spanned<Scalar>>,
    #[serde(default)]
    one_of: Vec<Spanned<Scalar>>,
    label: Option<String>,
    max_length: Option<Spanned<usize>>,
}

/// A parameter's value in TOML. Dates may be written bare, as TOML has them.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a string, a whole number, a boolean or a date (a decimal number is written as a string)"
)]
enum Scalar {
    Boolean(bool),
    Integer(i64),
    Datetime(toml::value::Datetime),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawResume {
    column: String,
    start: Scalar,
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
struct RawPace {
    rows_per_second: Option<std::num::NonZeroU64>,
    bytes_per_second: Option<std::num::NonZeroU64>,
    max_threads_running: Option<Spanned<u64>>,
    max_replica_lag: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawAccess {
    requesters: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawOutput {
    profile: Option<Spanned<String>>,
    format: Option<Spanned<String>>,
    compression: Option<Spanned<String>>,
    filename: Option<Spanned<String>>,
    retention: Option<Spanned<String>>,
    reuse: Option<Spanned<String>>,
}

impl Definition {
    /// Reads a definition. `file` is what an error calls it; its stem is the definition's name.
    ///
    /// # Errors
    /// The first thing wrong with it, with its line.
    pub fn parse(file: &str, text: &str) -> Result<Self, DefinitionError> {
        let source = Source { file, text };
        let name = name_of(file).map_err(|reason| source.wrong(0..0, reason))?;
        let raw: RawDefinition = toml::from_str(text)
            .map_err(|error| source.wrong(error.span().unwrap_or_default(), error.message().to_owned()))?;
        if raw.title.get_ref().trim().is_empty() {
            return Err(source.wrong(raw.title.span(), "title: expected some text, got none".to_owned()));
        }
        let params = read_params(&source, raw.params)?;
        let sql = read_sql(&source, &raw.sql, &params, raw.resume.is_some())?;
        let resume = raw.resume.map(|resume| read_resume(&source, &resume, &sql)).transpose()?;
        let profiles = read_profiles(&source, raw.profiles)?;
        let output = read_output(&source, name, &raw.output, &params, &profiles)?;
        let limits: Limits = raw.limits.into();
        if limits.exceed_a_run() && !output.style.is_continuable() {
            let key = raw.output.format.as_ref().or(raw.output.compression.as_ref());
            let (expected, actual) = (Limits::NEEDS_CONTINUING, output.style.extension());
            let reason = format!("output.format: expected {expected}, got {actual:?}");
            return Err(source.wrong(key.map(Spanned::span).unwrap_or_default(), reason));
        }
        Ok(Self {
            name: name.to_owned(),
            title: raw.title.into_inner(),
            sql,
            params,
            resume,
            layout: read_columns(&source, raw.columns)?,
            profiles,
            limits,
            pace: read_pace(&source, raw.pace)?,
            access: Access { requesters: raw.access.requesters },
            output,
            sha256: hex(&Sha256::digest(text)),
        })
    }
}

/// The text being read, to turn positions into lines.
struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn wrong(&self, span: Range<usize>, reason: String) -> DefinitionError {
        let before = self.text.get(..span.start).unwrap_or_default();
        DefinitionError { file: self.file.to_owned(), line: before.matches('\n').count() + 1, reason }
    }
}

fn name_of(file: &str) -> Result<&str, String> {
    let base = file.rsplit('/').next().unwrap_or(file);
    let name = base.strip_suffix(".toml").unwrap_or(base);
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

fn read_params(
    source: &Source<'_>,
    raw: BTreeMap<Spanned<String>, Spanned<RawDefinitionParam>>,
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
        let param = read_param(source, name.get_ref(), raw)?;
        params.insert(name.into_inner(), param);
    }
    Ok(params)
}

fn read_param(
    source: &Source<'_>,
    name: &str,
    raw: Spanned<RawDefinitionParam>,
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
        max_length: raw.max_length.map(Spanned::into_inner),
    };
    let read = |param: &Param, key: &str, scalar: Spanned<Scalar>| {
        let span = scalar.span();
        let field = format!("params.{name}.{key}");
        param
            .read(&field, Some(&scalar.into_inner().into()))
            .map_err(|error| source.wrong(span, error.to_string()))
    };
    let one_of: Result<Vec<Value>, _> =
        raw.one_of.into_iter().map(|value| read(&param, "one_of", value)).collect();
    param.one_of = one_of?;
    // Read last, so that the default too is one of the allowed.
    param.default = raw.default.map(|value| read(&param, "default", value)).transpose()?;
    Ok(param)
}

fn read_sql(
    source: &Source<'_>,
    sql: &Spanned<String>,
    params: &BTreeMap<String, Param>,
    resumes: bool,
) -> Result<SqlTemplate, DefinitionError> {
    let template = SqlTemplate::parse(sql.get_ref()).map_err(|error| {
        let mut wrong = source.wrong(sql.span(), format!("sql: {}", error.reason));
        // TOML drops the line break right after the opening quotes.
        let opened_on_own_line =
            source.text[sql.span()].trim_start_matches(['"', '\'']).starts_with(['\r', '\n']);
        wrong.line += error.line + usize::from(opened_on_own_line);
        wrong
    })?;
    for name in template.placeholders() {
        let known = params.contains_key(name) || name == REQUESTED_BY || (name == AFTER && resumes);
        if !known {
            let hint = if name == AFTER { "needs a [resume]" } else { "is not declared in [params]" };
            return Err(source.wrong(sql.span(), format!("sql: `:{name}` {hint}")));
        }
    }
    if let Some(unused) = params.keys().find(|name| !template.placeholders().any(|used| used == *name)) {
        return Err(source.wrong(sql.span(), format!("sql: the parameter `{unused}` is not used")));
    }
    Ok(template)
}

fn read_resume(
    source: &Source<'_>,
    resume: &Spanned<RawResume>,
    sql: &SqlTemplate,
) -> Result<Resume, DefinitionError> {
    if !sql.placeholders().any(|name| name == AFTER) {
        let reason =
            "resume: the SQL must filter on `:after`, or a continued export would start over".to_owned();
        return Err(source.wrong(resume.span(), reason));
    }
    if sql.is_limited() {
        let reason = "resume: the SQL must have no LIMIT on all of the result: each run would count its rows anew; use `rows` in [limits]";
        return Err(source.wrong(resume.span(), reason.to_owned()));
    }
    let RawResume { column, start } = resume.get_ref();
    let raw: RawParam = start.into();
    // TOML says which it is. A number would compare a column of texts as numbers, and lose every key with a letter in it.
    let start = parse(ParamType::Integer, &raw).filter(|_| matches!(raw, RawParam::Number(_)));
    let start = start.or_else(|| parse(ParamType::String, &raw));
    let start = start.ok_or_else(|| {
        source.wrong(resume.span(), format!("resume.start: expected a string or a whole number, got {raw}"))
    })?;
    Ok(Resume { column: column.clone(), start })
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

fn read_pace(source: &Source<'_>, raw: RawPace) -> Result<Pace, DefinitionError> {
    if let Some(few) = raw.max_threads_running.as_ref().filter(|most| *most.get_ref() < Pace::FEWEST_THREADS)
    {
        let (fewest, few, span) = (Pace::FEWEST_THREADS, few.get_ref(), few.span());
        let reason = format!(
            "pace.max_threads_running: expected at least {fewest}, because an export's own are among them, got {few}"
        );
        return Err(source.wrong(span, reason));
    }
    Ok(Pace {
        rows_per_second: raw.rows_per_second,
        bytes_per_second: raw.bytes_per_second,
        max_threads_running: raw.max_threads_running.map(Spanned::into_inner),
        max_replica_lag: raw.max_replica_lag,
    })
}

fn read_output(
    source: &Source<'_>,
    name: &str,
    raw: &RawOutput,
    params: &BTreeMap<String, Param>,
    profiles: &BTreeMap<String, Profile>,
) -> Result<Output, DefinitionError> {
    fn choice<T, E: ToString>(
        source: &Source<'_>,
        key: &str,
        raw: Option<&Spanned<String>>,
        default: T,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, DefinitionError> {
        let Some(raw) = raw else { return Ok(default) };
        let wrong = |error: E| source.wrong(raw.span(), format!("output.{key}: {}", error.to_string()));
        read(raw.get_ref()).map_err(wrong)
    }
    let profile = choice(source, "profile", raw.profile.as_ref(), Profile::PLAIN, |name| {
        profile::named(name, profiles)
    })?;
    let format = choice(source, "format", raw.format.as_ref(), Format::Csv, str::parse)?;
    let compression = choice(source, "compression", raw.compression.as_ref(), Compression::None, str::parse)?;
    let style = Style::new(profile, format, compression).map_err(|error| {
        let span = raw.compression.as_ref().map(Spanned::span).unwrap_or_default();
        source.wrong(span, format!("output.compression: with format {}, {error}", format.as_str()))
    })?;
    let filename = raw.filename.as_ref();
    let filename = FilenameTemplate::parse(filename.map_or(name, |spanned| spanned.get_ref()), |p| {
        params.contains_key(p)
    })
    .map_err(|reason| {
        source.wrong(filename.map(Spanned::span).unwrap_or_default(), format!("output.filename: {reason}"))
    })?;
    let retention = choice(source, "retention", raw.retention.as_ref(), Retention::default(), str::parse)?;
    let reuse = raw.reuse.as_ref().map(|reuse| read_reuse(source, reuse, retention)).transpose()?;
    Ok(Output { style, filename, retention, reuse })
}

fn read_reuse(
    source: &Source<'_>,
    reuse: &Spanned<String>,
    retention: Retention,
) -> Result<Duration, DefinitionError> {
    let wrong = |reason: String| source.wrong(reuse.span(), format!("output.reuse: {reason}"));
    let time = parse_time(reuse.get_ref()).map_err(wrong)?;
    let kept = Duration::from_secs(24 * 3600 * u64::from(retention.days().unsigned_abs()));
    if time > kept {
        let (kept, actual) = (retention.as_str(), reuse.get_ref());
        return Err(wrong(format!(
            "expected at most {kept:?}, which is how long the file is kept, got {actual:?}"
        )));
    }
    Ok(time)
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

impl From<RawLimits> for Limits {
    fn from(raw: RawLimits) -> Self {
        Self {
            rows: raw.rows.map(Into::into),
            bytes: raw.bytes.map(Into::into),
            seconds: raw.seconds.map(Into::into),
        }
    }
}
