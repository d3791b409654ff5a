//! `cargo xtask enforce`: runs the worker under the role of the template where every request needs its permission.
//!
//! An example of `downpipe-tests` does it, because only the tests may depend on everything. It prints each finding as a line of JSON.

mod finding;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

pub use self::finding::{Finding, Trial};
use crate::{
    cargo::{self, PROGRAMS},
    document::{Table, replaced},
    prepare::{stack_and_build, with_stack},
    stack::{EnforcingAws, Paths, Purpose, StackEnv, Steps},
    workspace,
};

const DOCUMENT: &str = "docs/permissions.md";

/// The variable with the file of decisions, for the example.
pub const DECISIONS: &str = "DOWNPIPE_TEST_DECISIONS";

/// What is tried.
#[derive(Args, Clone, Debug)]
pub struct EnforceOptions {
    /// Without removing each action in turn
    #[arg(long)]
    pub quick: bool,
    /// Write the tables into docs/permissions.md
    #[arg(long, conflicts_with = "quick")]
    pub write: bool,
}

/// Tries the permissions and prints what was found. Returns whether all is well. Stops the stack again if it was started for this.
pub fn run(options: &EnforceOptions) -> Result<bool> {
    with_stack(|paths| on_stack(paths, options))
}

fn on_stack(paths: &Paths, options: &EnforceOptions) -> Result<bool> {
    const PROGRAM: [&str; 4] = ["-p", "downpipe-tests", "--example", "enforce"];
    // A build of its own: built together with the tests, it would be given the fakes of the feature `testing`.
    let programs = [&PROGRAMS[..], &["--bins"]].concat();
    let (env, product) = match StackEnv::load(paths) {
        // Other processes may use the stack, so it keeps running.
        Ok(env) => (env, cargo::build(&programs, &Steps::start())?),
        Err(_) => stack_and_build(paths, Purpose::Demo, &programs)?,
    };
    let built = cargo::build(&PROGRAM, &Steps::start())?;
    let aws = EnforcingAws::start(paths, &env)?;
    let mut command = Command::new(built.path("enforce")?);
    aws.env().apply_to(&mut command);
    command.arg(if options.quick { "quick" } else { "all" });
    command.env(DECISIONS, aws.decisions());
    command.env("DOWNPIPE_TEST_BOOTSTRAP", product.path("bootstrap")?);
    command.env("DOWNPIPE_TEST_BIN_DIR", product.path("downpipe")?.with_file_name(""));
    let findings = findings(&mut command)?;
    let tables = tables(&findings);
    for table in &tables {
        println!("\n{table}");
    }
    let wrong = findings.iter().filter(|finding| !finding.is_well).count();
    println!("{} trials; {wrong} of them went wrong", findings.len());
    if options.write && wrong == 0 {
        let text: String = tables.iter().map(|table| table.to_markdown() + "\n").collect();
        write(&workspace::path(DOCUMENT), &text)?;
    }
    Ok(wrong == 0)
}

/// Runs the program to its end, and prints each finding as soon as it is known.
fn findings(command: &mut Command) -> Result<Vec<Finding>> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot try the permissions")?;
    let stdout = child.stdout.take().context("the program has no output")?;
    let mut findings = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let finding: Finding = serde_json::from_str(&line?).context("expected a finding")?;
        let verdict = if finding.is_well { "well " } else { "WRONG" };
        println!("{verdict}  {}: {}", finding.subject, finding.outcome);
        findings.push(finding);
    }
    let status = child.wait().context("cannot wait for the program")?;
    ensure!(status.success(), "the program that tries the permissions failed: {status}");
    Ok(findings)
}

fn tables(findings: &[Finding]) -> Vec<Table> {
    let of = |trial: Trial| {
        let mut table = Table::new(trial.header());
        for finding in findings.iter().filter(|finding| finding.trial == trial) {
            table.row([finding.subject.clone(), finding.outcome.clone()]);
        }
        table
    };
    Trial::ALL.map(of).into()
}

fn write(path: &Path, text: &str) -> Result<()> {
    let document = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let document = replaced(DOCUMENT, &document, "enforce", text)?;
    fs::write(path, document).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finding_is_a_row_in_the_table_of_its_trial() {
        let finding = |trial, subject: &str| Finding {
            trial,
            subject: subject.to_owned(),
            outcome: "refused".to_owned(),
            is_well: true,
        };
        let tables = tables(&[finding(Trial::Call, "`a`"), finding(Trial::Removal, "`b`")]);
        let last = |table: &Table| table.to_markdown().lines().last().map(str::to_owned);
        let [steps, removals, calls] = &tables[..] else { panic!("three tables") };
        assert_eq!(last(steps).as_deref(), Some("|---|---|"));
        assert_eq!(last(removals).as_deref(), Some("| `b` | refused |"));
        assert_eq!(last(calls).as_deref(), Some("| `a` | refused |"));
    }
}
