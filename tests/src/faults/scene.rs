//! Runs one export under a fault: sets up the export and its proxies, and inspects what is left.

use std::collections::BTreeMap;
use std::time::Duration;

use downpipe_aws::{S3Store, SecretLogin};
use downpipe_core::export as pipeline;
use downpipe_core::export::{ExportError, ExportPlan};
use downpipe_core::failure::{self, Disposition};
use downpipe_core::job::{JobAttempt, JobId, Receipt};
use downpipe_core::request::ExportRequest;
use downpipe_core::source::CancellationToken;
use downpipe_core::store::{NewObject, Retention, is_receipt};
use downpipe_core::testing::RecordingProgress;
use downpipe_mysql::{Database, MySqlSource};
use tokio::time::Instant;

use super::fault_run::{FaultRun, Size};
use super::http_proxy::HttpProxy;
use super::mysql_proxy::MySqlProxy;
use crate::rows::{catalog, message};
use crate::{aws, localstack_url, sha256, unique};

/// The attempts that a worker makes at a job.
const ATTEMPTS: u32 = 4;

/// The end of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// A complete file, written by this attempt.
    Ready(u32),
    /// A failure with this code.
    Failed(String),
}

/// The result of one injection.
#[derive(Debug)]
pub struct Run {
    /// How the export ended.
    pub ended: Ended,
    /// The number of injected faults.
    pub injected: u32,
    /// The files at their final keys.
    pub objects: u32,
    /// The e-mails sent, where the run has a requester.
    pub emails: Option<u32>,
    /// The open uploads, and the objects that are no job's file.
    pub orphans: u32,
    /// The queries that still run in the database.
    pub queries_left: u32,
    /// The violations that were found.
    pub wrong: Vec<String>,
}

/// One injection, with its own job, bucket and proxies.
#[derive(Debug)]
pub struct Scene<'a> {
    fault_run: &'a FaultRun,
    /// The proxy in front of S3.
    pub s3: HttpProxy,
    /// The proxy in front of MySQL.
    pub mysql: MySqlProxy,
    size: Size,
    bucket: String,
    job: JobId,
    mark: String,
    encrypted: bool,
    time: Duration,
}

impl<'a> Scene<'a> {
    /// Creates the bucket and the proxies. No fault is injected yet.
    pub async fn new(fault_run: &'a FaultRun, size: Size) -> Self {
        let mark = unique("fault");
        Self {
            fault_run,
            s3: HttpProxy::start(localstack_url()).await,
            mysql: MySqlProxy::start(&fault_run.database.url).await,
            size,
            bucket: aws::bucket(&fault_run.config).await,
            job: JobId::of_request(&message("test"), &mark),
            mark,
            encrypted: false,
            time: fault_run.timing().export(),
        }
    }

    /// Encrypts the connection to MySQL. Without encryption, places in the server's answers are
    /// places in rows.
    #[must_use]
    pub fn encrypted(self) -> Self {
        Self { encrypted: true, ..self }
    }

    /// Sets another time limit for each attempt.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// Returns the key of the file.
    pub fn key(&self) -> String {
        format!("exports/{}/orders.csv", self.job)
    }

    /// Returns an S3 client that bypasses the proxy.
    pub fn client(&self) -> aws_sdk_s3::Client {
        aws::s3(&self.fault_run.config)
    }

    /// Returns the bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Makes one attempt at the export.
    ///
    /// # Errors
    /// Those of the export.
    pub async fn attempt(&self, attempt: u32) -> Result<Receipt, ExportError> {
        self.attempt_until(attempt, CancellationToken::new()).await
    }

    /// Makes one attempt at the export, which can be cancelled.
    ///
    /// # Errors
    /// Those of the export.
    pub async fn attempt_until(&self, attempt: u32, stop: CancellationToken) -> Result<Receipt, ExportError> {
        let output = format!("[output]\nprofile = \"{}\"", self.size.profile());
        let catalog = catalog(&format!("title = \"Test\"\nsql = '''{}'''\n{output}", self.sql()));
        let message = message("test");
        let request = ExportRequest::accept(&message, &catalog).unwrap();
        let deadline = Instant::now() + self.time;
        let plan = ExportPlan::new(&request, self.key(), self.token(attempt), deadline, stop);
        let tls = if self.encrypted { "required" } else { "disabled" };
        let url = format!("{}?ssl-mode={tls}", self.mysql.url(&self.fault_run.database.url));
        let source = MySqlSource::new(Database::<SecretLogin>::at_url(&url).unwrap());
        let (store, progress) = (self.store(), RecordingProgress::new());
        // Boxed, because the nested future is too deep for the compiler.
        let exported = Box::pin(pipeline::export(&source, &store, &progress, &plan)).await;
        exported.map(|exported| exported.into_receipt().unwrap()).map_err(|broken| broken.error)
    }

    /// Returns the store, through the proxy.
    pub fn store(&self) -> S3Store {
        let config = self.fault_run.config.clone().into_builder().endpoint_url(self.s3.endpoint()).build();
        S3Store::new(&config, &self.bucket)
    }

    /// Returns the object that an attempt writes.
    pub fn object(&self, attempt: u32) -> NewObject {
        NewObject {
            key: self.key(),
            file_name: "orders.csv".to_owned(),
            content_type: "text/csv".to_owned(),
            token: self.token(attempt),
            retention: Retention::default(),
            metadata: BTreeMap::new(),
        }
    }

    fn token(&self, attempt: u32) -> JobAttempt {
        JobAttempt { job: self.job.clone(), attempt }
    }

    fn sql(&self) -> String {
        let Self { size, mark, .. } = self;
        format!(
            "SELECT id, name, notes FROM orders WHERE id <= {} AND '{mark}' <> '' ORDER BY id",
            size.rows()
        )
    }

    /// Makes attempts as the worker does: after a transient error it makes another, four at most.
    pub async fn deliver(&self) -> Ended {
        self.deliver_from(1).await
    }

    /// Makes attempts as [`deliver`](Self::deliver) does, beginning with this one.
    pub async fn deliver_from(&self, first: u32) -> Ended {
        let mut last = None;
        for attempt in first..=ATTEMPTS {
            let result = self.attempt(attempt).await;
            let (next, ended) = ended(attempt, result);
            if next != Some(Disposition::Retry) {
                return ended;
            }
            last = Some(ended);
        }
        last.expect("there has been an attempt")
    }

    /// Lists the connections on which the export's query runs.
    pub async fn running(&self) -> Vec<u64> {
        self.fault_run.database.running(&self.mark).await
    }

    /// Runs a statement that bypasses the proxy.
    pub async fn execute(&self, sql: &str) {
        self.fault_run.database.execute(sql).await;
    }

    /// Inspects what is left, records what is wrong, and deletes it.
    pub async fn inspect(self, ended: Ended, injected: u32) -> Run {
        let config = &self.fault_run.config;
        let mut run =
            Run { ended, injected, objects: 0, emails: None, orphans: 0, queries_left: 0, wrong: Vec::new() };
        let key = self.key();
        for found in aws::keys(config, &self.bucket).await {
            if found == key && matches!(run.ended, Ended::Ready(_)) {
                let bytes = aws::object(config, &self.bucket, &key).await.unwrap();
                let sha256 = sha256::hex(&bytes);
                // The expected file is unknown until `FaultRun::open` has exported it.
                let expected = self.fault_run.undisturbed.get(&self.size);
                if expected.is_some_and(|expected| expected.sha256 != sha256) {
                    run.wrong.push(format!("a file of {} bytes is not what it should be", bytes.len()));
                }
                run.objects += 1;
            } else if !is_receipt(&found) {
                run.wrong.push(format!("an object is left: {found}"));
                run.orphans += 1;
            }
            self.client().delete_object().bucket(&self.bucket).key(&found).send().await.unwrap();
        }
        if matches!(run.ended, Ended::Ready(_)) && run.objects != 1 {
            run.wrong.push("it is ready, and there is no file".to_owned());
        }
        let uploads = u32::try_from(aws::open_uploads(config, &self.bucket).await).unwrap();
        if uploads > 0 {
            run.wrong.push(format!("{uploads} uploads are left open"));
            run.orphans += uploads;
        }
        run.queries_left = u32::try_from(self.fault_run.database.queries_left(&self.mark).await).unwrap();
        if run.injected == 0 {
            run.wrong.push("nothing was injected".to_owned());
        }
        run
    }
}

impl Run {
    /// Records a violation unless the export ended in a file.
    #[must_use]
    pub fn must_be_ready(self) -> Self {
        let ended = self.ended.clone();
        self.wrong_if(!matches!(ended, Ended::Ready(_)), format!("expected a file, got {ended:?}"))
    }

    /// Records a violation unless the export failed with one of these codes.
    #[must_use]
    pub fn must_fail(self, codes: &[&str]) -> Self {
        let ended = self.ended.clone();
        let as_expected = matches!(&ended, Ended::Failed(code) if codes.contains(&code.as_str()));
        self.wrong_if(!as_expected, format!("expected a failure {codes:?}, got {ended:?}"))
    }

    /// Records a violation if the condition holds.
    #[must_use]
    pub fn wrong_if(mut self, is_wrong: bool, what: impl Into<String>) -> Self {
        if is_wrong {
            self.wrong.push(what.into());
        }
        self
    }
}

/// Classifies the end of an attempt, with the disposition if it failed.
pub fn ended(attempt: u32, result: Result<Receipt, ExportError>) -> (Option<Disposition>, Ended) {
    match result {
        Ok(_) => (None, Ended::Ready(attempt)),
        Err(error) => {
            let (next, failure) = failure::of_export(&error);
            (Some(next), Ended::Failed(failure.code))
        }
    }
}
