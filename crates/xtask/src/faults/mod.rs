//! `cargo xtask faults`: injects every fault into exports on real parts, and prints the outcomes as a table.
//!
//! An example of `downpipe-tests` injects them, because only the tests may depend on everything. It prints each outcome as a line of
//! JSON.

mod kept;
mod outcome;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::kept::Kept;
pub use self::outcome::Outcome;
use crate::{
    cargo::{self, PROGRAMS},
    demo::LedgerChoice,
    document::{Table, replaced},
    number::grouped,
    prepare::{stack_and_build, with_stack},
    stack::{Paths, Purpose, StackEnv, Steps},
    workspace,
};

const DOCUMENT: &str = "docs/reliability.md";

/// Which faults, and how often.
#[derive(Args, Clone, Debug)]
pub struct FaultsOptions {
    /// Only faults whose names contain one of these: `s3-`, `mysql-cut`
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Injections of each fault [default: that of the fault]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub times: Option<u32>,
    /// Where the workers' ledger is. With `dynamodb`, only faults of workers that have a ledger are injected
    #[arg(long, value_enum, default_value_t = LedgerChoice::Mysql)]
    pub ledger: LedgerChoice,
    /// Seed of random places [default: a new one, which is printed]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Shorter timeouts than in production
    #[arg(long)]
    pub quick: bool,
    /// Write the latest outcome of every fault into docs/reliability.md
    #[arg(long, conflicts_with = "quick")]
    pub write: bool,
}

/// Injects faults and prints the outcomes. Returns whether all are well. Stops the stack again if it was started for this.
pub fn run(options: &FaultsOptions) -> Result<bool> {
    with_stack(|paths| on_stack(paths, options))
}

fn on_stack(paths: &Paths, options: &FaultsOptions) -> Result<bool> {
    const PROGRAM: [&str; 4] = ["-p", "downpipe-tests", "--example", "faults"];
    // A build of its own: built together with the tests, it would be given the fakes of the feature `testing`.
    let product = [&PROGRAMS[..], &["--bins"]].concat();
    let (env, worker) = match StackEnv::load(paths) {
        // Other processes may use the stack, so it keeps running.
        Ok(env) => (env, cargo::build(&product, &Steps::start())?),
        Err(_) => stack_and_build(paths, Purpose::Tests, &product)?,
    };
    let worker = worker.path("downpipe")?.with_file_name("");
    let built = cargo::build(&PROGRAM, &Steps::start())?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let mut command = Command::new(built.path("faults")?);
    command.arg(if options.quick { "quick" } else { "real" });
    command.args([options.times.unwrap_or(0).to_string(), seed.to_string()]);
    command.arg(if options.ledger == LedgerChoice::Dynamodb { "dynamodb" } else { "mysql" });
    command.args(&options.only);
    command.env("DOWNPIPE_TEST_BIN_DIR", worker);
    println!("seed {seed}");
    let started = Instant::now();
    let mut kept = if options.quick { None } else { Some(Kept::open()?) };
    let outcomes = outcomes(env.apply_to(&mut command), kept.as_mut())?;
    ensure!(!outcomes.is_empty(), "expected names of faults after --only, got {}", options.only.join(","));
    let table = table(&outcomes);
    println!("\n{table}");
    let wrong: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_well()).collect();
    for Outcome { fault, wrong, .. } in &wrong {
        println!("WRONG  {fault}: {}", wrong.join("; "));
    }
    println!(
        "{} in {} min; seed {seed}; {} of them went wrong",
        summary(&outcomes),
        started.elapsed().as_secs().div_ceil(60),
        wrong.len()
    );
    if let Some(kept) = kept.filter(|_| options.write) {
        let outcomes = kept.outcomes();
        write(&format!(
            "{}\n{}. The last seed was {seed}.",
            self::table(&outcomes).to_markdown(),
            summary(&outcomes)
        ))?;
    }
    Ok(wrong.is_empty())
}

fn summary(outcomes: &[Outcome]) -> String {
    let injected: u32 = outcomes.iter().map(|outcome| outcome.injected).sum();
    format!("{} faults, injected {} times", outcomes.len(), grouped(injected.into()))
}

/// Runs the program to its end. Prints and keeps each outcome as soon as it is known.
fn outcomes(command: &mut Command, mut kept: Option<&mut Kept>) -> Result<Vec<Outcome>> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run the faults")?;
    let stdout = child.stdout.take().context("the faults have no output")?;
    let mut outcomes = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let outcome: Outcome = serde_json::from_str(&line?).context("expected an outcome")?;
        let verdict = if outcome.is_well() { "well " } else { "WRONG" };
        println!("{verdict}  {}: {} times, {}", outcome.fault, outcome.injected, outcome.outcome);
        if let Some(kept) = &mut kept {
            kept.keep(&outcome)?;
        }
        outcomes.push(outcome);
    }
    // They come as they end, and some are injected at the same time.
    outcomes.sort_by(|a, b| a.fault.cmp(&b.fault));
    let status = child.wait().context("cannot wait for the faults")?;
    ensure!(status.success(), "the program that injects the faults failed: {status}");
    Ok(outcomes)
}

fn table(outcomes: &[Outcome]) -> Table {
    let header = ["fault", "injected", "outcome", "objects", "e-mails", "orphans", "queries left"];
    let mut table = Table::new(header);
    for outcome in outcomes {
        let emails = outcome.emails.map_or_else(|| "–".to_owned(), |emails| emails.to_string());
        table.row([
            outcome.fault.clone(),
            outcome.injected.to_string(),
            outcome.outcome.clone(),
            outcome.objects.to_string(),
            emails,
            outcome.orphans.to_string(),
            outcome.queries_left.to_string(),
        ]);
    }
    table
}

fn write(text: &str) -> Result<()> {
    let path = workspace::path(DOCUMENT);
    let document = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let document = replaced(DOCUMENT, &document, "faults", text)?;
    fs::write(&path, document).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_with_an_error_is_not_well() {
        let well = Outcome {
            fault: "S3: 500".to_owned(),
            injected: 3,
            outcome: "3 whole at attempt 2".to_owned(),
            objects: 3,
            ..Outcome::default()
        };
        assert_eq!(
            table(std::slice::from_ref(&well)).to_markdown().lines().last(),
            Some("| S3: 500 | 3 | 3 whole at attempt 2 | 3 | – | 0 | 0 |")
        );
        assert!(well.is_well());
        assert!(!Outcome { injected: 0, ..well.clone() }.is_well());
        assert!(!Outcome { orphans: 1, ..well.clone() }.is_well());
        assert!(!Outcome { queries_left: 1, ..well.clone() }.is_well());
        assert!(!Outcome { wrong: vec!["short".to_owned()], ..well }.is_well());
    }
}
