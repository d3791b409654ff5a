//! Chromium, Node, and the library by which the one drives the other.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use super::TESTS;
use crate::{
    cargo,
    stack::{Paths, Steps, find_program, install_packages},
    workspace,
};

const NAME: &str = "browser";

/// Programs, each with Debian's package that has it.
const PROGRAMS: [(&str, &str); 4] =
    [("chromium", "chromium"), ("node", "nodejs"), ("npm", "npm"), ("python3", "python3")];

/// What npm installs from. The lock file has a digest of each library, and no address.
const FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// What was installed.
pub(super) struct Installed {
    /// The browser.
    pub(super) chromium: PathBuf,
    /// The folder of the libraries.
    pub(super) node_modules: PathBuf,
}

/// Makes sure that everything is there.
pub(super) fn ensure(paths: &Paths, steps: &Steps) -> Result<Installed> {
    let missing = missing_packages();
    if !missing.is_empty() && !install_packages(paths, steps, NAME, &missing)? {
        bail!("programs are missing: sudo apt-get install --no-install-recommends {}", missing.join(" "));
    }
    let chromium = find_program("chromium").context("chromium was installed, and is not on the PATH")?;
    let folder = cargo::target_dir()?.join("browser");
    let node_modules = folder.join("node_modules");
    if !is_installed(&folder) {
        steps.say(NAME, "installs its libraries");
        install_libraries(&folder).context("the libraries in tests/browser/package.json")?;
    }
    Ok(Installed { chromium, node_modules })
}

fn missing_packages() -> Vec<&'static str> {
    let missing = PROGRAMS.iter().filter(|(program, _)| find_program(program).is_none());
    missing.map(|(_, package)| *package).collect()
}

/// Returns whether the libraries were installed from the files as they are now. npm writes its own list last.
fn is_installed(folder: &Path) -> bool {
    let is_same = |file: &str| {
        let source = fs::read(workspace::path(TESTS).join(file)).ok();
        source.is_some() && source == fs::read(folder.join(file)).ok()
    };
    folder.join("node_modules/.package-lock.json").exists() && FILES.into_iter().all(is_same)
}

fn install_libraries(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for file in FILES {
        fs::copy(workspace::path(TESTS).join(file), folder.join(file))?;
    }
    let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    let status = Command::new("npm").args(npm).current_dir(folder).status().context("cannot run npm")?;
    ensure!(status.success(), "npm ci failed: {status}");
    Ok(())
}
