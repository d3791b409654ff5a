//! One injection of a fault: what is exported, what stands before it, and what is left afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use downpipe_aws::{S3Store, SecretLogin};
use downpipe_core::definition::Retention;
use downpipe_core::failure::{self, Next};
use downpipe_core::job::JobId;
use downpipe_core::pipeline::{self, ExportError, Order};
use downpipe_core::receipt::Receipt;
use downpipe_core::request::ExportRequest;
use downpipe_core::source::Stop;
use downpipe_core::store::{NewObject, WriteToken, is_receipt};
use downpipe_core::testing::RecordingProgress;
use downpipe_mysql::{Database, MySqlSource};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::http_proxy::HttpProxy;
use super::lab::{Lab, Size};
use super::mysql_proxy::MySqlProxy;
use crate::rows::{catalog, message};
use crate::{STACK, aws, unique};

/// Attempts at a job, as the worker makes them.
const ATTEMPTS: u32 = 4;

/// How an export ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// In a file, with this attempt.
    Ready(u32),
    /// With this failure.
    Failed(String),
}

/// What came of one injection.
#[derive(Debug)]
pub struct Run {
    /// How the export ended.
    pub ended: Ended,
    /// How often the fault was injected.
    pub injected: u32,
    /// Files at their final keys.
    pub objects: u32,
    /// E-mails that were sent, where somebody is to be told.
    pub emails: Option<u32>,
    /// Uploads that are still open, and objects that are no job's file.
    pub orphans: u32,
    /// Queries that are still running in the database.
    pub queries_left: u32,
    /// What should not have come of it.
    pub wrong: Vec<String>,
}

/// One injection: a job of its own, a bucket of its own, proxies of its own.
#[derive(Debug)]
pub struct Scene<'a> {
    lab: &'a Lab,
    /// Before S3.
    pub s3: HttpProxy,
    /// Before MySQL.
    pub mysql: MySqlProxy,
    size: Size,
    bucket: String,
    job: JobId,
    mark: String,
    encrypted: bool,
    time: Duration,
}

impl<'a> Scene<'a> {
    /// Sets the scene. Nothing is done to anything yet.
    pub async fn set(lab: &'a Lab, size: Size) -> Self {
        let mark = unique("fault");
        Self {
            lab,
            s3: HttpProxy::before(&STACK.localstack_endpoint_url).await,
            mysql: MySqlProxy::before(&lab.database.url).await,
            size,
            bucket: aws::bucket(&lab.config).await,
            job: JobId::of_request(&message("test"), &mark),
            mark,
            encrypted: false,
            time: lab.pace().export(),
        }
    }

    /// With an encrypted connection to MySQL. (Otherwise it is not, so that places in the server's answers are places in rows.)
    #[must_use]
    pub fn encrypted(self) -> Self {
        Self { encrypted: true, ..self }
    }

    /// With another time for each attempt.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// The key of the file.
    pub fn key(&self) -> String {
        format!("exports/{}/orders.csv", self.job)
    }

    /// A client that looks at the bucket past the proxy.
    pub fn client(&self) -> aws_sdk_s3::Client {
        aws::s3(&self.lab.config)
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// One attempt at the export.
    ///
    /// # Errors
    /// Those of the export.
    pub async fn attempt(&self, attempt: u32) -> Result<Receipt, ExportError> {
        self.attempt_until(attempt, Stop::never()).await
    }

    /// One attempt at the export, which can be stopped.
    ///
    /// # Errors
    /// Those of the export.
    pub async fn attempt_until(&self, attempt: u32, stop: Stop) -> Result<Receipt, ExportError> {
        let output = format!("[output]\nprofile = \"{}\"", self.size.profile());
        let catalog = catalog(&format!("title = \"Test\"\nsql = '''{}'''\n{output}", self.sql()));
        let message = message("test");
        let request = ExportRequest::accept(&message, &catalog).unwrap();
        let deadline = Instant::now() + self.time;
        let mut order = Order::new(&request, self.key(), self.token(attempt), deadline);
        order.query.stop = stop;
        let tls = if self.encrypted { "required" } else { "disabled" };
        let url = format!("{}?ssl-mode={tls}", self.mysql.url(&self.lab.database.url));
        let source = MySqlSource::new(Database::<SecretLogin>::at_url(&url).unwrap());
        let (store, progress) = (self.store(), RecordingProgress::new());
        // Boxed: too deep for the compiler, within all that happens around it.
        let exported = Box::pin(pipeline::export(&source, &store, &progress, &order, &request)).await;
        exported.map(|exported| exported.into_receipt().unwrap()).map_err(|broken| broken.error)
    }

    /// The store, by way of the proxy.
    pub fn store(&self) -> S3Store {
        let config = self.lab.config.clone().into_builder().endpoint_url(self.s3.endpoint()).build();
        S3Store::new(&config, &self.bucket)
    }

    /// The object that an attempt writes.
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

    fn token(&self, attempt: u32) -> WriteToken {
        WriteToken { job: self.job.clone(), attempt }
    }

    fn sql(&self) -> String {
        let Self { size, mark, .. } = self;
        format!(
            "SELECT id, name, notes FROM orders WHERE id <= {} AND '{mark}' <> '' ORDER BY id",
            size.rows()
        )
    }

    /// Attempts, as the worker makes them: after an error that may pass there is another, until there have been four.
    pub async fn deliver(&self) -> Ended {
        self.deliver_from(1).await
    }

    /// As [`deliver`](Self::deliver), when there have been attempts already.
    pub async fn deliver_from(&self, first: u32) -> Ended {
        let mut last = None;
        for attempt in first..=ATTEMPTS {
            let result = self.attempt(attempt).await;
            let (next, ended) = ended(attempt, result);
            if next != Some(Next::Retry) {
                return ended;
            }
            last = Some(ended);
        }
        last.expect("there has been an attempt")
    }

    /// Ids of the connections on which the export's query runs.
    pub async fn running(&self) -> Vec<u64> {
        self.lab.database.running(&self.mark).await
    }

    /// Runs a statement past the proxy.
    pub async fn execute(&self, sql: &str) {
        self.lab.database.execute(sql).await;
    }

    /// Looks at what is left, says what is wrong with it, and clears it away.
    pub async fn look(self, ended: Ended, injected: u32) -> Run {
        let config = &self.lab.config;
        let mut run =
            Run { ended, injected, objects: 0, emails: None, orphans: 0, queries_left: 0, wrong: Vec::new() };
        let key = self.key();
        for found in aws::keys(config, &self.bucket).await {
            if found == key && matches!(run.ended, Ended::Ready(_)) {
                let bytes = aws::object(config, &self.bucket, &key).await.unwrap();
                let sha256: String =
                    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                // While the lab is being opened, nobody knows yet what is right.
                let right = self.lab.undisturbed.get(&self.size);
                if right.is_some_and(|right| right.sha256 != sha256) {
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
        run.queries_left = u32::try_from(self.queries_left().await).unwrap();
        if run.injected == 0 {
            run.wrong.push("nothing was injected".to_owned());
        }
        run
    }

    /// A query whose connection has gone ends when the server next looks at it.
    async fn queries_left(&self) -> usize {
        let began = Instant::now();
        loop {
            let running = self.running().await.len();
            if running == 0 || began.elapsed() > Duration::from_secs(10) {
                return running;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Run {
    /// Which must have ended in a file.
    #[must_use]
    pub fn must_be_ready(self) -> Self {
        let ended = self.ended.clone();
        self.wrong_if(!matches!(ended, Ended::Ready(_)), format!("expected a file, got {ended:?}"))
    }

    /// Which must have ended with one of these failures.
    #[must_use]
    pub fn must_fail(self, codes: &[&str]) -> Self {
        let ended = self.ended.clone();
        let as_expected = matches!(&ended, Ended::Failed(code) if codes.contains(&code.as_str()));
        self.wrong_if(!as_expected, format!("expected a failure {codes:?}, got {ended:?}"))
    }

    /// With something that is wrong besides, if it is.
    #[must_use]
    pub fn wrong_if(mut self, is_wrong: bool, what: impl Into<String>) -> Self {
        if is_wrong {
            self.wrong.push(what.into());
        }
        self
    }
}

/// How an attempt has ended, and what is to happen next if it has failed.
pub fn ended(attempt: u32, result: Result<Receipt, ExportError>) -> (Option<Next>, Ended) {
    match result {
        Ok(_) => (None, Ended::Ready(attempt)),
        Err(error) => {
            let (next, failure) = failure::of_export(&error);
            (Some(next), Ended::Failed(failure.code))
        }
    }
}
