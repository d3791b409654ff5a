//! Sets up what a worker process needs on LocalStack and MySQL: a database, a bucket, a queue with
//! dead letters, a topic with an inbox, and a catalog. [`deployment`](crate::deployment) does the
//! same for Lambda, from the template.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use aws_config::SdkConfig;
use aws_sdk_sqs::types::QueueAttributeName;
use downpipe_app::ledger_table::LedgerTable;
use downpipe_aws::{DynamoJobTable, DynamoLedgerConfig};
use downpipe_core::job::{Job, JobId, JobState, NewJob};
use downpipe_core::ledger::Ledger;
use downpipe_core::message::Message;
use downpipe_mysql::{Database, MySqlJobTable};
use tempfile::TempDir;

use crate::database::TestDatabase;
use crate::inbox::{Inbox, Mail};
use crate::{STACK, aws, dynamodb, eventually, localstack_url};

/// The prefix of the keys of a stack's files.
pub const PREFIX: &str = "files";

/// The number of receives before a message goes to the dead letters, as in the template.
const MAX_RECEIVES: u32 = 5;

/// The resources of one test's workers.
#[derive(Debug)]
pub struct TestStack {
    /// AWS settings for LocalStack.
    pub config: SdkConfig,
    /// The database, with the ledger's tables.
    pub database: TestDatabase,
    /// The bucket's name.
    pub bucket: String,
    /// The queue's URL.
    pub queue: String,
    /// The dead-letter queue's URL.
    pub dead_letters: String,
    topic: String,
    inbox: Inbox,
    folder: TempDir,
    /// AWS settings for MiniStack, and the ledger's table there, if the ledger is in DynamoDB.
    table: Option<(SdkConfig, DynamoLedgerConfig)>,
}

impl TestStack {
    /// Creates a stack with these definitions, on a database in which these statements have run.
    pub async fn new(sql: &str, definitions: &[(&str, &str)]) -> Self {
        let database = TestDatabase::migrated().await;
        if !sql.is_empty() {
            database.execute(sql).await;
        }
        Self::on(database, definitions).await
    }

    /// Creates a stack with these definitions, on a database that is already migrated.
    pub async fn on(database: TestDatabase, definitions: &[(&str, &str)]) -> Self {
        let config = aws::localstack().await;
        let dead_letters = aws::queue(&config).await;
        let topic = aws::topic(&config).await;
        let folder = tempfile::tempdir().unwrap();
        let test_stack = Self {
            bucket: aws::bucket(&config).await,
            queue: aws::queue(&config).await,
            inbox: Inbox::of(&config, &topic).await,
            dead_letters,
            topic,
            folder,
            table: None,
            database,
            config,
        };
        for (name, text) in definitions {
            test_stack.define(name, text);
        }
        test_stack.set_max_receives(MAX_RECEIVES).await;
        test_stack
    }

    /// Writes a definition into the catalog. Workers that run already keep the one that they have read.
    pub fn define(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(format!("{name}.toml")), text).unwrap();
    }

    /// Moves the ledger, which has no job yet, into a table at MiniStack. LocalStack has no DynamoDB.
    pub async fn with_ledger_in_dynamodb(self) -> Self {
        let config = aws::ministack().await;
        let table = dynamodb::LedgerTable::at(&config).await.ledger.table;
        let ledger = dynamodb::LedgerTable::named(table, self.bucket.clone());
        Self { table: Some((config, ledger)), ..self }
    }

    /// Returns whether the ledger is in DynamoDB.
    pub fn has_ledger_in_dynamodb(&self) -> bool {
        self.table.is_some()
    }

    /// Returns the ledger's table, if the ledger is in DynamoDB.
    pub fn ledger_in_dynamodb(&self) -> Option<dynamodb::LedgerTable> {
        let (config, ledger) = self.table.clone()?;
        Some(dynamodb::LedgerTable { config, ledger })
    }

    /// Sets how many receives a message has before it goes to the dead letters.
    pub async fn set_max_receives(&self, receives: u32) {
        let arn = aws::queue_arn(&self.config, &self.dead_letters).await;
        let policy = serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": receives });
        let client = aws_sdk_sqs::Client::new(&self.config);
        let set = client.set_queue_attributes().queue_url(&self.queue);
        set.attributes(QueueAttributeName::RedrivePolicy, policy.to_string()).send().await.unwrap();
    }

    /// Returns the command `downpipe`, with the whole stack in its environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = downpipe(localstack_url());
        command
            .env("DATABASE_URL", &self.database.url)
            .env("DOWNPIPE_CATALOG", self.folder.path())
            .env("DOWNPIPE_BUCKET", &self.bucket)
            .env("DOWNPIPE_PREFIX", PREFIX)
            .env("DOWNPIPE_QUEUE_URL", &self.queue)
            .env("DOWNPIPE_TOPIC_ARN", &self.topic)
            .args(args);
        if let Some((_, ledger)) = &self.table {
            command.env("DOWNPIPE_LEDGER", format!("dynamodb:{}", ledger.table));
            command.env("AWS_ENDPOINT_URL_DYNAMODB", &STACK.aws_endpoint_url);
        }
        command
    }

    /// Starts a worker that handles this stack's messages.
    pub fn worker(&self, args: &[&str]) -> WorkerProcess {
        WorkerProcess::start(self.command(&["worker"]).args(args))
    }

    /// Sends a message body to the queue and returns its job's id.
    pub async fn send(&self, body: &str) -> JobId {
        let client = aws_sdk_sqs::Client::new(&self.config);
        let sent = client.send_message().queue_url(&self.queue).message_body(body).send().await.unwrap();
        match Message::parse(body) {
            Ok(Message::Continue(id)) => id,
            message => NewJob::of(&message, sent.message_id().unwrap(), body).unwrap().id,
        }
    }

    /// Returns the stack's ledger.
    pub fn ledger(&self) -> Ledger<LedgerTable> {
        Ledger::new(match &self.table {
            Some((config, ledger)) => LedgerTable::DynamoDb(DynamoJobTable::new(config, ledger)),
            None => LedgerTable::MySql(MySqlJobTable::new(Database::at_url(&self.database.url).unwrap())),
        })
    }

    /// Waits until a job is in this state and returns it.
    pub async fn job_in_state(&self, id: &JobId, state: JobState) -> Job {
        let ledger = self.ledger();
        eventually(&format!("job {id} is {}", state.as_str()), async || {
            ledger.find(id).await.unwrap().filter(|job| job.state == state)
        })
        .await
    }

    /// Waits until a job's requester has been notified, and returns the job.
    pub async fn notified(&self, id: &JobId) -> Job {
        let ledger = self.ledger();
        eventually(&format!("the requester of job {id} is notified"), async || {
            ledger.find(id).await.unwrap().filter(|job| job.notified_at.is_some())
        })
        .await
    }

    /// Takes the e-mails published so far. The next call returns only later ones.
    pub async fn mails(&self) -> Vec<Mail> {
        self.inbox.take().await
    }

    /// Lists the keys in the bucket.
    pub async fn keys(&self) -> Vec<String> {
        aws::keys(&self.config, &self.bucket).await
    }

    /// Lists the connections to this stack's database on which a statement that contains this text
    /// runs.
    pub async fn running(&self, text: &str) -> Vec<u64> {
        let ours = self.database.opened_by().await;
        self.database.running(text).await.into_iter().filter(|id| ours.contains(id)).collect()
    }

    /// Counts the uploads that are neither completed nor aborted.
    pub async fn open_uploads(&self) -> usize {
        aws::open_uploads(&self.config, &self.bucket).await
    }

    /// Reads the file of a job that is ready.
    pub async fn file(&self, job: &Job) -> Vec<u8> {
        assert_eq!(job.state, JobState::Ready, "{:?}", job.failure);
        let prefix = format!("s3://{}/", self.bucket);
        let key = job.receipt.as_ref().unwrap().files[0].address.strip_prefix(&prefix).unwrap().to_owned();
        aws::object(&self.config, &self.bucket, &key).await.unwrap()
    }

    /// Waits until the queue has no message, visible or not.
    pub async fn queue_is_empty(&self) {
        eventually("an empty queue", async || {
            (aws::messages_in(&self.config, &self.queue).await == 0).then_some(())
        })
        .await;
    }
}

/// A `downpipe worker` process, which is killed when it is dropped.
#[derive(Debug)]
pub struct WorkerProcess {
    child: Child,
    log: PathBuf,
    _folder: TempDir,
}

impl WorkerProcess {
    /// Starts the process.
    pub fn start(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let stderr = std::fs::File::create(&log).unwrap();
        let child = command.stderr(stderr).stdout(Stdio::null()).spawn().unwrap();
        Self { child, log, _folder: folder }
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process with SIGKILL, as the kernel does when memory runs out.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM, as a service manager does.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Freezes the process with SIGSTOP, as happens when a machine is migrated.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets a frozen process continue, with SIGCONT.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Returns the exit status, if the process has ended.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until the process has ended by itself, and returns its exit code.
    pub async fn exit_code(&mut self) -> Option<i32> {
        let child = std::cell::RefCell::new(&mut self.child);
        let ended = eventually("the worker has ended", async || child.borrow_mut().try_wait().unwrap()).await;
        ended.code()
    }

    /// Reads the process's log.
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

/// Returns the command `downpipe` with an environment that has only the AWS settings.
pub fn downpipe(endpoint: &str) -> Command {
    let mut command = Command::new(program());
    STACK.apply_to(&mut command);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DOWNPIPE_")) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env("AWS_ENDPOINT_URL", endpoint).stdin(Stdio::null());
    command
}

/// Finds the program under test.
fn program() -> PathBuf {
    let folder = std::env::var_os("DOWNPIPE_TEST_BIN_DIR").map(PathBuf::from).or_else(|| {
        std::env::var_os("DOWNPIPE_TEST_BOOTSTRAP")
            .and_then(|path| Some(Path::new(&path).parent()?.to_owned()))
    });
    let program = folder.expect("cargo xtask test builds the command and says where it is").join("downpipe");
    assert!(program.is_file(), "{} is missing: run the tests with cargo xtask test", program.display());
    program
}
