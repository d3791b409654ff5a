//! What is seen of a site from outside: jobs, objects, e-mails, and what the worker was allowed or refused.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use downpipe_core::job::{Job, JobId, JobState};
use serde_json::Value;
use xtask::stack::Decision;

use super::site::Site;
use crate::aws;

/// Longer than a message is hidden whose worker was killed at the end of its time, as may happen on a loaded machine.
const TIME_LIMIT: Duration = Duration::from_secs(240);
/// How long the log may be silent about a refusal: it is written when an invocation ends.
const LOG_LIMIT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Site<'_> {
    /// Waits until a condition returns a value, and no longer than until the worker is refused something.
    pub(super) async fn until<T>(
        &self,
        what: &str,
        condition: impl AsyncFn() -> Option<T>,
    ) -> Result<T, String> {
        let began = Instant::now();
        loop {
            let refused = self.refused();
            if let Some(first) = refused.first() {
                return Err(format!("`{first}` is refused"));
            }
            if let Some(value) = condition().await {
                return Ok(value);
            }
            if began.elapsed() > TIME_LIMIT {
                return Err(format!("waited {} s in vain: {what}", TIME_LIMIT.as_secs()));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns a job, if the ledger has it.
    pub(super) async fn find(&self, id: &JobId) -> Option<Job> {
        self.ledger.find(id).await.unwrap()
    }

    /// Waits until a job has ended in this state, its requester is notified, and the e-mail is there.
    pub(super) async fn ended(&self, id: &JobId, state: JobState) -> Result<Job, String> {
        let job = self.until("the requester is notified", async || {
            self.find(id).await.filter(|job| job.notified_at.is_some())
        });
        let job = job.await?;
        expect(job.state == state, || {
            format!("expected {}, got {}: {:?}", state.as_str(), job.state.as_str(), job.failure)
        })?;
        self.until("the e-mail", async || {
            let new = self.inbox.take().await;
            let mut mails = self.mails.lock().unwrap();
            mails.extend(new);
            let attributes = [job.id.as_str(), state.as_str()];
            mails.iter().any(|mail| [&mail.attributes[3], &mail.attributes[2]] == attributes).then_some(())
        })
        .await?;
        Ok(job)
    }

    /// Lists the keys of a job's objects.
    pub(super) async fn keys(&self, id: &JobId) -> Vec<String> {
        let mut keys = aws::keys(&self.place.config, &self.bucket).await;
        keys.retain(|key| key.contains(id.as_str()));
        keys
    }

    /// Counts a job's uploads that are neither completed nor aborted.
    pub(super) async fn uploads(&self, id: &JobId) -> usize {
        let list = aws::s3(&self.place.config).list_multipart_uploads().bucket(&self.bucket);
        let listed = list.send().await.unwrap();
        let keys = listed.uploads().iter().filter_map(|upload| upload.key());
        keys.filter(|key| key.contains(id.as_str())).count()
    }

    /// Reads a job's file.
    pub(super) async fn file(&self, job: &Job) -> Vec<u8> {
        let address = &job.receipt.as_ref().unwrap().files[0].address;
        let key = address.strip_prefix(&format!("s3://{}/", self.bucket)).unwrap();
        aws::object(&self.place.config, &self.bucket, key).await.unwrap_or_default()
    }

    /// Forgets the decisions so far.
    pub(super) fn begin_step(&self) {
        let (_, end) = Decision::read(&self.place.decisions, self.step.load(Ordering::Relaxed)).unwrap();
        self.step.store(end, Ordering::Relaxed);
    }

    /// Returns the decisions about the worker since the step began.
    fn decisions(&self) -> Vec<Decision> {
        let (mut decisions, _) =
            Decision::read(&self.place.decisions, self.step.load(Ordering::Relaxed)).unwrap();
        let role = format!(":assumed-role/{}/", self.role.name);
        decisions.retain(|decision| decision.principal.contains(&role));
        decisions
    }

    /// Returns the actions that the worker asked for since the step began.
    pub(super) fn asked(&self) -> BTreeSet<String> {
        self.decisions().into_iter().map(|decision| decision.action).collect()
    }

    /// Returns the actions that the worker was refused since the step began.
    pub(super) fn refused(&self) -> BTreeSet<String> {
        let refused = self.decisions().into_iter().filter(|decision| !decision.allowed);
        refused.map(|decision| decision.action).collect()
    }

    /// Returns what the worker's log says since a time, of what went wrong.
    pub(super) async fn complaint(&self, since: jiff::Timestamp) -> String {
        let began = Instant::now();
        loop {
            let lines = self.log(since);
            let with = |level: &str| lines.iter().find(|line| line["level"] == level);
            let is_silent = began.elapsed() > LOG_LIMIT;
            if let Some(line) = with("ERROR").or_else(|| with("WARN")) {
                return format!("\"{}\"", line["message"].as_str().unwrap_or_default());
            }
            if is_silent {
                return "the worker goes on without it".to_owned();
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Reads the lines of the worker's log since a time.
    fn log(&self, since: jiff::Timestamp) -> Vec<Value> {
        let since = since.as_millisecond().to_string();
        let args = ["logs", "filter-log-events", "--log-group-name", self.output("LogGroupName")];
        let query = ["--start-time", &since, "--query", "events[].message"];
        let answer = self.place.aws().json(&[&args[..], &query].concat()).unwrap();
        let events: Vec<String> = serde_json::from_value(answer).unwrap_or_default();
        let lines = events.iter().flat_map(|event| event.lines());
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// Returns an error unless the condition holds.
pub(super) fn expect(holds: bool, words: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(words()) }
}
