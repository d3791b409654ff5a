//! `sql`, `sql_mode` and `[resume]`: the query, and how an export of it is resumed.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use super::params::Scalar;
use super::source_text::Source;
use crate::catalog::definition::{AFTER, DefinitionError, REQUESTED_BY, Resume};
use crate::catalog::params::{Param, parse};
use crate::catalog::sql::SqlTemplate;
use crate::catalog::tokens::QuoteMode;
use crate::catalog::value::ParamType;
use crate::message::RawParam;

/// `[resume]` as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawResume {
    column: String,
    start: Scalar,
}

/// Reads the mode of the server for which the SQL is written: MySQL's default, unless the definition says otherwise.
pub(super) fn read_sql_mode(
    source: &Source<'_>,
    sql_mode: Option<&Spanned<String>>,
) -> Result<QuoteMode, DefinitionError> {
    let Some(sql_mode) = sql_mode else { return Ok(QuoteMode::default()) };
    QuoteMode::parse(sql_mode.get_ref())
        .map_err(|reason| source.wrong(sql_mode.span(), format!("sql_mode: {reason}")))
}

/// Reads the SQL, and holds its placeholders against the parameters.
pub(super) fn read_sql(
    source: &Source<'_>,
    sql: &Spanned<String>,
    mode: QuoteMode,
    params: &BTreeMap<String, Param>,
    resumes: bool,
) -> Result<SqlTemplate, DefinitionError> {
    let template = SqlTemplate::parse(sql.get_ref(), mode).map_err(|error| {
        let wrong = source.wrong(sql.span(), format!("sql: {}", error.reason));
        DefinitionError { line: source.line_in(sql, error.line), ..wrong }
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

/// Reads `[resume]`. Its SQL must go on after the key of the last row, and have no limit of its own.
pub(super) fn read_resume(
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
    // TOML's type decides. A number would have the server compare texts as numbers, and lose every key that has a letter.
    let read = |kind| parse(kind, &raw, &TimeZone::UTC).ok();
    let start = read(ParamType::Integer).filter(|_| matches!(raw, RawParam::Number(_)));
    let start = start.or_else(|| read(ParamType::String));
    let start = start.ok_or_else(|| {
        source.wrong(resume.span(), format!("resume.start: expected a string or a whole number, got {raw}"))
    })?;
    Ok(Resume { column: column.clone(), start })
}
