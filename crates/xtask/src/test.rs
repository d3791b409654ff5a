//! `cargo xtask test`: runs the tests on the local stack.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::cargo::{self, PROGRAMS};
use crate::prepare::{stack_and_build, with_stack};
use crate::stack::{Paths, Purpose};

/// What to test.
#[derive(Clone, Copy, Debug)]
pub struct TestOptions<'a> {
    /// Only what needs no server.
    pub unit: bool,
    /// More arguments for `cargo test`.
    pub args: &'a [String],
}

/// What the test programs reported in their `test result` lines.
#[derive(Debug, Default, Eq, PartialEq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// Runs the tests and returns whether all passed. A stack that was started for them is stopped again.
pub fn run(options: TestOptions<'_>) -> Result<bool> {
    if options.unit {
        return cargo_test(&mut cargo::command(), &["--exclude", "downpipe-tests"], options.args);
    }
    with_stack(|paths| on_stack(paths, options.args))
}

fn on_stack(paths: &Paths, args: &[String]) -> Result<bool> {
    // A build of its own: built together with the tests, it would be given the fakes of the feature `testing`.
    let (env, built) = stack_and_build(paths, Purpose::Tests, &[&PROGRAMS[..], &["--bins"]].concat())?;
    let mut command = cargo::command();
    let bootstrap = built.path("bootstrap")?;
    env.apply_to(&mut command).env("DOWNPIPE_TEST_BOOTSTRAP", bootstrap);
    command.env("DOWNPIPE_TEST_BIN_DIR", bootstrap.with_file_name(""));
    cargo_test(&mut command, &[], args)
}

fn cargo_test(command: &mut Command, scope: &[&str], args: &[String]) -> Result<bool> {
    // All failures at once, because the next run takes minutes.
    command.args(["test", "--workspace", "--no-fail-fast"]).args(scope).args(args);
    let started = Instant::now();
    let (status, tally) = tallied(command)?;
    let Tally { passed, failed, ignored } = tally;
    let verdict = if status.success() { "ok" } else { "FAILED" };
    let seconds = started.elapsed().as_secs();
    println!(
        "\ncargo xtask test: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; {seconds} s"
    );
    Ok(status.success())
}

/// Runs the command, passes on what it prints, and adds up its results.
fn tallied(command: &mut Command) -> Result<(ExitStatus, Tally)> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let mut tally = Tally::default();
    let mut out = std::io::stdout();
    let mut reader = BufReader::new(child.stdout.take().context("cargo has no output")?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        out.write_all(&line)?;
        tally.add(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok((child.wait().context("cannot wait for cargo")?, tally))
}

impl Tally {
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; …`
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ").and_then(|(_, rest)| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, name)) = count.trim().split_once(' ') else { continue };
            let number = number.parse::<u64>().unwrap_or(0);
            match name {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_programs_are_summed() {
        let mut tally = Tally::default();
        for line in [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n",
            "test result: FAILED. 12 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\n",
            "test a::result ... ok\n",
        ] {
            tally.add(line);
        }
        assert_eq!(tally, Tally { passed: 15, failed: 2, ignored: 1 });
    }
}
