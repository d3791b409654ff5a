//! The catalog: every definition, read and checked at start.

use std::collections::BTreeMap;
use std::fmt;

use crate::definition::{Definition, DefinitionError};

/// The definitions by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    definitions: BTreeMap<String, Definition>,
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
        let mut definitions = BTreeMap::new();
        let mut wrong = Vec::new();
        for DefinitionFile { file, text } in files {
            match Definition::parse(file, text) {
                Ok(definition) if definitions.contains_key(&definition.name) => {
                    let reason = format!("there is another definition of the name {:?}", definition.name);
                    wrong.push(DefinitionError { file: file.clone(), line: 1, reason });
                }
                Ok(definition) => {
                    definitions.insert(definition.name.clone(), definition);
                }
                Err(error) => wrong.push(error),
            }
        }
        if wrong.is_empty() { Ok(Self { definitions }) } else { Err(CatalogError(wrong)) }
    }

    /// The definition of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.definitions.keys().map(String::as_str)
    }

    /// Whether there is no definition at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.definitions.is_empty()
    }
}
