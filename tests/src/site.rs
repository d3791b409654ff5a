//! Everything a worker process needs, on LocalStack and MySQL: a database, a bucket, a queue with its dead letters, a topic with
//! an inbox, a catalog. The template has the same for Lambda, see [`deployment`](crate::deployment).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use aws_config::SdkConfig;
use aws_sdk_sqs::types::QueueAttributeName;
use downpipe_aws::SecretLogin;
use downpipe_core::job::{Job, JobId, JobState, NewJob};
use downpipe_core::ledger::Ledger as _;
use downpipe_core::message::Message;
use downpipe_mysql::MySqlLedger;
use tempfile::TempDir;

use crate::database::TestDatabase;
use crate::inbox::{Inbox, Mail};
use crate::{STACK, aws, eventually};

/// What the keys of a site's files begin with.
pub const PREFIX: &str = "files";

/// Receives before a message goes to the dead letters, as in the template.
const MAX_RECEIVES: u32 = 5;

/// Surroundings for workers.
#[derive(Debug)]
pub struct Site {
    /// Settings for LocalStack.
    pub config: SdkConfig,
    /// Its database, migrated.
    pub database: TestDatabase,
    /// Its bucket.
    pub bucket: String,
    /// Its queue's URL.
    pub queue: String,
    /// The URL of the queue's dead letters.
    pub dead_letters: String,
    topic: String,
    inbox: Inbox,
    folder: TempDir,
}

impl Site {
    /// A site with these definitions, on a database in which these statements have been run.
    pub async fn new(sql: &str, definitions: &[(&str, &str)]) -> Self {
        let database = TestDatabase::migrated().await;
        if !sql.is_empty() {
            database.execute(sql).await;
        }
        let config = aws::localstack().await;
        let dead_letters = aws::queue(&config).await;
        let topic = aws::topic(&config).await;
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in definitions {
            std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
        }
        let site = Self {
            bucket: aws::bucket(&config).await,
            queue: aws::queue(&config).await,
            inbox: Inbox::of(&config, &topic).await,
            dead_letters,
            topic,
            folder,
            database,
            config,
        };
        site.bury_after(MAX_RECEIVES).await;
        site
    }

    /// Lets messages go to the dead letters after so many receives.
    pub async fn bury_after(&self, receives: u32) {
        let arn = aws::queue_arn(&self.config, &self.dead_letters).await;
        let policy = serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": receives });
        let client = aws_sdk_sqs::Client::new(&self.config);
        let set = client.set_queue_attributes().queue_url(&self.queue);
        set.attributes(QueueAttributeName::RedrivePolicy, policy.to_string()).send().await.unwrap();
    }

    /// The command `downpipe`, with all of the site in its environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = downpipe(&STACK.localstack_endpoint_url);
        command
            .env("DATABASE_URL", &self.database.url)
            .env("DOWNPIPE_CATALOG", self.folder.path())
            .env("DOWNPIPE_BUCKET", &self.bucket)
            .env("DOWNPIPE_PREFIX", PREFIX)
            .env("DOWNPIPE_QUEUE_URL", &self.queue)
            .env("DOWNPIPE_TOPIC_ARN", &self.topic)
            .args(args);
        command
    }

    /// A worker that takes this site's messages.
    pub fn worker(&self, args: &[&str]) -> WorkerProcess {
        WorkerProcess::start(self.command(&["worker"]).args(args))
    }

    /// Sends a message body to the queue, and says which job it is.
    pub async fn send(&self, body: &str) -> JobId {
        let client = aws_sdk_sqs::Client::new(&self.config);
        let sent = client.send_message().queue_url(&self.queue).message_body(body).send().await.unwrap();
        match Message::parse(body) {
            Ok(Message::Continue(id)) => id,
            message => NewJob::of(&message, sent.message_id().unwrap(), body).unwrap().id,
        }
    }

    /// The ledger, seen from outside.
    pub fn ledger(&self) -> MySqlLedger<SecretLogin> {
        MySqlLedger::new(self.database.database())
    }

    /// Waits until a job is in this state.
    pub async fn job_in_state(&self, id: &JobId, state: JobState) -> Job {
        let ledger = self.ledger();
        eventually(&format!("job {id} is {}", state.as_str()), async || {
            ledger.find(id).await.unwrap().filter(|job| job.state == state)
        })
        .await
    }

    /// Waits until the requester of a job has been told.
    pub async fn told(&self, id: &JobId) -> Job {
        let ledger = self.ledger();
        eventually(&format!("the requester of job {id} has been told"), async || {
            ledger.find(id).await.unwrap().filter(|job| job.notified_at.is_some())
        })
        .await
    }

    /// The e-mails published so far. They are taken: a second call shows only what has come since.
    pub async fn mails(&self) -> Vec<Mail> {
        self.inbox.take().await
    }

    /// The keys in the bucket.
    pub async fn keys(&self) -> Vec<String> {
        aws::keys(&self.config, &self.bucket).await
    }

    /// Connections to this site's database, and to no other test's, on which a statement that contains this text is running.
    pub async fn running(&self, text: &str) -> Vec<u64> {
        let ours = self.database.opened_by().await;
        self.database.running(text).await.into_iter().filter(|id| ours.contains(id)).collect()
    }

    /// Uploads that were begun and neither completed nor aborted.
    pub async fn open_uploads(&self) -> usize {
        aws::open_uploads(&self.config, &self.bucket).await
    }

    /// The file of a job that is ready.
    pub async fn file(&self, job: &Job) -> Vec<u8> {
        assert_eq!(job.state, JobState::Ready, "{:?}", job.failure);
        let prefix = format!("s3://{}/", self.bucket);
        let key = job.receipt.as_ref().unwrap().files[0].address.strip_prefix(&prefix).unwrap().to_owned();
        aws::object(&self.config, &self.bucket, &key).await.unwrap()
    }

    /// Waits until nothing is in the queue, visible or not.
    pub async fn queue_is_empty(&self) {
        eventually("an empty queue", async || {
            (aws::messages_in(&self.config, &self.queue).await == 0).then_some(())
        })
        .await;
    }
}

/// `downpipe worker`, which is killed when its test ends.
#[derive(Debug)]
pub struct WorkerProcess {
    child: Child,
    log: PathBuf,
    _folder: TempDir,
}

impl WorkerProcess {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let stderr = std::fs::File::create(&log).unwrap();
        let child = command.stderr(stderr).stdout(Stdio::null()).spawn().unwrap();
        Self { child, log, _folder: folder }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it outright, as a lack of memory does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Stops it where it is, as a machine does that is being moved. It does not know.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on where it was.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// How it has ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it has ended by itself, and says with which exit status.
    pub async fn ended(&mut self) -> Option<i32> {
        let child = std::cell::RefCell::new(&mut self.child);
        let ended = eventually("the worker has ended", async || child.borrow_mut().try_wait().unwrap()).await;
        ended.code()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for WorkerProcess {
    #[expect(clippy::print_stderr, reason = "what a test that failed has to say")]
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprint!("the worker's log:\n{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// The command `downpipe`, which knows nothing but how to reach AWS.
pub fn downpipe(endpoint: &str) -> Command {
    let mut command = Command::new(program());
    STACK.apply_to(&mut command);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DOWNPIPE_")) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env("AWS_ENDPOINT_URL", endpoint).stdin(Stdio::null());
    command
}

/// The program under test.
fn program() -> PathBuf {
    let folder = std::env::var_os("DOWNPIPE_TEST_BIN_DIR").map(PathBuf::from).or_else(|| {
        std::env::var_os("DOWNPIPE_TEST_BOOTSTRAP")
            .and_then(|path| Some(Path::new(&path).parent()?.to_owned()))
    });
    let program = folder.expect("cargo xtask test builds the command and says where it is").join("downpipe");
    assert!(program.is_file(), "{} is missing: run the tests with cargo xtask test", program.display());
    program
}
