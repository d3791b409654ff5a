//! Linters that are programs of their own, in pinned versions.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use crate::cargo;

/// A program that cargo can install.
pub(super) struct Tool {
    name: &'static str,
    version: &'static str,
}

pub(super) const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
pub(super) const CARGO_MACHETE: Tool = Tool { name: "cargo-machete", version: "0.9.2" };

impl Tool {
    /// Returns where the program is; installs it when it is missing or has another version.
    pub(super) fn installed(&self) -> Result<PathBuf> {
        let root = cargo::target_dir()?.join("tools");
        let program = root.join("bin").join(self.name);
        let version = Command::new(&program).arg("--version").output();
        if version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(self.version)) {
            return Ok(program);
        }
        println!("installs {} {}; this takes a minute or two, once", self.name, self.version);
        let spec = format!("{}@{}", self.name, self.version);
        // Not optimised: it looks at a few hundred crates, and building it is what takes time.
        let mut install = cargo::command();
        install.args(["install", "--quiet", "--locked", "--debug", "--force", &spec, "--root"]).arg(&root);
        ensure!(install.status()?.success(), "{spec} cannot be installed");
        Ok(program)
    }
}
