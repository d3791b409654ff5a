//! Has the Lambda's program handle clicks, and measures them.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::Kind;
use super::surroundings::Surroundings;
use super::waits::Waits;

/// The share of clicks that the cache must answer as expected. The others are left out: a busy machine may miss its time limit.
const MIN_EXPECTED: f64 = 0.95;

/// The programs.
pub(super) struct Programs {
    /// What Lambda starts.
    pub(super) bootstrap: PathBuf,
    pub(super) runtime_api: PathBuf,
}

/// The figures of a kind of clicks.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Clicks {
    pub(super) kind: Kind,
    /// From the event handed out to the response, of every click.
    pub(super) wall_ms: Vec<f64>,
    /// The part of it in which no request to AWS was under way.
    pub(super) own_ms: Vec<f64>,
    /// The CPU time of the whole process meanwhile.
    pub(super) cpu_ms: Vec<f64>,
    /// Statements that MySQL counted, those of the connection included, for each click.
    pub(super) statements: f64,
}

/// The answer of `runtime-api`.
#[derive(Deserialize)]
struct Run {
    invocations: Vec<Invocation>,
}

#[derive(Deserialize)]
struct Invocation {
    outcome: String,
    answer: String,
    handed_out_unix_ms: f64,
    wall_ms: f64,
    cpu_ms: f64,
}

/// What the program logged.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    /// What the cache answered, click by click.
    answers: Vec<String>,
    /// Requesters who were notified of a file.
    notified: usize,
}

/// Has so many clicks of a kind handled, after one that finds no connection open and is not counted.
pub(super) fn measure(programs: &Programs, around: &Surroundings, kind: Kind, clicks: u32) -> Result<Clicks> {
    let count = clicks as usize + 1;
    let waits = Waits::start(&around.env.aws_endpoint_url)?;
    let before = around.recorder.read()?;
    let (run, log) = handle(programs, around, kind, count, waits.endpoint())?;
    let statements = around.recorder.read()?.since(&before).questions as f64 / count as f64;
    ensure_ready(&run, &log, count)?;
    let mut figures = Clicks { kind, wall_ms: vec![], own_ms: vec![], cpu_ms: vec![], statements };
    for (number, invocation) in run.invocations.iter().enumerate().skip(1) {
        if log.answers.get(number).map(String::as_str) == kind.answer() {
            let (begin, wall) = (invocation.handed_out_unix_ms, invocation.wall_ms);
            figures.own_ms.push(wall - waits.between(begin, begin + wall));
            figures.wall_ms.push(wall);
            figures.cpu_ms.push(invocation.cpu_ms);
        }
    }
    let expected = figures.wall_ms.len() as f64;
    ensure!(
        expected >= MIN_EXPECTED * f64::from(clicks),
        "expected {clicks} times {:?} of the cache, got {:?}",
        kind.answer(),
        log.answers
    );
    Ok(figures)
}

/// Starts the program, hands it the events, and returns what that took and what it logged.
fn handle(
    programs: &Programs,
    around: &Surroundings,
    kind: Kind,
    count: usize,
    endpoint: String,
) -> Result<(Run, Log)> {
    let events = around.folder.join("events.json");
    fs::write(&events, serde_json::to_vec(&kind.events(count))?).context("cannot write the events")?;
    let log = around.folder.join("log");
    let mut command = Command::new(&programs.runtime_api);
    around.env.apply_to(&mut command).arg(&events).arg(&programs.bootstrap);
    command.envs(around.environment(kind, endpoint));
    command.stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?);
    let output = command.output().context("cannot run runtime-api")?;
    ensure!(output.status.success(), "runtime-api failed; what it said is in {}", log.display());
    let run = serde_json::from_slice(&output.stdout).context("runtime-api gave no answer")?;
    Ok((run, Log::read(&fs::read_to_string(&log)?)))
}

/// Refuses figures of jobs that did not end as they should.
fn ensure_ready(run: &Run, log: &Log, count: usize) -> Result<()> {
    for Invocation { outcome, answer, .. } in &run.invocations {
        let failures = serde_json::from_str::<Value>(answer).ok();
        let failures = failures.and_then(|answer| Some(answer["batchItemFailures"].as_array()?.len()));
        ensure!(outcome == "response" && failures == Some(0), "a click failed: {answer}");
    }
    let handled = run.invocations.len();
    ensure!(handled == count, "expected {count} clicks that were handled, got {handled}");
    ensure!(log.notified == count, "expected {count} requesters notified of a file, got {}", log.notified);
    Ok(())
}

impl Log {
    fn read(text: &str) -> Self {
        let mut log = Self::default();
        for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            if let Some(answer) = line["cache"].as_str() {
                log.answers.push(answer.to_owned());
            }
            let is_notified = line["message"] == "the requester is notified" && line["status"] == "ready";
            log.notified += usize::from(is_notified);
        }
        log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_has_the_caches_answers_in_order_and_counts_notices_of_files() {
        let text = r#"{"message":"the cache was asked for a file","cache":"miss"}
            {"message":"the requester is notified","status":"ready"}
            no line of ours
            {"message":"the cache was asked for a file","cache":"hit"}
            {"message":"the requester is notified","status":"failed"}"#;
        let expected = Log { answers: vec!["miss".to_owned(), "hit".to_owned()], notified: 1 };
        assert_eq!(Log::read(text), expected);
    }

    #[test]
    fn click_that_failed_is_refused() {
        let run = |answer: &str| Run {
            invocations: vec![Invocation {
                outcome: "response".to_owned(),
                answer: answer.to_owned(),
                handed_out_unix_ms: 0.0,
                wall_ms: 1.0,
                cpu_ms: 1.0,
            }],
        };
        let log = |notified| Log { answers: vec![], notified };
        let good = run(r#"{"batchItemFailures":[]}"#);
        assert!(ensure_ready(&good, &log(1), 1).is_ok());
        assert!(
            ensure_ready(&good, &log(0), 1).unwrap_err().to_string().contains("notified of a file, got 0")
        );
        let bad = run(r#"{"batchItemFailures":[{"itemIdentifier":"m"}]}"#);
        assert!(ensure_ready(&bad, &log(1), 1).unwrap_err().to_string().starts_with("a click failed"));
    }
}
