//! The latest outcome of every fault, kept between runs, so that a few faults can be repeated without the others.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result};

use super::outcome::Outcome;
use crate::cargo;

/// A file of outcomes by the name of their fault.
pub(super) struct Kept {
    file: PathBuf,
    outcomes: BTreeMap<String, Outcome>,
}

impl Kept {
    /// Reads what earlier runs on this machine have kept. Nothing, if there were none.
    pub(super) fn open() -> Result<Self> {
        Self::at(cargo::target_dir()?.join("faults/outcomes.json"))
    }

    fn at(file: PathBuf) -> Result<Self> {
        let outcomes = match fs::read_to_string(&file) {
            Ok(json) => serde_json::from_str(&json)
                .with_context(|| format!("{}: expected outcomes; delete the file", file.display()))?,
            Err(_) => BTreeMap::new(),
        };
        Ok(Self { file, outcomes })
    }

    /// Keeps an outcome in place of an earlier one of the same fault.
    pub(super) fn keep(&mut self, outcome: &Outcome) -> Result<()> {
        self.outcomes.insert(outcome.fault.clone(), outcome.clone());
        let file = self.file.display();
        let folder = self.file.parent().unwrap_or(&self.file);
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let json = serde_json::to_string_pretty(&self.outcomes).context("outcomes are JSON")?;
        fs::write(&self.file, json).with_context(|| format!("cannot write {file}"))
    }

    /// Returns the latest outcomes, by name.
    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        self.outcomes.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(fault: &str, injected: u32) -> Outcome {
        Outcome { fault: fault.to_owned(), injected, ..Outcome::default() }
    }

    #[test]
    fn outcome_that_is_kept_replaces_the_one_of_the_same_fault() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("faults/outcomes.json");
        let mut first = Kept::at(file.clone()).unwrap();
        first.keep(&outcome("S3: 500", 1)).unwrap();
        first.keep(&outcome("MySQL: cut", 1)).unwrap();
        let mut second = Kept::at(file.clone()).unwrap();
        second.keep(&outcome("S3: 500", 2)).unwrap();
        assert_eq!(Kept::at(file).unwrap().outcomes(), [outcome("MySQL: cut", 1), outcome("S3: 500", 2)]);
    }
}
