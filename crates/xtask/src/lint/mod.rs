//! `cargo xtask lint`: everything that can be said about the code without running it.

mod tools;

use std::{
    ffi::OsStr,
    fmt,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result};

use self::tools::{CARGO_DENY, CARGO_MACHETE};
use crate::{
    cargo,
    stack::{self, Paths},
    workspace,
};

/// How a check ended.
enum Verdict {
    Passed,
    Failed,
    /// Not done, and why: nobody should take it for passed.
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

const CHECKS: [Check; 8] = [
    ("format", format),
    ("clippy", clippy),
    ("rustdoc", rustdoc),
    ("unused dependencies", unused_dependencies),
    ("licences, sources, layers", dependencies),
    ("advisories", advisories),
    ("templates", templates),
    ("compose file", compose_file),
];

/// Runs every check, also after one has failed, and returns whether none failed.
pub fn run() -> Result<bool> {
    let mut verdicts = Vec::new();
    for (name, check) in CHECKS {
        let started = Instant::now();
        println!("── {name}");
        let verdict = check().with_context(|| name.to_owned())?;
        verdicts.push((name, verdict, started.elapsed().as_secs_f32()));
    }
    println!("── in short");
    for (name, verdict, seconds) in &verdicts {
        println!("{name:<26} {seconds:6.1} s  {verdict}");
    }
    Ok(!verdicts.iter().any(|(_, verdict, _)| matches!(verdict, Verdict::Failed)))
}

fn format() -> Result<Verdict> {
    check(cargo::command().args(["fmt", "--all", "--check"]))
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

/// With the private items: most of the documentation here is for those who work on the code.
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

/// What `deny.toml` says that needs nothing from outside.
fn dependencies() -> Result<Verdict> {
    check(command(&CARGO_DENY.installed()?).args(["check", "bans", "licenses", "sources"]))
}

/// Known vulnerabilities are published on the network, which a machine may not reach.
fn advisories() -> Result<Verdict> {
    let deny = CARGO_DENY.installed()?;
    let fetched = command(&deny).args(["fetch", "db"]).stderr(Stdio::null()).status();
    if !fetched.context("cannot run cargo-deny")?.success() {
        return Ok(Verdict::Skipped("the RustSec database cannot be fetched from here".to_owned()));
    }
    check(command(&deny).args(["check", "advisories"]))
}

fn templates() -> Result<Verdict> {
    let bin = stack::install_tools(&Paths::of_workspace())?;
    check(command(&bin.join("cfn-lint")).arg("infra/*.yaml"))
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

/// Shows the command and runs it; what it has to say goes to the terminal.
fn check(command: &mut Command) -> Result<Verdict> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = [program].into_iter().chain(command.get_args()).map(OsStr::to_string_lossy);
    let line = words.collect::<Vec<_>>().join(" ");
    println!("$ {line}");
    let status = command.status().with_context(|| format!("cannot run {line}"))?;
    Ok(if status.success() { Verdict::Passed } else { Verdict::Failed })
}
