//! What the file is like: style, name, and how long it is kept.

use std::time::Duration;

use downpipe_format::{Format, Style, named_choice};

/// A definition's `[output]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Profile, format and compression when the request does not say.
    pub style: Style,
    /// What the file is called.
    pub filename: FilenameTemplate,
    /// How long it is kept.
    pub retention: Retention,
    /// How long a finished file is good enough for the same request by the same person. `None`: never.
    pub reuse: Option<Duration>,
}

/// Reads a time such as `30s`, `10m`, `2h` or `1d`.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)];
    let read =
        |(unit, seconds): &(char, u64)| text.strip_suffix(*unit)?.parse::<u64>().ok()?.checked_mul(*seconds);
    let seconds = UNITS.iter().find_map(read).filter(|seconds| *seconds > 0);
    let expected = || format!("expected a time such as \"30s\", \"10m\", \"2h\" or \"1d\", got {text:?}");
    seconds.map(Duration::from_secs).ok_or_else(expected)
}

/// How long a finished file is kept. The bucket's lifecycle rules delete it by a tag of this name, so there is a rule for
/// each of these and for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retention {
    /// One day.
    Days1,
    /// Three days.
    Days3,
    /// A week.
    #[default]
    Days7,
    /// Two weeks.
    Days14,
    /// Thirty days.
    Days30,
    /// Ninety days.
    Days90,
}
named_choice!(
    Retention,
    Days1 = "1d",
    Days3 = "3d",
    Days7 = "7d",
    Days14 = "14d",
    Days30 = "30d",
    Days90 = "90d"
);

impl Retention {
    /// The number of days.
    #[must_use]
    pub fn days(self) -> i32 {
        match self {
            Self::Days1 => 1,
            Self::Days3 => 3,
            Self::Days7 => 7,
            Self::Days14 => 14,
            Self::Days30 => 30,
            Self::Days90 => 90,
        }
    }
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
        } else {
            Ok(Self(stem.to_owned()))
        }
    }

    /// The file name for these values, with characters replaced that some file system or header would not take.
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
        let mut name: String = name
            .chars()
            .map(|c| if c.is_control() || r#"/\:*?"<>|"#.contains(c) { '-' } else { c })
            .collect();
        let cut = name.floor_char_boundary(Self::MAX_BYTES);
        name.truncate(cut);
        // A leading dot would hide the file, or point at a folder.
        let name = name.trim_matches(|c: char| c == '.' || c.is_whitespace());
        format!("{}.{}", if name.is_empty() { "export" } else { name }, style.extension())
    }
}
