//! `cargo xtask faults`: every fault injected into an export on real parts, and what came of it, as a table.
//!
//! What injects them is an example of `downpipe-tests`, because only tests may stand on everything. It prints what came of each
//! as a line of JSON.

mod outcome;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

pub use self::outcome::Outcome;
use crate::{
    cargo,
    document::{Table, replaced},
    number::grouped,
    prepare::stack_and_build,
    stack::{self, Paths, Purpose, StackEnv, Steps},
    workspace,
};

const DOCUMENT: &str = "docs/reliability.md";

/// Which faults, and how often.
#[derive(Args, Clone, Debug)]
pub struct FaultsOptions {
    /// Only those whose names contain one of these: `s3-`, `mysql-cut`
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// How often each is injected; otherwise as often as is usual for it
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub times: Option<u32>,
    /// What random places are drawn from; otherwise something new, which is printed
    #[arg(long)]
    pub seed: Option<u64>,
    /// Shorter timeouts than in production
    #[arg(long)]
    pub quick: bool,
    /// Put the table into docs/reliability.md
    #[arg(long, conflicts_with_all = ["only", "quick"])]
    pub write: bool,
}

/// Injects faults and prints what came of them. Returns whether all is well. A stack that was started for this is stopped again.
pub fn run(options: &FaultsOptions) -> Result<bool> {
    let paths = Paths::of_workspace();
    let was_running = stack::status(&paths)?.parts.iter().any(|part| part.pid.is_some());
    let outcome = on_stack(&paths, options);
    if !was_running {
        let stopped = stack::down(&paths);
        return outcome.and_then(|well| stopped.map(|()| well));
    }
    outcome
}

fn on_stack(paths: &Paths, options: &FaultsOptions) -> Result<bool> {
    const PROGRAM: [&str; 4] = ["-p", "downpipe-tests", "--example", "faults"];
    // A build of its own: built together with the tests, it would be given the fakes of the feature `testing`.
    const WORKER: [&str; 4] = ["-p", "downpipe-cli", "--bin", "downpipe"];
    let (env, worker) = match StackEnv::load(paths) {
        // Others may be using it: it is left as it is.
        Ok(env) => (env, cargo::build(&WORKER, &Steps::start())?),
        Err(_) => stack_and_build(paths, Purpose::Tests, &WORKER)?,
    };
    let worker = worker.path("downpipe")?.with_file_name("");
    let built = cargo::build(&PROGRAM, &Steps::start())?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let mut command = Command::new(built.path("faults")?);
    command.arg(if options.quick { "quick" } else { "real" });
    command.args([options.times.unwrap_or(0).to_string(), seed.to_string()]).args(&options.only);
    command.env("DOWNPIPE_TEST_BIN_DIR", worker);
    println!("seed {seed}");
    let started = Instant::now();
    let outcomes = outcomes(env.apply_to(&mut command))?;
    ensure!(!outcomes.is_empty(), "expected names of faults after --only, got {}", options.only.join(","));
    let table = table(&outcomes);
    println!("\n{table}");
    let wrong: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_well()).collect();
    for Outcome { fault, wrong, .. } in &wrong {
        println!("WRONG  {fault}: {}", wrong.join("; "));
    }
    let injected: u32 = outcomes.iter().map(|outcome| outcome.injected).sum();
    let summary = format!(
        "{} faults, injected {} times in {} min; seed {seed}",
        outcomes.len(),
        grouped(injected.into()),
        started.elapsed().as_secs().div_ceil(60)
    );
    println!("{summary}; {} of them went wrong", wrong.len());
    if options.write {
        write(&format!("{}\n{summary}.", table.to_markdown()))?;
    }
    Ok(wrong.is_empty())
}

/// Runs the program to its end, and says what came of each fault as soon as it is known.
fn outcomes(command: &mut Command) -> Result<Vec<Outcome>> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run the faults")?;
    let stdout = child.stdout.take().context("the faults have no output")?;
    let mut outcomes = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let outcome: Outcome = serde_json::from_str(&line?).context("expected an outcome")?;
        let verdict = if outcome.is_well() { "well " } else { "WRONG" };
        println!("{verdict}  {}: {} times, {}", outcome.fault, outcome.injected, outcome.outcome);
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
    fn an_outcome_is_a_line_of_the_table_and_well_only_without_what_is_wrong() {
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
