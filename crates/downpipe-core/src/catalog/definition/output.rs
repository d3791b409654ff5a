//! `[output]`: style and name of the file, and how long it is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use downpipe_format::{Compression, Format, Profile, Style};
use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use super::source_text::Source;
use super::{profile, time_zone};
use crate::catalog::definition::DefinitionError;
use crate::catalog::params::Param;
use crate::catalog::value::Value;
use crate::store::Retention;
use crate::untrusted_text::is_hidden;

/// A definition's `[output]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Profile, format and compression, as far as the request does not choose.
    pub style: Style,
    /// The template of its name.
    pub filename: FilenameTemplate,
    /// How long the file is kept.
    pub retention: Retention,
    /// How long a finished file answers the same request of the same requester. `None`: never.
    pub reuse: Option<Duration>,
}

/// `[output]` as the file has it.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOutput {
    profile: Option<Spanned<String>>,
    pub(super) format: Option<Spanned<String>>,
    pub(super) compression: Option<Spanned<String>>,
    filename: Option<Spanned<String>>,
    retention: Option<Spanned<String>>,
    reuse: Option<Spanned<String>>,
}

/// Reads `[output]`; `name` is the definition's.
pub(super) fn read_output(
    source: &Source<'_>,
    name: &str,
    raw: &RawOutput,
    params: &BTreeMap<String, Param>,
    profiles: &BTreeMap<String, Profile>,
    time_zone: &TimeZone,
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
    let plain = time_zone::profile_in(time_zone, Profile::PLAIN);
    let profile = choice(source, "profile", raw.profile.as_ref(), plain, |name| {
        profile::named(name, profiles, time_zone)
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
    .and_then(|filename| fit_defaults(&filename, params).map(|()| filename))
    .map_err(|reason| {
        source.wrong(filename.map(Spanned::span).unwrap_or_default(), format!("output.filename: {reason}"))
    })?;
    let retention = choice(source, "retention", raw.retention.as_ref(), Retention::default(), str::parse)?;
    let reuse = raw.reuse.as_ref().map(|reuse| read_reuse(source, reuse, retention)).transpose()?;
    Ok(Output { style: style.arriving_in(time_zone.clone()), filename, retention, reuse })
}

/// Refuses defaults that no file can be named after, as such values of a request are refused.
fn fit_defaults(filename: &FilenameTemplate, params: &BTreeMap<String, Param>) -> Result<(), String> {
    let default =
        |name: &&str| params.get(*name).and_then(|param| param.default.as_ref()).map(Value::to_string);
    match filename.params().find(|name| default(name).is_some_and(|default| default.contains(is_hidden))) {
        Some(name) => Err(format!("the default of `{name}` has an invisible character or a line break")),
        None => Ok(()),
    }
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

/// Reads a time such as `30s`, `10m`, `2h`, `1d` or `90 days`. A day has 24 hours.
///
/// # Errors
/// Says what was expected and what came when the text is no such time, or less than a second.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let span = SpanParser::new().parse_span(text);
    let time = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let time = time.ok().and_then(|time| Duration::try_from(time).ok());
    let expected = || format!("expected a time such as \"30s\", \"10m\", \"2h\" or \"1d\", got {text:?}");
    time.filter(|time| *time >= Duration::from_secs(1)).ok_or_else(expected)
}

/// A file name with `{param}` placeholders, without its extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilenameTemplate(String);

impl FilenameTemplate {
    /// File systems take 255 bytes; the rest is for the extension and for `.receipt.json`.
    const MAX_BYTES: usize = 200;

    /// Checks the template against the parameters it may name.
    pub(crate) fn parse(template: &str, known: impl Fn(&str) -> bool) -> Result<Self, String> {
        let extension = |format: &Format| template.strip_suffix(&format!(".{}", format.as_str()));
        let stem = Format::ALL.iter().find_map(extension).unwrap_or(template);
        let mut rest = stem;
        while let Some((_, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(format!("expected a `}}` after the `{{` in {template:?}"));
            };
            if !known(name) {
                return Err(format!("`{{{name}}}` is not a parameter of this definition"));
            }
            rest = after;
        }
        if stem.is_empty() {
            Err("expected a name, got nothing".to_owned())
        } else if stem.contains(is_hidden) {
            Err(format!("expected no invisible character and no line break, got {stem:?}"))
        } else {
            Ok(Self(stem.to_owned()))
        }
    }

    /// Returns the parameters that the template names.
    pub(crate) fn params(&self) -> impl Iterator<Item = &str> {
        self.0.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
    }

    /// Returns the file name for these values. Replaces characters that some file systems or headers refuse.
    pub(crate) fn render(&self, value_of: impl Fn(&str) -> Option<String>, style: &Style) -> String {
        let mut name = String::new();
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (param, after) = after.split_once('}').unwrap_or((after, ""));
            name += before;
            name += &value_of(param).unwrap_or_default();
            rest = after;
        }
        name += rest;
        let mut name: String =
            name.chars().map(|c| if is_hidden(c) || r#"/\:*?"<>|"#.contains(c) { '-' } else { c }).collect();
        let cut = name.floor_char_boundary(Self::MAX_BYTES);
        name.truncate(cut);
        // A leading dot would hide the file or name a folder.
        let name = name.trim_matches(|c: char| c == '.' || c.is_whitespace());
        let name = if name.is_empty() { "export" } else { name };
        let prefix = if is_device(name) { "_" } else { "" };
        format!("{prefix}{name}.{}", style.extension())
    }
}

/// Returns whether Windows takes a file of this name for a device. Windows ignores what follows the first dot.
/// <https://learn.microsoft.com/windows/win32/fileio/naming-a-file#naming-conventions>
fn is_device(name: &str) -> bool {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let is_port = |number: &str| {
        let mut digits = number.chars();
        let is_digit = |digit: char| matches!(digit, '0'..='9' | '¹' | '²' | '³');
        digits.next().is_some_and(is_digit) && digits.next().is_none()
    };
    DEVICES.contains(&stem.as_str()) || port.is_some_and(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_words_or_letters_is_read() {
        const DAY: u64 = 24 * 3600;
        for (text, seconds) in [
            ("30s", 30),
            ("10m", 600),
            ("2h", 7200),
            ("1d", DAY),
            ("30d", 30 * DAY),
            ("3660d", 3660 * DAY),
            ("90 days", 90 * DAY),
            ("1 h 30 min", 5400),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_time_is_refused() {
        for text in ["", "90", "0d", "-1d", "1d ago", "1ms", "a day", "1 month", "99999999999999999999d"] {
            let expected =
                format!("expected a time such as \"30s\", \"10m\", \"2h\" or \"1d\", got {text:?}");
            assert_eq!(parse_time(text), Err(expected));
        }
    }
}
