//! A definition: what may be exported, and how.
//!
//! [`Definition::parse`] reads a TOML file, or returns what is wrong and on which line. A `Definition` is always right, so no other
//! code checks it again.

mod column;
mod output;
mod params;
mod parse;
mod profile;
mod query;
mod source_text;
mod throttle;
mod time_zone;
mod toml_error;
mod translation;
mod warnings;

pub use self::output::{FilenameTemplate, Output, parse_time};
pub use self::throttle::Throttle;
pub use self::warnings::DefinitionWarning;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use downpipe_format::{Layout, Profile, UnknownName};
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use crate::catalog::params::Param;
use crate::catalog::sql::SqlTemplate;
use crate::catalog::value::Value;
use crate::requester::Requester;

/// The placeholder of the requester.
pub(crate) const REQUESTED_BY: &str = "requested_by";

/// The placeholder of the resume key after which a run reads on; the first run begins at [`Resume::start`].
pub(crate) const AFTER: &str = "after";

/// What may be exported: a checked definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The file's stem: `[a-z0-9][a-z0-9_-]{0,63}`.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it is, in a sentence or two for people.
    pub description: Option<String>,
    /// The zone of date parameters, of the query's session, and of instants in files whose profile names no zone.
    pub time_zone: TimeZone,
    /// The query.
    pub sql: SqlTemplate,
    /// Its parameters, by name.
    pub params: BTreeMap<String, Param>,
    /// How it is resumed, if it is resumable.
    pub resume: Option<Resume>,
    /// Labels, order, masks and types of its columns.
    pub layout: Layout,
    /// Its own profiles, by name.
    pub profiles: BTreeMap<String, Profile>,
    /// Limits at which an export fails.
    pub limits: Limits,
    /// Caps that slow an export down.
    pub throttle: Throttle,
    /// Who may request it.
    pub access: Access,
    /// Style, name and retention of the file, as far as the request does not choose.
    pub output: Output,
    /// SHA-256 of the definition's text, in hexadecimal: the version a receipt names.
    pub sha256: String,
    /// Its texts in Japanese.
    ja: translation::Translation,
    /// The names of its parameters, in the order of its file.
    param_order: Vec<String>,
    /// What is allowed in it, and probably not meant.
    warnings: Vec<DefinitionWarning>,
    places: Places,
}

/// The lines of a definition's keys in its file: of `sql`, `time_zone`, `resume`, `output.format` and `columns.NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Places {
    file: String,
    lines: BTreeMap<String, usize>,
}

impl Definition {
    /// Returns a digest of the definition's text and of the key by which it masks. Both must be the same to resume a file, whose
    /// second half would otherwise have other pseudonyms than its first.
    pub(crate) fn version(&self) -> String {
        match self.layout.mask_key_fingerprint() {
            Some(key) => hex::encode(Sha256::new().chain_update(&self.sha256).chain_update(key).finalize()),
            None => self.sha256.clone(),
        }
    }

    /// Returns the names of its parameters in the order of its file, which is that of a form.
    #[must_use]
    pub fn param_order(&self) -> &[String] {
        &self.param_order
    }

    /// Returns the profile of this name: a built-in one, or one of the definition's own.
    ///
    /// # Errors
    /// When there is none; the error names the existing ones.
    pub fn profile(&self, name: &str) -> Result<Profile, UnknownName> {
        profile::named(name, &self.profiles, &self.time_zone)
    }

    /// Returns an error at the line of this key: `sql`, `time_zone`, `resume` or `columns.NAME`.
    #[must_use]
    pub fn wrong_at(&self, key: &str, reason: String) -> DefinitionError {
        let DefinitionWarning { file, line, reason } = self.warning_at(key, reason);
        DefinitionError { file, line, reason }
    }

    /// Returns a warning at the line of this key: `sql`, `time_zone`, `resume` or `columns.NAME`.
    #[must_use]
    pub fn warning_at(&self, key: &str, reason: String) -> DefinitionWarning {
        let line = self.places.lines.get(key).copied().unwrap_or(1);
        DefinitionWarning { file: self.places.file.clone(), line, reason }
    }
}

/// How an export is resumed: its SQL filters on `:after` and orders by this unique column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The column, ascending and unique, whose last value a checkpoint keeps.
    pub column: String,
    /// The value of `:after` in the first run: less than every key.
    pub start: Value,
}

/// Limits at which an export fails. A limit never shortens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The most rows.
    pub rows: Option<u64>,
    /// The most bytes in the file.
    pub bytes: Option<u64>,
    /// The most seconds the query may take.
    pub seconds: Option<u64>,
}

impl Limits {
    /// Returns the formats that are expected for a query that may take longer than this run, in words. `None` if it may not: then
    /// every format will do.
    pub(crate) fn formats_beyond(&self, run: Duration) -> Option<String> {
        let run = run.as_secs();
        self.seconds.filter(|seconds| *seconds > run).map(|_| {
            format!(
                "csv, tsv or jsonl, and no zip: limits.seconds is more than the {run} of one run, and only these can be continued"
            )
        })
    }
}

/// Who may request an export: patterns in which `*` stands for any text. Case is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// The patterns in lower case. `None` allows every requester.
    requesters: Option<Vec<String>>,
    shares_results: bool,
    link: LinkAccess,
}

/// For whom the link of an e-mail is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkAccess {
    /// For the requester, who logs in.
    #[default]
    Requester,
    /// For everyone who has it.
    Holder,
}

impl Access {
    /// Returns whether this requester may request the export.
    #[must_use]
    pub fn allows(&self, requester: &Requester) -> bool {
        self.requesters.as_ref().is_none_or(|patterns| {
            patterns.iter().any(|pattern| matches_pattern(pattern, requester.as_str()))
        })
    }

    /// Returns whether a file that one requester asked for may be given to another who makes the same request and has access.
    #[must_use]
    pub fn shares_results(&self) -> bool {
        self.shares_results
    }

    /// Returns for whom the link of an e-mail is good.
    #[must_use]
    pub fn link(&self) -> LinkAccess {
        self.link
    }

    /// Reads a pattern and folds its case, as a requester's is. Refuses a pattern that no requester can match.
    pub(crate) fn pattern(text: &str) -> Result<String, String> {
        let may_match = if text.contains('*') {
            text.chars().all(|c| c == '*' || Requester::may_have(c))
        } else {
            text.parse::<Requester>().is_ok()
        };
        let expected = "\"operator\", an e-mail address in ASCII, or one with * for any text";
        if may_match {
            Ok(text.to_ascii_lowercase())
        } else {
            Err(format!("expected {expected}, got {text:?}"))
        }
    }
}

/// What is wrong with a definition, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct DefinitionError {
    /// The path or address of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl DefinitionError {
    /// Returns the stem of the file, which is the definition's name. It need not be a valid name.
    #[must_use]
    pub fn definition(&self) -> &str {
        parse::stem(&self.file)
    }
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

/// Returns whether a text is like a pattern in which `*` stands for any text. The text is searched once for each piece between two
/// stars, from the end of the piece before: the first place where a piece is found leaves the most for the others.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let between = text.strip_prefix(start).and_then(|text| text.strip_suffix(end));
    let after = |text, piece| str::split_once(text, piece).map(|(_, after)| after);
    between.is_some_and(|between| middle.split('*').try_fold(between, after).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_stands_for_any_text() {
        for (pattern, text, matches) in [
            ("a@example.com", "a@example.com", true),
            ("a@example.com", "b@example.com", false),
            ("*@example.com", "@example.com", true),
            ("*@example.com", "a@example.com.evil.com", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab*", "ab", false),
            ("*ab*ab*", "xabyabz", true),
            ("a**b", "ab", true),
            ("*a*ab", "aab", true),
        ] {
            assert_eq!(matches_pattern(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn pattern_of_many_stars_is_decided_at_once() {
        let pattern = format!("{}b", "*a".repeat(30));
        let started = std::time::Instant::now();
        assert!(!matches_pattern(&pattern, &"a".repeat(100_000)));
        assert!(matches_pattern(&pattern, &format!("{}b", "a".repeat(100_000))));
        assert!(started.elapsed() < std::time::Duration::from_secs(1), "{:?}", started.elapsed());
    }
}
