//! What the worker does, step by step, and what has to come of each.

use std::fmt::Write as _;

use downpipe_core::job::{JobId, JobState};
use downpipe_core::ledger::CancelOutcome;
use downpipe_core::message::Message;
use serde_json::json;

use super::age::make_old;
use super::site::{NUMBERS, RUN, Site};
use super::watch::expect;

/// The limit of a short run, in seconds, of which three quarters are for reading.
const SHORT_RUN: u32 = 20;

/// A step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    File,
    Check,
    Failure,
    DoubleClick,
    SharedResult,
    AnotherAttempt,
    Sweep,
    Cancellation,
    Resumption,
}

impl Step {
    /// All of them; the quickest first.
    pub(super) const ALL: [Self; 9] = [
        Self::File,
        Self::Check,
        Self::Failure,
        Self::DoubleClick,
        Self::SharedResult,
        Self::AnotherAttempt,
        Self::Sweep,
        Self::Cancellation,
        Self::Resumption,
    ];

    /// Returns its name in the tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "file and notice",
            Self::Check => "`downpipe check --ledger`",
            Self::Failure => "failure and notices",
            Self::DoubleClick => "double click",
            Self::SharedResult => "shared result",
            Self::AnotherAttempt => "another attempt",
            Self::Sweep => "expiry and deletion by the sweep",
            Self::Cancellation => "cancellation of an upload",
            Self::Resumption => "file of two runs",
        }
    }

    /// Runs it. No call of the worker may be refused.
    pub(super) async fn run(self, site: &Site<'_>) -> Result<(), String> {
        let outcome = match self {
            Self::File => file(site).await.map(drop),
            Self::Check => check(site),
            Self::Failure => failure(site).await,
            Self::DoubleClick => double_click(site).await,
            Self::SharedResult => shared_result(site).await,
            Self::AnotherAttempt => another_attempt(site).await,
            Self::Sweep => sweep(site).await,
            Self::Cancellation => cancellation(site).await,
            Self::Resumption => resumption(site).await,
        };
        outcome?;
        let refused = site.refused();
        expect(refused.is_empty(), || format!("refused: {refused:?}"))
    }
}

/// Returns a number that no other request has, nor a row.
fn number() -> u32 {
    fastrand::u32(NUMBERS + 1..)
}

async fn file(site: &Site<'_>) -> Result<JobId, String> {
    let id = site.send("orders", number(), "alice").await;
    let job = site.ended(&id, JobState::Ready).await?;
    let file = site.file(&job).await;
    expect(file == b"id,name\n1,one\n2,two\n3,three\n", || String::from_utf8_lossy(&file).into_owned())?;
    let keys = site.keys(&id).await;
    expect(keys.len() == 2, || format!("expected a file and its receipt, got {keys:?}"))?;
    Ok(job.id)
}

fn check(site: &Site<'_>) -> Result<(), String> {
    let output = site.command_as_role(&["check", "--ledger"]).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    expect(output.status.success(), || said.lines().last().unwrap_or_default().to_owned())
}

async fn failure(site: &Site<'_>) -> Result<(), String> {
    let id = site.send("broken", number(), "alice").await;
    let job = site.ended(&id, JobState::Failed).await?;
    let code = job.failure.map(|failure| failure.code.to_string());
    expect(code.as_deref() == Some("query_failed"), || format!("expected query_failed, got {code:?}"))?;
    leaves_nothing(site, &id).await
}

async fn double_click(site: &Site<'_>) -> Result<(), String> {
    let number = number();
    let clicks = [site.send("slow", number, "alice").await, site.send("slow", number, "alice").await];
    let first = site.until("both clicks are one job", async || {
        let [first, second] = [site.find(&clicks[0]).await?, site.find(&clicks[1]).await?];
        (first.id == second.id).then_some(first.id)
    });
    let first = first.await?;
    site.ended(&first, JobState::Ready).await.map(drop)
}

async fn shared_result(site: &Site<'_>) -> Result<(), String> {
    let number = number();
    let [alice, bob] = [site.send("shared", number, "alice").await, site.send("shared", number, "bob").await];
    let [alice, bob] = [site.ended(&alice, JobState::Ready).await?, site.ended(&bob, JobState::Ready).await?];
    let addresses = [alice, bob].map(|job| job.receipt.map(|receipt| receipt.files[0].address.clone()));
    expect(addresses[0] == addresses[1], || format!("expected one file, got {addresses:?}"))
}

async fn another_attempt(site: &Site<'_>) -> Result<(), String> {
    let id = site.send("slow", number(), "alice").await;
    let query = site.until("the query runs", async || {
        site.database.running(&format!("downpipe {id} attempt")).await.pop()
    });
    let query = query.await?;
    site.database.execute(&format!("KILL {query}")).await;
    let is_back = async || site.find(&id).await.filter(|job| job.state == JobState::Queued);
    site.until("the job is queued again", is_back).await?;
    // Its own message comes back only after 90 seconds.
    site.send_body(&Message::Continue(id.clone()).to_json()).await;
    let job = site.ended(&id, JobState::Ready).await?;
    expect(job.attempt == 2, || format!("expected attempt 2, got {}", job.attempt))
}

async fn sweep(site: &Site<'_>) -> Result<(), String> {
    let id = file(site).await?;
    // The schedule's own sweep may come first, so what is found does not matter, but what is left.
    for state in [Some(JobState::Expired), None] {
        make_old(site, &id).await;
        let report = site.sweep();
        let left = site.find(&id).await.map(|job| job.state);
        expect(left == state && report["not_looked_for"] == json!([]), || {
            format!("expected {state:?}, got {left:?}; {report}")
        })?;
    }
    leaves_nothing(site, &id).await
}

async fn cancellation(site: &Site<'_>) -> Result<(), String> {
    let id = site.send("pages", number(), "alice").await;
    let is_open = async || (site.uploads(&id).await > 0).then_some(());
    site.until("an upload is open", is_open).await?;
    let requested = site.ledger.cancel(&id).await.unwrap();
    expect(requested == CancelOutcome::Requested, || format!("expected a running job, got {requested:?}"))?;
    site.ended(&id, JobState::Cancelled).await?;
    leaves_nothing(site, &id).await
}

async fn resumption(site: &Site<'_>) -> Result<(), String> {
    site.limit_runs(SHORT_RUN);
    let resumed = file_of_two_runs(site).await;
    site.limit_runs(RUN);
    resumed
}

async fn file_of_two_runs(site: &Site<'_>) -> Result<(), String> {
    let id = site.send("pages", number(), "alice").await;
    let job = site.ended(&id, JobState::Ready).await?;
    expect(job.resume_count > 0, || "expected several runs, got one".to_owned())?;
    let filling = "x".repeat(65536);
    let mut expected = "id,filling,slept\n".to_owned();
    for id in 1..=NUMBERS {
        writeln!(expected, "{id},{filling},0").map_err(|error| error.to_string())?;
    }
    let file = site.file(&job).await;
    expect(file == expected.as_bytes(), || format!("expected {} bytes, got {}", expected.len(), file.len()))
}

async fn leaves_nothing(site: &Site<'_>, id: &JobId) -> Result<(), String> {
    let (keys, uploads) = (site.keys(id).await, site.uploads(id).await);
    expect(keys.is_empty() && uploads == 0, || format!("left: {keys:?} and {uploads} uploads"))
}
