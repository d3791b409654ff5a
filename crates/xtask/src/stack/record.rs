//! What is remembered about a part between two commands: `run/<name>.json`.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{install, paths::Paths, process::Identity};

/// One part's last known port and, while it runs, its process.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Record {
    /// Stays when the part stops, so that the next start can take the same port.
    pub(super) port: Option<u16>,
    pub(super) process: Option<Identity>,
}

impl Record {
    /// Reads a part's record. A missing record is an empty one: the part was never started.
    pub(super) fn load(paths: &Paths, name: &str) -> Result<Self> {
        let path = file(paths, name);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a record of a part", path.display()))
    }

    pub(super) fn save(&self, paths: &Paths, name: &str) -> Result<()> {
        let path = file(paths, name);
        let json = serde_json::to_string_pretty(self).context("cannot encode a record")?;
        install::write_whole(&path, &json, 0o644)
    }
}

/// Returns whether the part was ever started here.
pub(super) fn exists(paths: &Paths, name: &str) -> bool {
    file(paths, name).exists()
}

/// Removes the record of a part that is not ours to run any more.
pub(super) fn forget(paths: &Paths, name: &str) -> Result<()> {
    install::remove_file(&file(paths, name))
}

fn file(paths: &Paths, name: &str) -> PathBuf {
    paths.run().join(format!("{name}.json"))
}
