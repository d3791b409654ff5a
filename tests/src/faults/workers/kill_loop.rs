//! Kills workers, or their connections, again and again, until two workers have ended many jobs.
//!
//! Half of the jobs are resumable and throttled, so that they live long enough to be hit. Each
//! message may come twice. The loop also does what an operator does: it redrives dead letters and
//! runs the sweep. The sweep's timeouts are minutes and hours, so the loop moves the ledger's times
//! into the past. A ledger in DynamoDB has no connection that a statement could kill: a proxy resets
//! those of its clients.

use std::ops::Range;
use std::process::Output;
use std::time::Duration;

use downpipe_app::worker::MAX_ATTEMPTS;
use downpipe_core::job::{Job, JobId, JobState};
use downpipe_core::language::Language;
use sqlx::AssertSqlSafe;
use tokio::time::Instant;
use xtask::faults::Outcome;

use super::ledger_times;
use super::questions::Question;
use super::scene::{ExportOptions, LEASE};
use crate::faults::fault_run::{FaultRun, Plan};
use crate::faults::http_proxy::HttpProxy;
use crate::test_stack::{TestStack, WorkerProcess};
use crate::{STACK, aws, sha256, unique};

/// The resumable jobs: five parts, in some five seconds.
const THROTTLED: ExportOptions = ExportOptions { resumable: true, gzip: false, rows: 600, pause: 0 };

/// The other jobs: one part, in less than a second.
const PLAIN: ExportOptions = ExportOptions { resumable: false, gzip: false, rows: 100, pause: 0 };

/// The number of jobs that a worker handles at the same time.
const CONCURRENCY: &str = "3";

/// The average time limit of a job, however often it is hit.
const MAX_PER_JOB: Duration = Duration::from_secs(30);

/// The time limit of the loop beyond its jobs.
const MAX_OVERHEAD: Duration = Duration::from_secs(180);

/// Kills a worker or connections every 1 to 3 seconds.
pub async fn steady(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    kill_loop(fault_run, plan, "worker: SIGKILL or KILL CONNECTION every 1 to 3 s", 1_000..3_000).await
}

/// Kills a worker or connections every 0.3 to 3 seconds.
pub async fn fast(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    kill_loop(fault_run, plan, "worker: SIGKILL or KILL CONNECTION every 0.3 to 3 s", 300..3_000).await
}

async fn kill_loop(fault_run: &FaultRun, plan: &Plan, name: &str, pause: Range<u64>) -> Outcome {
    let harness = fault_run.harness().await;
    let sha256 = [harness.undisturbed(THROTTLED).await.sha256, harness.undisturbed(PLAIN).await.sha256];
    let test_stack = harness.test_stack().await;
    let mut killing = KillLoop::new(test_stack, plan).await;
    let mut outcome = Outcome { fault: name.to_owned(), ..Outcome::default() };
    let max = MAX_OVERHEAD + MAX_PER_JOB * plan.times;
    let began = Instant::now();
    killing.kill_until_every_job_has_ended(pause, began + max).await;
    killing.work_until_nothing_is_left(began + max + MAX_OVERHEAD).await;
    killing.inspect(&sha256, &mut outcome).await;
    if outcome.is_well() {
        harness.return_stack(killing.test_stack).await;
    }
    outcome
}

/// A job whose request was sent.
struct SentJob {
    id: JobId,
    body: String,
    options: ExportOptions,
}

struct KillLoop {
    test_stack: TestStack,
    /// The proxy in front of the ledger, if that is in DynamoDB.
    dynamodb: Option<HttpProxy>,
    random: fastrand::Rng,
    jobs: Vec<SentJob>,
    workers: u32,
    connections: u32,
    logs: Vec<String>,
}

impl KillLoop {
    /// Sends the requests.
    async fn new(test_stack: TestStack, plan: &Plan) -> Self {
        let mut jobs = Vec::new();
        for k in 0..plan.times {
            let (options, export) = if k % 2 == 0 { (THROTTLED, "throttled") } else { (PLAIN, "once") };
            let (rows, id) = (options.rows, unique("request"));
            let body = format!(
                r#"{{"export":"{export}","params":{{"rows":{rows},"pause":"0"}},"requested_by":"{id}@example.com","request_id":"{id}"}}"#
            );
            jobs.push(SentJob { id: test_stack.send(&body).await, body, options });
        }
        let random = fastrand::Rng::with_seed(plan.seed);
        let dynamodb = match test_stack.has_ledger_in_dynamodb() {
            true => Some(HttpProxy::start(&STACK.aws_endpoint_url).await),
            false => None,
        };
        Self { test_stack, dynamodb, random, jobs, workers: 0, connections: 0, logs: Vec::new() }
    }

    fn worker(&self) -> WorkerProcess {
        let mut command = self.test_stack.command(&["worker", "--until-empty", "--lease", LEASE]);
        if let Some(dynamodb) = &self.dynamodb {
            command.env("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint());
        }
        WorkerProcess::start(command.args(["--concurrency", CONCURRENCY]))
    }

    fn ids(&self) -> Vec<JobId> {
        self.jobs.iter().map(|job| job.id.clone()).collect()
    }

    async fn kill_until_every_job_has_ended(&mut self, pause: Range<u64>, until: Instant) {
        let mut workers = [self.worker(), self.worker()];
        let mut events = 0;
        while self.count(Question::Ended).await < self.jobs.len() && Instant::now() < until {
            // The pause is the loop's rhythm, not a wait for a condition.
            tokio::time::sleep(Duration::from_millis(self.random.u64(pause.clone()))).await;
            for worker in &mut workers {
                if worker.status().is_some() {
                    *worker = self.worker();
                }
            }
            events += 1;
            if self.random.u8(0..3) == 0 {
                let body = self.random.choice(&self.jobs).unwrap().body.clone();
                self.test_stack.send(&body).await;
            }
            // Other tests cover jobs that end without progress; this loop spares them.
            if self.count(Question::OnLastAttempt).await == 0 {
                self.kill_something(&mut workers).await;
            }
            if events % 8 == 0 {
                self.redrive_and_sweep().await;
            }
        }
        self.logs.extend(workers.iter().map(WorkerProcess::log));
    }

    async fn kill_something(&mut self, workers: &mut [WorkerProcess; 2]) {
        if self.random.bool() {
            let victim = self.random.usize(0..workers.len());
            workers[victim].kill();
            self.logs.push(workers[victim].log());
            workers[victim] = self.worker();
            self.workers += 1;
            return;
        }
        if let Some(dynamodb) = &self.dynamodb
            && self.random.bool()
        {
            self.connections += dynamodb.cut_connections();
            return;
        }
        let mut connections = self.test_stack.database.opened_by().await;
        if self.random.u8(0..4) > 0 {
            connections = self.random.choice(connections).into_iter().collect();
        }
        let mut own = self.test_stack.database.connect().await;
        for connection in connections {
            // The connection may have ended by itself.
            let kill = AssertSqlSafe(format!("KILL CONNECTION {connection}"));
            self.connections += u32::from(sqlx::raw_sql(kill).execute(&mut own).await.is_ok());
        }
    }

    /// Redrives dead letters, and sweeps after moving the times of lost jobs into the past.
    async fn redrive_and_sweep(&mut self) {
        if aws::messages_in(&self.test_stack.config, &self.test_stack.dead_letters).await > 0 {
            self.run("redrive").await;
        }
        if ledger_times::age_lost_jobs(&self.test_stack, &self.ids()).await {
            self.run("sweep").await;
        }
    }

    /// Runs a command to its end. A command that meets a busy server does its work the next time.
    async fn run(&mut self, command: &str) {
        let mut process = self.test_stack.command(&[command]);
        let output: Output = tokio::task::spawn_blocking(move || process.output().unwrap()).await.unwrap();
        self.logs.push(String::from_utf8_lossy(&output.stderr).into_owned());
    }

    async fn work_until_nothing_is_left(&mut self, until: Instant) {
        while Instant::now() < until {
            let mut worker = self.worker();
            while worker.status().is_none() && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            self.logs.push(worker.log());
            self.redrive_and_sweep().await;
            let unnotified = self.count(Question::Unnotified).await;
            let messages = aws::messages_in(&self.test_stack.config, &self.test_stack.queue).await;
            if unnotified + usize::try_from(messages).unwrap() == 0 {
                return;
            }
        }
    }

    /// Counts this loop's jobs that are in the ledger and answer a question.
    async fn count(&self, question: Question) -> usize {
        question.count(&self.test_stack, &self.ids()).await
    }

    async fn inspect(&self, sha256: &[String; 2], outcome: &mut Outcome) {
        let ledger = self.test_stack.ledger();
        let (mut max_attempts, mut failed) = (0, 0);
        for SentJob { id, options, .. } in &self.jobs {
            let Some(job) = ledger.find(id).await.unwrap() else {
                outcome.wrong.push(format!("job {id} is unknown"));
                continue;
            };
            max_attempts = max_attempts.max(job.attempt);
            if job.notified_at.is_none() {
                outcome.wrong.push(format!("the requester of job {id} was not notified"));
            }
            if job.state == JobState::Ready {
                let expected = if *options == THROTTLED { &sha256[0] } else { &sha256[1] };
                if self.sha256_of(&job).await == *expected {
                    outcome.objects += 1;
                } else {
                    outcome.wrong.push(format!("the file of job {id} is not what it should be"));
                }
            } else if options.resumable || job.attempts_since_progress < MAX_ATTEMPTS {
                let (state, attempts_since_progress, failure) =
                    (job.state, job.attempts_since_progress, job.failure.as_ref());
                let message = failure.map_or_else(String::new, |failure| failure.words(Language::En).message);
                outcome
                    .wrong
                    .push(format!("job {id} of {options:?} is {state:?}, after {attempts_since_progress} attempts since progress: {message}"));
            } else {
                failed += 1;
            }
        }
        self.inspect_leftovers(outcome).await;
        outcome.injected = self.workers + self.connections;
        outcome.outcome = format!(
            "{} ready, {failed} that cannot be resumed failed after {MAX_ATTEMPTS} attempts; {} workers and {} connections killed; up to \
             {max_attempts} attempts of a job",
            outcome.objects, self.workers, self.connections
        );
        if !outcome.wrong.is_empty() {
            outcome.wrong.push(self.logs.join("\n"));
        }
    }

    async fn inspect_leftovers(&self, outcome: &mut Outcome) {
        let test_stack = &self.test_stack;
        let mails = test_stack.mails().await;
        outcome.emails = Some(u32::try_from(mails.len()).unwrap());
        for SentJob { id, .. } in &self.jobs {
            if !mails.iter().any(|mail| mail.attributes[3] == id.as_str()) {
                outcome.wrong.push(format!("there is no e-mail about job {id}"));
            }
        }
        let files =
            test_stack.keys().await.iter().filter(|key| !downpipe_core::store::is_receipt(key)).count();
        let uploads = u32::try_from(test_stack.open_uploads().await).unwrap();
        let objects = u32::try_from(files).unwrap().saturating_sub(outcome.objects);
        if uploads + objects > 0 {
            outcome.wrong.push(format!("{uploads} uploads and {objects} objects are left"));
        }
        outcome.orphans = uploads + objects;
        let began = Instant::now();
        while !test_stack.running("downpipe ").await.is_empty() && began.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        outcome.queries_left = u32::try_from(test_stack.running("downpipe ").await.len()).unwrap();
        for key in test_stack.keys().await {
            aws::s3(&test_stack.config)
                .delete_object()
                .bucket(&test_stack.bucket)
                .key(&key)
                .send()
                .await
                .unwrap();
        }
    }

    async fn sha256_of(&self, job: &Job) -> String {
        let bytes = self.test_stack.file(job).await;
        let hash = move || sha256::hex(&bytes);
        tokio::task::spawn_blocking(hash).await.unwrap()
    }
}
