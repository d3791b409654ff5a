//! Other people's programs, with which the tests read back what Downpipe has written, and languages in which apps sign tokens.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use super::{apt, install, paths::Paths, step::Steps, venv};

const NAME: &str = "readers";

/// Programs, each with Debian's package that has it.
const PROGRAMS: [(&str, &str); 9] = [
    ("soffice", "libreoffice-calc-nogui"),
    ("pdftotext", "poppler-utils"),
    ("pdftoppm", "poppler-utils"),
    ("fc-list", "fontconfig"),
    ("gzip", "gzip"),
    ("unzip", "unzip"),
    ("zstd", "zstd"),
    ("node", "nodejs"),
    ("ruby", "ruby"),
];

/// The lightest that has the characters of everyday Japanese.
const JAPANESE_FONT: &str = "fonts-vlgothic";

/// Makes sure that all of them are there, and returns the Python that has the libraries.
pub(super) fn ensure(paths: &Paths, steps: &Steps) -> Result<PathBuf> {
    ensure_programs(paths, steps).with_context(|| NAME)?;
    venv::ensure(paths, steps, NAME, include_str!("../../requirements/readers.txt")).with_context(|| NAME)?;
    Ok(venv::program(paths, NAME, "python")?.into())
}

fn ensure_programs(paths: &Paths, steps: &Steps) -> Result<()> {
    let missing = missing_packages();
    if !missing.is_empty() && !apt::install(paths, steps, NAME, &missing)? {
        bail!(
            "the tests need programs that are not there: \
             sudo apt-get install --no-install-recommends {}",
            missing.join(" ")
        );
    }
    Ok(())
}

fn missing_packages() -> Vec<&'static str> {
    let missing = |program: &&(&str, &str)| install::find_program(program.0).is_none();
    let mut packages: Vec<_> = PROGRAMS.iter().filter(missing).map(|(_, package)| *package).collect();
    packages.dedup();
    if !has_japanese_font() {
        packages.push(JAPANESE_FONT);
    }
    packages
}

/// Returns whether a font for Japanese is there, whichever it is.
fn has_japanese_font() -> bool {
    let listed = Command::new("fc-list").args([":lang=ja", "family"]).output();
    listed.is_ok_and(|listed| !listed.stdout.is_empty())
}
