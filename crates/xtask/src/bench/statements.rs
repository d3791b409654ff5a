//! `cargo xtask bench statements`: how many statements a small job costs MySQL.
//!
//! Messages for many small jobs are sent first; then one `downpipe worker` handles them, two at a time. The worker logs in as a user
//! of its own, so the server counts its statements apart from those of everything else that runs on the stack. `Questions` is the
//! number that counts; tables below it divide it by kind and by text. No clock is read, so the worker is a debug build.

mod surroundings;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use self::surroundings::Surroundings;
use super::counts::{Counts, Recorder};
use crate::cargo::{self, PROGRAMS};
use crate::number::grouped;
use crate::stack::{Paths, StackEnv, Steps};

/// Rows of each job.
const ROWS: u32 = 1_000;

/// Jobs that the worker handles at a time, as two Lambda functions do on AWS.
const CONCURRENCY: &str = "2";

/// How statements are counted.
#[derive(Args, Clone, Copy, Debug, Eq, PartialEq)]
pub struct StatementsOptions {
    /// Number of jobs
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub jobs: u32,
}

/// Runs the jobs and prints the statements of one.
pub(super) fn run(StatementsOptions { jobs }: StatementsOptions) -> Result<bool> {
    let steps = Steps::start();
    let env = StackEnv::load(&Paths::of_workspace())?;
    let built = cargo::build(&[&PROGRAMS[..], &["--bins"]].concat(), &steps)?;
    let recorder = Recorder::create(&env.database_url, ROWS)?;
    let surroundings = Surroundings::create(&env, built.path("downpipe")?, recorder.name())?;
    surroundings.migrate(&recorder.owner_url())?;
    steps.say("statements", &format!("sends {} messages", grouped(jobs.into())));
    surroundings.send(jobs)?;
    steps.say("statements", &format!("has them handled, {CONCURRENCY} at a time"));
    let before = recorder.read()?;
    surroundings.work(&recorder.worker_url(), CONCURRENCY)?;
    let counts = recorder.read()?.since(&before);
    ensure_ready(&surroundings.jobs(&recorder.owner_url(), jobs)?, jobs)?;
    println!("{}", report(&counts, jobs));
    Ok(true)
}

/// Refuses counts of jobs that did not end as they should: a failed job costs other statements.
fn ensure_ready(listed: &Value, jobs: u32) -> Result<()> {
    let listed = listed.as_array().context("`downpipe list` printed no list")?;
    let is_ready = |job: &&Value| {
        job["state"] == "ready" && job["rows"] == ROWS && job["attempt"].as_u64().is_none_or(|n| n == 1)
    };
    let ready = listed.iter().filter(is_ready).count();
    ensure!(
        u32::try_from(ready) == Ok(jobs),
        "expected {jobs} jobs that are ready after one attempt, got {ready}"
    );
    Ok(())
}

fn report(counts: &Counts, jobs: u32) -> String {
    let per_job = counts.questions as f64 / f64::from(jobs);
    format!(
        "\n{}\n{}\n{} jobs of {} rows, {CONCURRENCY} at a time: {per_job:.1} statements a job (Questions)",
        counts.by_kind(jobs),
        counts.by_text(jobs),
        grouped(jobs.into()),
        grouped(ROWS.into()),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn jobs_that_are_not_ready_are_refused() {
        let ready = json!({ "state": "ready", "rows": ROWS });
        assert!(ensure_ready(&json!([ready, ready]), 2).is_ok());
        let failed = json!({ "state": "failed", "rows": 0 });
        let error = ensure_ready(&json!([ready, failed]), 2).unwrap_err().to_string();
        assert_eq!(error, "expected 2 jobs that are ready after one attempt, got 1");
    }
}
