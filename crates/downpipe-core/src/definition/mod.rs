//! A definition: what may be exported, and how.
//!
//! [`Definition::parse`] turns a TOML file into one or says what is wrong with it and where; a `Definition` in hand is
//! right, and nobody checks it again.

mod column;
mod output;
mod parse;
mod profile;

use std::collections::BTreeMap;
use std::fmt;

use downpipe_format::{Layout, Profile, UnknownName};

pub use output::{FilenameTemplate, Output, Retention};

use crate::pace::Pace;
use crate::params::{Param, Value};
use crate::sql::SqlTemplate;

/// The placeholder that holds who asked.
pub(crate) const REQUESTED_BY: &str = "requested_by";
/// The placeholder that holds the resume key to go on after: so far always [`Resume::start`].
pub(crate) const AFTER: &str = "after";

/// What may be exported, checked once and for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The file's stem: `[a-z0-9][a-z0-9_-]{0,63}`.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// The query.
    pub sql: SqlTemplate,
    /// Its parameters, by name.
    pub params: BTreeMap<String, Param>,
    /// What makes it continuable, if it is.
    pub resume: Option<Resume>,
    /// Labels and wishes for its columns.
    pub layout: Layout,
    /// Its own profiles, by name.
    pub profiles: BTreeMap<String, Profile>,
    /// Where an export must stop.
    pub limits: Limits,
    /// Where an export must be slow.
    pub pace: Pace,
    /// Who may ask.
    pub access: Access,
    /// What the file is like when the request does not say.
    pub output: Output,
    /// SHA-256 of the definition's text, in hexadecimal: the version a receipt names.
    pub sha256: String,
}

impl Definition {
    /// The profile of this name: a built-in one, or one of the definition's own.
    ///
    /// # Errors
    /// When there is none; says which there are.
    pub fn profile(&self, name: &str) -> Result<Profile, UnknownName> {
        profile::named(name, &self.profiles)
    }
}

/// How an export goes on after a stop: its SQL filters on `:after` and orders by this unique column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The column, ascending and unique: what a checkpoint will remember.
    pub column: String,
    /// What `:after` is at the beginning: less than every key.
    pub start: Value,
}

/// Where an export must stop with an error. A limit never shortens a file.
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
    /// Seconds after which a run of the worker ends, whatever it is doing: the most that Lambda gives.
    const RUN: u64 = 900;

    /// What is expected of a file that takes more than one run.
    pub(crate) const NEEDS_CONTINUING: &'static str = "csv, tsv or jsonl, and no zip: limits.seconds is more than the 900 of one run, and only these can be continued";

    /// Whether a query may take longer than one run of the worker.
    pub(crate) fn exceed_a_run(&self) -> bool {
        self.seconds.is_some_and(|seconds| seconds > Self::RUN)
    }
}

/// Who may ask for an export: patterns in which `*` stands for any text, upper and lower case alike.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// `None` lets everyone ask.
    requesters: Option<Vec<String>>,
}

impl Access {
    /// Whether this requester may ask.
    #[must_use]
    pub fn allows(&self, requester: &str) -> bool {
        let requester = requester.to_lowercase();
        self.requesters.as_ref().is_none_or(|patterns| {
            patterns.iter().any(|pattern| matches_pattern(&pattern.to_lowercase(), &requester))
        })
    }
}

/// What is wrong with a definition, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct DefinitionError {
    /// The file as the catalog found it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

fn matches_pattern(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    // The star takes as little as possible; more is tried until the rest of the pattern fits.
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| matches_pattern(after, &rest[at..]))
}
