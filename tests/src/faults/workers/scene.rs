//! Runs worker processes under a fault: sets up the job, the processes and the proxies, and
//! inspects what is left.

use std::ops::RangeInclusive;
use std::process::Command;
use std::time::Duration;

use downpipe_core::job::{Job, JobId, JobState};
use downpipe_core::store::is_receipt;
use xtask::demo::LedgerChoice;

use super::harness::WorkerHarness;
use super::ledger_times;
use crate::faults::fault_run::Timing;
use crate::faults::http_proxy::HttpProxy;
use crate::faults::mysql_proxy::MySqlProxy;
use crate::faults::scene::{Ended, Run};
use crate::test_stack::{TestStack, WorkerProcess};
use crate::{STACK, aws, eventually, eventually_within, localstack_url, sha256, unique};

/// The lease in seconds, long enough for a loaded machine. After 1.5 leases SQS redelivers the
/// messages of workers that died.
pub const LEASE: &str = "2";

/// The time limit of a job: twenty resumed runs of twenty seconds each, and their deliveries.
const TIME_LIMIT: Duration = Duration::from_secs(900);

/// The export that the request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExportOptions {
    /// Whether another run can resume the export.
    pub resumable: bool,
    /// Whether the file is compressed with gzip.
    pub gzip: bool,
    /// The number of rows, of 64 KiB each.
    pub rows: u32,
    /// The time that the server sleeps for each row, in microseconds.
    pub pause: u32,
}

impl ExportOptions {
    /// A resumable export of four parts, in about three seconds. The first checkpoint is saved when
    /// the third part is sent.
    pub const FEW_PARTS: Self = Self { resumable: true, gzip: false, rows: 420, pause: 5_000 };

    /// Returns [`FEW_PARTS`](Self::FEW_PARTS), resumable or not.
    #[must_use]
    pub fn few_parts(resumable: bool) -> Self {
        Self { resumable, ..Self::FEW_PARTS }
    }

    /// Makes the export not resumable.
    #[must_use]
    pub fn without_resume(self) -> Self {
        Self { resumable: false, ..self }
    }
}

/// One injection, with its own stack and proxies.
#[derive(Debug)]
pub struct WorkerScene<'a> {
    harness: &'a WorkerHarness,
    /// The queue, topic, bucket and ledger.
    pub test_stack: TestStack,
    /// The proxy in front of AWS.
    pub aws: HttpProxy,
    /// The proxy in front of MySQL.
    pub mysql: MySqlProxy,
    /// The proxy in front of DynamoDB, which only a ledger there asks.
    pub dynamodb: HttpProxy,
    options: ExportOptions,
    body: String,
}

impl<'a> WorkerScene<'a> {
    /// Sets up the stack and the proxies. No request is sent yet.
    pub async fn new(harness: &'a WorkerHarness, options: ExportOptions) -> Self {
        Self::on(harness, options, Box::pin(harness.test_stack()).await).await
    }

    /// Sets up a stack whose ledger is in DynamoDB, and the proxies. No request is sent yet.
    pub async fn with_ledger_in_dynamodb(harness: &'a WorkerHarness, options: ExportOptions) -> Self {
        let test_stack = Box::pin(harness.new_test_stack_with(LedgerChoice::Dynamodb)).await;
        Self::on(harness, options, test_stack).await
    }

    async fn on(harness: &'a WorkerHarness, options: ExportOptions, test_stack: TestStack) -> Self {
        let ExportOptions { resumable, gzip, rows, pause } = options;
        let export = if resumable { "resumable" } else { "once" };
        let compression = if gzip { "gzip" } else { "none" };
        let id = unique("request");
        let pause = f64::from(pause) / 1e6;
        let body = format!(
            r#"{{"export":"{export}","params":{{"rows":{rows},"pause":"{pause}"}},"compression":"{compression}","requested_by":"{id}@example.com","request_id":"{id}"}}"#
        );
        Self {
            harness,
            aws: HttpProxy::start(localstack_url()).await,
            mysql: MySqlProxy::start(&test_stack.database.url).await,
            dynamodb: HttpProxy::start(&STACK.aws_endpoint_url).await,
            test_stack,
            options,
            body,
        }
    }

    /// Sends the request for the export. Every call sends the same request.
    pub async fn send_request(&self) -> JobId {
        self.test_stack.send(&self.body).await
    }

    /// Returns the command of a worker behind the proxies, which ends when the queue is empty. Its
    /// connection to MySQL is unencrypted, so that the proxy sees statements.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.test_stack.command(&["worker", "--until-empty"]);
        if !args.contains(&"--lease") {
            command.args(["--lease", LEASE]);
        }
        let url = format!("{}?ssl-mode=disabled", self.mysql.url(&self.test_stack.database.url));
        command.env("AWS_ENDPOINT_URL", self.aws.endpoint()).env("DATABASE_URL", url).args(args);
        if self.test_stack.has_ledger_in_dynamodb() {
            command.env("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.endpoint());
        }
        command
    }

    /// Starts a worker behind the proxies.
    pub fn worker(&self, args: &[&str]) -> WorkerProcess {
        WorkerProcess::start(&mut self.command(args))
    }

    /// Waits until a worker has ended by itself, and checks that it succeeded.
    pub async fn wait_for_success(&self, worker: &mut WorkerProcess) {
        let worker = std::cell::RefCell::new(worker);
        let status =
            eventually_within(TIME_LIMIT, "the worker has ended", async || worker.borrow_mut().status())
                .await;
        assert!(status.success(), "{status}: {}", worker.borrow().log());
    }

    /// Reads a job from the ledger, if the ledger knows it.
    pub async fn find(&self, job: &JobId) -> Option<Job> {
        let ledger = self.test_stack.ledger();
        // On a loaded machine a connection may fail, which is not the fault under test.
        eventually("the ledger answers", async || ledger.find(job).await.ok()).await
    }

    /// Moves the end of a notify lease one minute back. Otherwise the lease of a worker that died
    /// while it notified would last another minute.
    pub async fn expire_notify_lease(&self, job: &JobId) {
        Box::pin(ledger_times::expire_notify_lease(&self.test_stack, job)).await;
    }

    /// Inspects what is left when all workers have ended, records what is wrong, and deletes it.
    pub async fn inspect(self, job: &JobId, injected: u32, expected_emails: RangeInclusive<u32>) -> Run {
        let found = self.find(job).await;
        let mut run = Run {
            ended: ended(found.as_ref()),
            injected,
            objects: 0,
            emails: None,
            orphans: 0,
            queries_left: 0,
            wrong: Vec::new(),
        };
        self.inspect_store(found.as_ref(), &mut run).await;
        let mails = self.test_stack.mails().await;
        let mails = mails.iter().filter(|mail| mail.attributes[3] == job.as_str()).count();
        let mails = u32::try_from(mails).unwrap();
        run.emails = Some(mails);
        run = run.wrong_if(
            !expected_emails.contains(&mails),
            format!("expected {expected_emails:?} e-mails, got {mails}"),
        );
        if found.is_none_or(|job| job.notified_at.is_none()) {
            run.wrong.push("the ledger does not record that the requester was notified".to_owned());
        }
        for (what, queue) in
            [("queue", &self.test_stack.queue), ("dead letters", &self.test_stack.dead_letters)]
        {
            let messages = aws::messages_in(&self.test_stack.config, queue).await;
            run = run.wrong_if(messages > 0, format!("{messages} messages are left in the {what}"));
        }
        run.queries_left =
            u32::try_from(self.test_stack.database.queries_left(&format!("downpipe {job}")).await).unwrap();
        if run.wrong.is_empty() && run.queries_left == 0 {
            self.harness.return_stack(self.test_stack).await;
        }
        run
    }

    async fn inspect_store(&self, job: Option<&Job>, run: &mut Run) {
        let (config, bucket) = (&self.test_stack.config, &self.test_stack.bucket);
        let file = job.and_then(|job| job.receipt.as_ref()).map(|receipt| receipt.files[0].address.clone());
        for key in aws::keys(config, bucket).await {
            if file.as_ref() == Some(&format!("s3://{bucket}/{key}")) {
                run.objects += 1;
                // Hashes in a separate task, because a large file must not delay the other
                // injections.
                let (config, bucket, key) = (config.clone(), bucket.clone(), key.clone());
                let hashed = tokio::spawn(async move {
                    let bytes = aws::object(&config, &bucket, &key).await.unwrap();
                    let hash = move || (bytes.len(), sha256::hex(&bytes));
                    tokio::task::spawn_blocking(hash).await.unwrap()
                });
                let (bytes, sha256): (usize, String) = hashed.await.unwrap();
                let expected = self.expected_sha256().await;
                if expected.is_some_and(|expected| expected != sha256) {
                    run.wrong.push(format!("a file of {bytes} bytes is not what it should be"));
                }
            } else if !is_receipt(&key) || file.is_none() {
                run.wrong.push(format!("an object is left: {key}"));
                run.orphans += 1;
            }
            aws::s3(config).delete_object().bucket(bucket).key(&key).send().await.unwrap();
        }
        if matches!(run.ended, Ended::Ready(_)) && run.objects != 1 {
            run.wrong.push("it is ready, and there is no file".to_owned());
        }
        let uploads = u32::try_from(aws::open_uploads(config, bucket).await).unwrap();
        if uploads > 0 {
            run.wrong.push(format!("{uploads} uploads are left open"));
            run.orphans += uploads;
        }
    }

    /// Returns the SHA-256 that the file must have, or `None` while that is still being found out.
    async fn expected_sha256(&self) -> Option<String> {
        self.harness.sha256(self.options).await
    }

    /// Returns the timeouts.
    pub fn timing(&self) -> Timing {
        self.harness.timing()
    }
}

fn ended(job: Option<&Job>) -> Ended {
    match job {
        Some(job) if job.state == JobState::Ready => Ended::Ready(job.attempt),
        Some(job) => Ended::Failed(
            job.failure
                .as_ref()
                .map_or_else(|| job.state.as_str().to_owned(), |failure| failure.code.clone()),
        ),
        None => Ended::Failed("unknown".to_owned()),
    }
}
