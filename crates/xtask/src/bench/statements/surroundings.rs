//! What the worker needs beside MySQL: a queue, a topic and a bucket on LocalStack, and a catalog of one definition.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::super::aws_parts::AwsParts;
use crate::aws_cli::AwsCli;
use crate::cargo;
use crate::stack::StackEnv;

/// The definition's name.
const EXPORT: &str = "orders";
const DEFINITION: &str = "title = \"Orders\"\nsql = \"SELECT id, customer, total FROM orders ORDER BY id\"\n";

/// Messages that SQS takes in one call.
const BATCH: u32 = 10;

/// A queue, a topic, a bucket and a catalog; all but the folder are deleted with this.
pub(super) struct Surroundings<'a> {
    aws: AwsParts,
    downpipe: &'a Path,
    folder: PathBuf,
}

impl<'a> Surroundings<'a> {
    /// Creates them under a name that no other run of this command has.
    pub(super) fn create(env: &StackEnv, downpipe: &'a Path, name: &str) -> Result<Self> {
        let localstack = env.localstack_endpoint_url().context("the stack is not up for the tests")?;
        let env = StackEnv { aws_endpoint_url: localstack.to_owned(), ..env.clone() };
        let folder = cargo::target_dir()?.join("bench/statements");
        let catalog = folder.join("catalog");
        fs::create_dir_all(&catalog).with_context(|| format!("cannot make {}", catalog.display()))?;
        fs::write(catalog.join(format!("{EXPORT}.toml")), DEFINITION).context("cannot write a definition")?;
        Ok(Self { aws: AwsParts::create(env, name)?, downpipe, folder })
    }

    /// Creates the ledger's tables.
    pub(super) fn migrate(&self, database_url: &str) -> Result<()> {
        self.run(&["migrate"], database_url).map(drop)
    }

    /// Puts a message for each job on the queue. Each has a requester of its own: a requester's second request for the same
    /// file is no second job while the first is open.
    pub(super) fn send(&self, jobs: u32) -> Result<()> {
        let numbers: Vec<u32> = (0..jobs).collect();
        for batch in numbers.chunks(BATCH as usize) {
            let entry = |number: &u32| {
                let body = json!({ "export": EXPORT, "requested_by": format!("job-{number}@example.com") });
                json!({ "Id": number.to_string(), "MessageBody": body.to_string() })
            };
            let entries: Vec<Value> = batch.iter().map(entry).collect();
            let queue = ["--queue-url", &self.aws.queue];
            let args =
                [&["sqs", "send-message-batch"], &queue[..], &["--entries", "file:///dev/stdin"]].concat();
            AwsCli::new(&self.aws.env).text_with_input(&args, &json!(entries).to_string())?;
        }
        Ok(())
    }

    /// Lets one worker handle every message.
    pub(super) fn work(&self, database_url: &str, concurrency: &str) -> Result<()> {
        self.run(&["worker", "--concurrency", concurrency, "--until-empty"], database_url).map(drop)
    }

    /// Returns the latest jobs of the ledger.
    pub(super) fn jobs(&self, database_url: &str, limit: u32) -> Result<Value> {
        let listed = self.run(&["--json", "list", "--limit", &limit.to_string()], database_url)?;
        serde_json::from_slice(&listed).context("`downpipe list` printed no JSON")
    }

    /// Runs a command of `downpipe` and returns what it printed; its log is kept in the folder.
    fn run(&self, args: &[&str], database_url: &str) -> Result<Vec<u8>> {
        let mut command = Command::new(self.downpipe);
        self.aws.env.apply_to(&mut command);
        let is_ours = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("DOWNPIPE_");
        for (name, _) in env::vars_os().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        let log = self.folder.join("log");
        let output = command
            .env("DATABASE_URL", database_url)
            .env("DOWNPIPE_CATALOG", self.folder.join("catalog"))
            .env("DOWNPIPE_BUCKET", &self.aws.bucket)
            .env("DOWNPIPE_PREFIX", "statements")
            .env("DOWNPIPE_QUEUE_URL", &self.aws.queue)
            .env("DOWNPIPE_TOPIC_ARN", &self.aws.topic)
            .env("RUST_LOG", "warn")
            .args(args)
            .stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?)
            .output()
            .context("cannot run downpipe")?;
        ensure!(output.status.success(), "downpipe {} failed; its log is {}", args.join(" "), log.display());
        Ok(output.stdout)
    }
}
