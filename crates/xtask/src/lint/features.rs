//! Features of libraries. Cargo compiles a library again for each set of features, and everything that depends on it, too. Two builds
//! share their libraries only if these have the same features in both.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, PROGRAMS};

/// The sets of features of a library, by its name and version. Macros and build scripts may have another set than programs.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Returns the libraries whose features differ between this program, the programs that it builds, and the tests, one in each line.
///
/// # Errors
/// When cargo cannot resolve the features.
pub(super) fn differences() -> Result<Vec<String>> {
    let of_xtask = features(&["--package", "xtask", "--edges", "normal,build"])?;
    let of_programs = features(&[&PROGRAMS[..], &["--edges", "normal,build"]].concat())?;
    let of_tests = features(&["--workspace", "--edges", "normal,build,dev"])?;
    let mut found = Vec::new();
    for (build, features) in [("xtask", of_xtask), ("the programs", of_programs)] {
        found.extend(compiled_again(&features, &of_tests).map(|(library, wrong)| {
            let expected = &of_tests[library];
            format!("{library}: expected the features {expected:?} as in the tests, got {wrong:?} in {build}; crates/xtask/Cargo.toml adds them")
        }));
    }
    Ok(found)
}

/// Returns the libraries of the smaller build that the larger one compiles again, with their features.
fn compiled_again<'a>(
    smaller: &'a Features,
    larger: &'a Features,
) -> impl Iterator<Item = (&'a String, Vec<&'a String>)> {
    smaller.iter().filter_map(|(library, sets)| {
        let other: Vec<_> = sets.difference(larger.get(library)?).collect();
        (!other.is_empty()).then_some((library, other))
    })
}

/// Returns the features of all libraries in a build. The project's own crates are left out: the fakes are the tests' only.
fn features(selection: &[&str]) -> Result<Features> {
    let mut command = cargo::command();
    command.args(["tree", "--quiet", "--prefix", "none", "--format", "{p}|{f}"]).args(selection);
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo tree {} failed", selection.join(" "));
    Ok(read(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads lines such as `serde v1.0.0|default,std (*)`. A library that is a macro or stands there again says so in brackets.
fn read(tree: &str) -> Features {
    let mut found = Features::new();
    for (package, features) in tree.lines().filter_map(|line| line.split_once('|')) {
        let package = package.trim_end_matches(" (proc-macro)");
        // A path follows the version of a crate of this project.
        if !package.contains('(') {
            found.entry(package.to_owned()).or_default().insert(features.trim_end_matches(" (*)").to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_with_other_features_in_one_build_is_named() {
        let smaller = read(
            "xtask v0.1.0 (/a/xtask)|\nserde v1.0.0|std\nsyn v2.0.0 (proc-macro)|full\nserde v1.0.0|std (*)\n",
        );
        let larger = read("serde v1.0.0|rc,std\nsyn v2.0.0|full\nhyper v1.0.0|server\n");
        let found: Vec<_> = compiled_again(&smaller, &larger).collect();
        assert_eq!(found, [(&"serde v1.0.0".to_owned(), vec![&"std".to_owned()])]);
        assert_eq!(smaller.keys().collect::<Vec<_>>(), ["serde v1.0.0", "syn v2.0.0"]);
    }
}
