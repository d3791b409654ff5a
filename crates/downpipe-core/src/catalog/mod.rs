//! The catalog: all definitions, read and checked at start.

mod choices;
mod definition;
mod hidden_limit;
mod params;
mod sql;
mod tokens;
mod value;

pub use self::choices::{Choices, FormatChoice};
pub(crate) use self::definition::{AFTER, REQUESTED_BY};
pub use self::definition::{
    Access, Definition, DefinitionError, DefinitionWarning, FilenameTemplate, Limits, LinkAccess, Output,
    Resume, Throttle, parse_time,
};
pub use self::params::Param;
pub use self::sql::{QuoteModes, SqlPiece, SqlTemplate};
pub use self::tokens::QuoteMode;
pub use self::value::{ParamType, Value};

pub use downpipe_format::MaskKey;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// All definitions by name, and the errors of those that are wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    definitions: BTreeMap<String, Definition>,
    wrong: Vec<DefinitionError>,
    longest_run: Option<Duration>,
}

/// A definition's file before it is read: its name, as an error should call it, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionFile {
    /// A path or an object's address, ending in `<name>.toml`.
    pub file: String,
    /// TOML.
    pub text: String,
}

/// Everything that is wrong with a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogError(pub Vec<DefinitionError>);

impl std::error::Error for CatalogError {}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl Catalog {
    /// Reads every file.
    ///
    /// # Errors
    /// When any definition is wrong, or two have the same name; all that are wrong are named.
    pub fn parse(files: &[DefinitionFile]) -> Result<Self, CatalogError> {
        Self::read(files).complete()
    }

    /// Reads every file and keeps the errors, so that right definitions stay usable while a wrong one is corrected.
    #[must_use]
    pub fn read(files: &[DefinitionFile]) -> Self {
        let mut catalog = Self::default();
        for DefinitionFile { file, text } in files {
            match Definition::parse(file, text) {
                Ok(definition) if catalog.definitions.contains_key(&definition.name) => {
                    let reason = format!("there is another definition of the name {:?}", definition.name);
                    catalog.add_wrong(file, reason);
                }
                Ok(definition) => {
                    catalog.definitions.insert(definition.name.clone(), definition);
                }
                Err(error) => catalog.wrong.push(error),
            }
        }
        catalog
    }

    /// Adds the error of a file that was not read as a definition.
    pub fn add_wrong(&mut self, file: &str, reason: String) {
        self.wrong.push(DefinitionError { file: file.to_owned(), line: 1, reason });
    }

    /// Returns the catalog if nothing is wrong with it.
    ///
    /// # Errors
    /// All errors of the catalog.
    pub fn complete(self) -> Result<Self, CatalogError> {
        if self.wrong.is_empty() { Ok(self) } else { Err(CatalogError(self.wrong)) }
    }

    /// Checks that nothing is wrong with the definition of this name. A definition that does not exist is not wrong.
    ///
    /// # Errors
    /// The definition's errors.
    pub fn verify(&self, name: &str) -> Result<(), CatalogError> {
        let wrong: Vec<DefinitionError> =
            self.wrong.iter().filter(|error| error.definition() == name).cloned().collect();
        if wrong.is_empty() { Ok(()) } else { Err(CatalogError(wrong)) }
    }

    /// Returns the definition of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(name)
    }

    /// Returns the names of the right definitions, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.definitions.keys().map(String::as_str)
    }

    /// Returns the names of the definitions that mask by hash and have no key for it.
    pub fn needing_mask_key(&self) -> impl Iterator<Item = &str> {
        let in_need = self.definitions.values().filter(|definition| definition.layout.needs_mask_key());
        in_need.map(|definition| definition.name.as_str())
    }

    /// Returns the catalog with the key by which its definitions mask.
    #[must_use]
    pub fn with_mask_key(mut self, key: &MaskKey) -> Self {
        for definition in self.definitions.values_mut() {
            definition.layout.set_mask_key(key.clone());
        }
        self
    }

    /// Refuses definitions, and requests, of a format that cannot be resumed where the query may take longer than a run. Without
    /// it, a run has no end.
    #[must_use]
    pub fn for_runs_of(mut self, longest_run: Duration) -> Self {
        self.longest_run = Some(longest_run);
        self.definitions.retain(|_, definition| {
            let style = &definition.output.style;
            let expected = definition.limits.formats_beyond(longest_run).filter(|_| !style.is_resumable());
            if let Some(expected) = &expected {
                let reason = format!("output.format: expected {expected}, got {:?}", style.extension());
                self.wrong.push(definition.wrong_at("output.format", reason));
            }
            expected.is_none()
        });
        self.wrong.sort_by(|a, b| a.file.cmp(&b.file));
        self
    }

    /// Returns the length of a run, if that has an end.
    #[must_use]
    pub fn longest_run(&self) -> Option<Duration> {
        self.longest_run
    }

    /// Returns the errors, in the order of the files.
    #[must_use]
    pub fn errors(&self) -> &[DefinitionError] {
        &self.wrong
    }

    /// Returns whether there is no definition at all, right or wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.definitions.is_empty() && self.wrong.is_empty()
    }
}
