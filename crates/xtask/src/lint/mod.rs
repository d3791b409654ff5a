//! `cargo xtask lint`: every static check.

pub mod documents;
mod features;
mod imports;
mod tools;

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use self::documents::{Documents, Grammar};
use self::tools::{CARGO_DENY, CARGO_MACHETE};
use crate::stack::{self, Paths};
use crate::{cargo, workspace};

/// How a check ended.
enum Verdict {
    Passed,
    Failed,
    /// Not done, and why. The summary shows it, so that it is not taken for passed.
    Skipped(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed => f.write_str("FAILED"),
            Self::Skipped(reason) => write!(f, "SKIPPED: {reason}"),
        }
    }
}

type Check = (&'static str, fn() -> Result<Verdict>);

const CHECKS: [Check; 10] = [
    ("format", format),
    ("imports", imports),
    ("features", features),
    ("clippy", clippy),
    ("rustdoc", rustdoc),
    ("unused dependencies", unused_dependencies),
    ("licences, sources, layers", dependencies),
    ("advisories", advisories),
    ("templates", templates),
    ("compose file", compose_file),
];

/// Runs every check, also after one has failed, and returns whether none failed. `commands` are those of `cargo xtask`, which the
/// documents name.
pub fn run(commands: &clap::Command) -> Result<bool> {
    let mut verdicts = vec![timed("documents", || documents(commands))?];
    for (name, check) in CHECKS {
        verdicts.push(timed(name, check)?);
    }
    println!("── in short");
    for (name, verdict, seconds) in &verdicts {
        println!("{name:<26} {seconds:6.1} s  {verdict}");
    }
    Ok(!verdicts.iter().any(|(_, verdict, _)| matches!(verdict, Verdict::Failed)))
}

/// Runs one check. Returns its name, its verdict and its seconds.
fn timed(
    name: &'static str,
    check: impl FnOnce() -> Result<Verdict>,
) -> Result<(&'static str, Verdict, f32)> {
    let started = Instant::now();
    println!("── {name}");
    let verdict = check().with_context(|| name.to_owned())?;
    Ok((name, verdict, started.elapsed().as_secs_f32()))
}

/// Holds links, paths and commands in the documents against the repository.
fn documents(commands: &clap::Command) -> Result<Verdict> {
    let documents = Documents::read(workspace::root())?;
    let grammar = Grammar::of_clap(commands);
    let mut faults = documents.broken();
    faults.extend(documents.wrong_commands("cargo xtask", &grammar));
    for fault in &faults {
        println!("{fault}");
    }
    Ok(if faults.is_empty() { Verdict::Passed } else { Verdict::Failed })
}

fn format() -> Result<Verdict> {
    check(cargo::command().args(["fmt", "--all", "--check"]))
}

/// Checks imports inside each crate; cargo-deny checks those between crates.
fn imports() -> Result<Verdict> {
    let violations = imports::violations(&workspace::path("crates"))?;
    for violation in &violations {
        println!("{violation}");
    }
    Ok(if violations.is_empty() { Verdict::Passed } else { Verdict::Failed })
}

/// Checks that libraries have the same features in every build, and so are compiled once.
fn features() -> Result<Verdict> {
    let differences = features::differences()?;
    for difference in &differences {
        println!("{difference}");
    }
    Ok(if differences.is_empty() { Verdict::Passed } else { Verdict::Failed })
}

fn clippy() -> Result<Verdict> {
    check(cargo::command().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-Dwarnings",
    ]))
}

/// Checks the documentation of private items, too: most of it is for contributors.
fn rustdoc() -> Result<Verdict> {
    let mut command = cargo::command();
    command.args([
        "doc",
        "--quiet",
        "--workspace",
        "--no-deps",
        "--all-features",
        "--document-private-items",
    ]);
    check(command.env("RUSTDOCFLAGS", "-Dwarnings"))
}

fn unused_dependencies() -> Result<Verdict> {
    check(command(&CARGO_MACHETE.installed()?).args(["--skip-target-dir", "."]))
}

/// Checks the parts of `deny.toml` that need no network.
fn dependencies() -> Result<Verdict> {
    check(command(&CARGO_DENY.installed()?).args(["check", "bans", "licenses", "sources"]))
}

/// Checks for known vulnerabilities, if the network can be reached.
fn advisories() -> Result<Verdict> {
    let deny = CARGO_DENY.installed()?;
    let fetched = command(&deny).args(["fetch", "db"]).stderr(Stdio::null()).status();
    if !fetched.context("cannot run cargo-deny")?.success() {
        return Ok(Verdict::Skipped("the RustSec database cannot be fetched from here".to_owned()));
    }
    check(command(&deny).args(["check", "advisories"]))
}

fn templates() -> Result<Verdict> {
    let cfn_lint = stack::install_cfn_lint(&Paths::of_workspace())?;
    check(command(&cfn_lint).arg("infra/*.yaml"))
}

fn compose_file() -> Result<Verdict> {
    for program in [&["docker", "compose"][..], &["docker-compose"]] {
        let mut command = command(Path::new(program[0]));
        command.args(&program[1..]);
        let there = command.arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if there.is_ok_and(|status| status.success()) {
            let mut command = self::command(Path::new(program[0]));
            return check(command.args(&program[1..]).args(["--file", "compose.yaml", "config", "--quiet"]));
        }
    }
    Ok(Verdict::Skipped("there is neither `docker compose` nor `docker-compose` here".to_owned()))
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace::root());
    command
}

/// Prints the command and runs it, with its output on the terminal.
fn check(command: &mut Command) -> Result<Verdict> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = [program].into_iter().chain(command.get_args()).map(OsStr::to_string_lossy);
    let line = words.collect::<Vec<_>>().join(" ");
    println!("$ {line}");
    let status = command.status().with_context(|| format!("cannot run {line}"))?;
    Ok(if status.success() { Verdict::Passed } else { Verdict::Failed })
}
