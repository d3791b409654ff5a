//! Downpipe deployed from its own template to MiniStack: the real queue, the real bootstrap, a database of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::SdkConfig;
use downpipe_aws::SecretLogin;
use downpipe_core::job::{Job, JobState};
use downpipe_core::ledger::Ledger as _;
use downpipe_mysql::MySqlLedger;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use xtask::deploy::{DeployOptions, Deployment, Effort, deploy, package};

use crate::database::TestDatabase;
use crate::inbox::{Inbox, Mail};
use crate::{STACK, aws, eventually, eventually_within, unique};

/// A Downpipe of one's own.
#[derive(Debug)]
pub struct Downpipe {
    /// Settings for MiniStack.
    pub config: SdkConfig,
    /// Its database, migrated.
    pub database: TestDatabase,
    /// Its bucket.
    pub bucket: String,
    deployment: Deployment,
    inbox: Inbox,
}

impl Downpipe {
    /// Deploys one on a migrated database in which these statements have been run.
    pub async fn deploy(sql: &str) -> Self {
        let database = TestDatabase::migrated().await;
        if !sql.is_empty() {
            database.execute(sql).await;
        }
        let url = database.url.clone();
        Self::deploy_with(database, &url).await
    }

    /// Deploys one that logs in to its database with this URL.
    pub async fn deploy_with(database: TestDatabase, url: &str) -> Self {
        let (package, url, name) = (package_once().await, url.to_owned(), unique("downpipe"));
        let deploying = tokio::task::spawn_blocking(move || {
            let options = DeployOptions {
                stack_name: &name,
                package,
                database_url: &url,
                parameters: &[("Prefix", "files")],
            };
            deploy(&STACK, &options).unwrap()
        });
        let deployment = deploying.await.unwrap();
        let config = aws::ministack().await;
        let inbox = Inbox::of(&config, deployment.output("TopicArn").unwrap()).await;
        let bucket = deployment.output("BucketName").unwrap().to_owned();
        Self { config, database, bucket, deployment, inbox }
    }

    /// An output of the template.
    pub fn output(&self, name: &str) -> &str {
        self.deployment.output(name).unwrap()
    }

    /// The name of the CloudFormation stack.
    pub fn stack_name(&self) -> &str {
        &self.deployment.stack_name
    }

    /// The ledger, seen from outside.
    pub fn ledger(&self) -> MySqlLedger<SecretLogin> {
        MySqlLedger::new(self.database.database())
    }

    /// Sends a message body to the queue.
    pub async fn send(&self, body: &str) {
        let client = aws_sdk_sqs::Client::new(&self.config);
        client.send_message().queue_url(self.output("QueueUrl")).message_body(body).send().await.unwrap();
    }

    /// Waits until so many jobs have ended and their requesters have been told, and returns them, oldest first.
    pub async fn ended_jobs(&self, count: usize) -> Vec<Job> {
        let ledger = self.ledger();
        let what = format!("{count} jobs that have ended");
        let mut jobs = eventually_within(Duration::from_secs(120), &what, async || {
            let jobs = ledger.latest(100).await.unwrap();
            let told = |job: &Job| job.state.is_terminal() && job.notified_at.is_some();
            (jobs.iter().filter(|job| told(job)).count() >= count).then_some(jobs)
        })
        .await;
        jobs.reverse();
        jobs
    }

    /// Waits until nothing is in the queue, visible or not.
    pub async fn queue_is_empty(&self) {
        let url = self.output("QueueUrl");
        eventually("an empty queue", async || (aws::messages_in(&self.config, url).await == 0).then_some(()))
            .await;
    }

    /// The messages in the dead-letter queue.
    pub async fn dead_letters(&self) -> u64 {
        aws::messages_in(&self.config, self.output("DeadLetterQueueUrl")).await
    }

    /// The e-mails published so far. They are taken: a second call shows only what has come since.
    pub async fn mails(&self) -> Vec<Mail> {
        self.inbox.take().await
    }

    /// The keys in the bucket.
    pub async fn keys(&self) -> Vec<String> {
        aws::keys(&self.config, &self.bucket).await
    }

    /// The file of a job that is ready.
    pub async fn file(&self, job: &Job) -> Vec<u8> {
        assert_eq!(job.state, JobState::Ready, "{:?}", job.failure);
        let prefix = format!("s3://{}/", self.bucket);
        let key = job.receipt.as_ref().unwrap().files[0].address.strip_prefix(&prefix).unwrap().to_owned();
        aws::object(&self.config, &self.bucket, &key).await.unwrap()
    }
}

impl Drop for Downpipe {
    fn drop(&mut self) {
        // What stays behind does no harm; the test has said what it had to say.
        drop(self.deployment.delete(&STACK));
    }
}

/// The package with the bootstrap under test and the definitions in `tests/exports`, made once a run.
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
                // The package holds a folder `exports`, as production's does.
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

/// Waits until a job is in this state.
pub async fn job_in_state(downpipe: &Downpipe, state: JobState) -> Job {
    let ledger = downpipe.ledger();
    eventually(&format!("a job that is {}", state.as_str()), async || {
        ledger.latest(100).await.unwrap().into_iter().find(|job| job.state == state)
    })
    .await
}
