//! The jobs of the demo, as the `downpipe` command shows them.

use std::{
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::console::Console;
use crate::{aws_cli::AwsCli, number::grouped, stack::StackEnv};

/// How long the demo waits for a job. A cold start and 300,000 rows take seconds.
const TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

/// The `downpipe` command on the stack.
pub(super) struct Downpipe<'a> {
    pub(super) program: PathBuf,
    pub(super) env: &'a StackEnv,
    pub(super) database_url: String,
    /// More variables of its environment: where the ledger is.
    pub(super) settings: Vec<(&'static str, String)>,
}

/// The part of a job that the demo looks at.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Job {
    pub(super) id: String,
    request_id: String,
    state: String,
    rows: u64,
    failure: Option<Failure>,
    receipt: Option<Receipt>,
    notified_at: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Failure {
    code: String,
    message: String,
    detail: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Receipt {
    files: Vec<File>,
}

#[derive(Clone, Debug, Deserialize)]
struct File {
    address: String,
}

impl Downpipe<'_> {
    /// Runs a command and returns what it printed.
    pub(super) fn text(&self, args: &[&str]) -> Result<String> {
        let output = self
            .env
            .apply_to(Command::new(&self.program).args(args))
            .env("DATABASE_URL", &self.database_url)
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .output()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        if !output.status.success() {
            bail!("downpipe {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        String::from_utf8(output.stdout).context("downpipe printed no text")
    }

    /// Follows the job of a request until it has ended and its requester is notified. A job that fails is an error.
    pub(super) fn watch(&self, console: &Console, request: &str) -> Result<Job> {
        let started = Instant::now();
        console.say("  0.0 s  sent");
        let mut seen = None;
        loop {
            if let Some(job) = self.find(request)? {
                let now = (job.state.clone(), job.rows);
                if seen.as_ref() != Some(&now) {
                    let (seconds, rows) = (started.elapsed().as_secs_f32(), grouped(job.rows));
                    console
                        .say(&format!("{seconds:5.1} s  {:<8} {rows:>9} rows   job {}", job.state, job.id));
                    seen = Some(now);
                }
                if job.state == "failed" {
                    bail!(
                        "the job {} failed: {}",
                        job.id,
                        job.failure.map_or_else(String::new, Failure::into_text)
                    );
                }
                if job.notified_at.is_some() {
                    console.say(&format!("{:5.1} s  notified", started.elapsed().as_secs_f32()));
                    return Ok(job);
                }
            }
            if started.elapsed() > TIMEOUT {
                let state = seen.map_or("not in the ledger".to_owned(), |(state, _)| state);
                bail!("the request {request} is {state} after {} s", TIMEOUT.as_secs());
            }
            thread::sleep(POLL);
        }
    }

    fn find(&self, request: &str) -> Result<Option<Job>> {
        let jobs: Vec<Job> = serde_json::from_str(&self.text(&["--json", "list", "--limit", "10"])?)
            .context("downpipe list printed no list of jobs")?;
        Ok(jobs.into_iter().find(|job| job.request_id == request))
    }
}

impl Failure {
    fn into_text(self) -> String {
        let detail = self.detail.map_or_else(String::new, |detail| format!("\n{detail}"));
        format!("{} ({}){detail}", self.message, self.code)
    }
}

impl Job {
    /// Returns the path of its file.
    pub(super) fn address(&self) -> Result<&str> {
        let file = self.receipt.as_ref().and_then(|receipt| receipt.files.first());
        file.map(|file| file.address.as_str()).with_context(|| format!("the job {} has no receipt", self.id))
    }
}

/// Returns the end of the worker's log, for an error; a log that cannot be read is not an error itself.
pub(super) fn log_tail(aws: AwsCli<'_>, group: &str) -> String {
    let args = ["logs", "filter-log-events", "--log-group-name", group, "--query", "events[-20:].[message]"];
    let text =
        aws.text(&[&args[..], &["--output", "text"]].concat()).unwrap_or_else(|err| format!("{err:#}"));
    let lines = text.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("\n    {line}"));
    format!("the end of the worker's log, {group}:{}", lines.collect::<String>())
}
