//! Deploys Downpipe from its template to MiniStack, with the real queue, the real bootstrap and its
//! own database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::SdkConfig;
use downpipe_aws::SecretLogin;
use downpipe_core::job::{Job, JobState};
use downpipe_mysql::MySqlLedger;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use xtask::aws_cli::AwsCli;
use xtask::deploy::{DeployOptions, Deployment, Effort, deploy, package};

use crate::database::TestDatabase;
use crate::inbox::{Inbox, Mail};
use crate::{STACK, aws, eventually, eventually_within, unique};

/// A deployed Downpipe.
#[derive(Debug)]
pub struct Downpipe {
    /// AWS settings for MiniStack.
    pub config: SdkConfig,
    /// The database, with the ledger's tables.
    pub database: TestDatabase,
    /// The bucket's name.
    pub bucket: String,
    deployment: Deployment,
    inbox: Inbox,
}

impl Downpipe {
    /// Deploys Downpipe on a migrated database in which these statements have run.
    pub async fn deploy(sql: &str) -> Self {
        let database = TestDatabase::migrated().await;
        if !sql.is_empty() {
            database.execute(sql).await;
        }
        let url = database.url.clone();
        Self::deploy_with(database, &url).await
    }

    /// Deploys a Downpipe that logs in to its database with this URL.
    pub async fn deploy_with(database: TestDatabase, url: &str) -> Self {
        Self::deploy_as(database, url, Vec::new()).await
    }

    /// Deploys a Downpipe that logs in to its database with this URL, with more parameters of the template.
    pub async fn deploy_as(
        database: TestDatabase,
        url: &str,
        mut parameters: Vec<(&'static str, String)>,
    ) -> Self {
        let (package, url, name) = (package_once().await, url.to_owned(), unique("downpipe"));
        parameters.push(("Prefix", "files".to_owned()));
        let deploying = tokio::task::spawn_blocking(move || {
            let parameters: Vec<(&str, &str)> =
                parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let options =
                DeployOptions { stack_name: &name, package, database_url: &url, parameters: &parameters };
            deploy(&STACK, &options).unwrap()
        });
        let deployment = deploying.await.unwrap();
        let config = aws::ministack().await;
        let inbox = Inbox::of(&config, deployment.output("TopicArn").unwrap()).await;
        let bucket = deployment.output("BucketName").unwrap().to_owned();
        Self { config, database, bucket, deployment, inbox }
    }

    /// Returns an output of the template.
    pub fn output(&self, name: &str) -> &str {
        self.deployment.output(name).unwrap()
    }

    /// Returns what was deployed.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Returns the name of the CloudFormation stack.
    pub fn stack_name(&self) -> &str {
        &self.deployment.stack_name
    }

    /// Returns a ledger on the same database.
    pub fn ledger(&self) -> MySqlLedger<SecretLogin> {
        downpipe_mysql::ledger(self.database.database())
    }

    /// Invokes the function with this payload, as `aws lambda invoke` does. An answer that is an error of the function is returned as
    /// `Err`.
    pub fn invoke(&self, payload: &str) -> Result<Value, Value> {
        let answer = tempfile::NamedTempFile::new().unwrap();
        let file = answer.path().to_string_lossy();
        let function = ["--function-name", self.output("FunctionName")];
        let invoke = [&["lambda", "invoke"], &function[..], &["--payload", payload, &*file]].concat();
        let invoked = AwsCli::new(&STACK).json(&invoke).unwrap();
        let answer = serde_json::from_slice(&std::fs::read(answer.path()).unwrap()).unwrap();
        if invoked["FunctionError"].is_null() { Ok(answer) } else { Err(answer) }
    }

    /// Sends a message body to the queue.
    pub async fn send(&self, body: &str) {
        let client = aws_sdk_sqs::Client::new(&self.config);
        client.send_message().queue_url(self.output("QueueUrl")).message_body(body).send().await.unwrap();
    }

    /// Waits until so many jobs have ended and are notified, and returns all jobs, oldest first.
    pub async fn ended_jobs(&self, count: usize) -> Vec<Job> {
        let ledger = self.ledger();
        let what = format!("{count} jobs that have ended");
        let mut jobs = eventually_within(Duration::from_secs(120), &what, async || {
            let jobs = ledger.latest(100).await.unwrap();
            let is_notified = |job: &Job| job.state.is_terminal() && job.notified_at.is_some();
            (jobs.iter().filter(|job| is_notified(job)).count() >= count).then_some(jobs)
        })
        .await;
        jobs.reverse();
        jobs
    }

    /// Waits until the queue has no message, visible or not.
    pub async fn queue_is_empty(&self) {
        let url = self.output("QueueUrl");
        eventually("an empty queue", async || (aws::messages_in(&self.config, url).await == 0).then_some(()))
            .await;
    }

    /// Counts the messages in the dead-letter queue.
    pub async fn dead_letters(&self) -> u64 {
        aws::messages_in(&self.config, self.output("DeadLetterQueueUrl")).await
    }

    /// Takes the e-mails published so far. The next call returns only later ones.
    pub async fn mails(&self) -> Vec<Mail> {
        self.inbox.take().await
    }

    /// Lists the keys in the bucket.
    pub async fn keys(&self) -> Vec<String> {
        aws::keys(&self.config, &self.bucket).await
    }

    /// Reads the file of a job that is ready.
    pub async fn file(&self, job: &Job) -> Vec<u8> {
        assert_eq!(job.state, JobState::Ready, "{:?}", job.failure);
        let prefix = format!("s3://{}/", self.bucket);
        let key = job.receipt.as_ref().unwrap().files[0].address.strip_prefix(&prefix).unwrap().to_owned();
        aws::object(&self.config, &self.bucket, &key).await.unwrap()
    }
}

impl Drop for Downpipe {
    fn drop(&mut self) {
        // Resources that stay behind do no harm, and the test has already reported its result.
        drop(self.deployment.delete(&STACK));
    }
}

/// Builds the package with the bootstrap under test and the definitions in `tests/exports`, once a
/// run.
async fn package_once() -> &'static Path {
    static PACKAGE: OnceCell<(TempDir, PathBuf)> = OnceCell::const_new();
    let (_, path) = PACKAGE
        .get_or_init(|| async {
            let packing = tokio::task::spawn_blocking(|| {
                let bootstrap = std::env::var_os("DOWNPIPE_TEST_BOOTSTRAP");
                let bootstrap = PathBuf::from(
                    bootstrap.expect("cargo xtask test builds the bootstrap and says where it is"),
                );
                let folder = tempfile::tempdir().unwrap();
                // The package has a folder `exports`, as production's has.
                let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("exports");
                let zip = folder.path().join("bootstrap.zip");
                package(&bootstrap, &exports, &zip, Effort::Fast).unwrap();
                (folder, zip)
            });
            packing.await.unwrap()
        })
        .await;
    path
}

/// Waits until some job is in this state and returns it.
pub async fn job_in_state(downpipe: &Downpipe, state: JobState) -> Job {
    let ledger = downpipe.ledger();
    eventually(&format!("a job that is {}", state.as_str()), async || {
        ledger.latest(100).await.unwrap().into_iter().find(|job| job.state == state)
    })
    .await
}
