//! What the Lambda's program needs: MySQL, queue, topic, bucket, a table of a ledger, a catalog and a key.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use super::super::aws_parts::AwsParts;
use super::super::counts::Recorder;
use super::kind::{Cache, EXPORT, Kind, Ledger};
use crate::aws_cli::AwsCli;
use crate::deploy;
use crate::stack::{Caches, StackEnv};

/// Rows of each export.
pub(super) const ROWS: u32 = 1_000;

/// All of it but the folder is deleted with this.
pub(super) struct Surroundings {
    pub(super) env: StackEnv,
    pub(super) recorder: Recorder,
    pub(super) folder: PathBuf,
    caches: Caches,
    parts: AwsParts,
    table: Table,
}

impl Surroundings {
    /// Creates everything, with the ledger's tables in MySQL and in DynamoDB.
    pub(super) fn create(env: &StackEnv, folder: &Path, downpipe: &Path) -> Result<Self> {
        let caches = env.caches.clone().context("the stack is up without its caches")?;
        let recorder = Recorder::create(&env.database_url, ROWS)?;
        let surroundings = Self {
            parts: AwsParts::create(env.clone(), recorder.name())?,
            table: Table::create(env, &recorder.name().replace('_', "-"))?,
            env: env.clone(),
            folder: folder.to_owned(),
            recorder,
            caches,
        };
        surroundings.write_files()?;
        surroundings.migrate(downpipe)?;
        Ok(surroundings)
    }

    /// Writes the catalog and the key that signs receipts. The title is of this run: entries of an earlier one do not answer it.
    fn write_files(&self) -> Result<()> {
        let catalog = self.folder.join("catalog");
        fs::create_dir_all(&catalog).with_context(|| format!("cannot make {}", catalog.display()))?;
        let definition = format!(
            "title = \"Orders {}\"\nsql = \"SELECT id, customer, total FROM orders ORDER BY id\"\noutput = {{ reuse = \"30m\" }}\n",
            std::process::id()
        );
        fs::write(catalog.join(format!("{EXPORT}.toml")), definition).context("cannot write a definition")?;
        let mut key = [0; 32];
        fastrand::fill(&mut key);
        let secret = json!({ "receipts": BASE64_STANDARD.encode(key) }).to_string();
        fs::write(self.folder.join("signing.json"), secret).context("cannot write a key")
    }

    fn migrate(&self, downpipe: &Path) -> Result<()> {
        let mut command = Command::new(downpipe);
        self.env.apply_to(&mut command).env("DATABASE_URL", self.recorder.owner_url()).arg("migrate");
        let output = command.output().context("cannot run downpipe")?;
        ensure!(
            output.status.success(),
            "downpipe migrate: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }

    /// Returns the environment that Lambda and `infra/template.yaml` give the program, with AWS at this endpoint.
    pub(super) fn environment(&self, kind: Kind, endpoint: String) -> Vec<(&'static str, String)> {
        let text = |text: &str| text.to_owned();
        let path = |name: &str| self.folder.join(name).to_string_lossy().into_owned();
        let mut environment = vec![
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_LAMBDA_FUNCTION_NAME", text("downpipe-bench")),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", text("512")),
            ("AWS_LAMBDA_FUNCTION_VERSION", text("$LATEST")),
            ("AWS_LAMBDA_LOG_GROUP_NAME", text("bench")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", text("bench")),
            ("DATABASE_URL", self.recorder.worker_url()),
            ("DOWNPIPE_CATALOG", path("catalog")),
            ("DOWNPIPE_SIGNING_SECRET", format!("file:{}", path("signing.json"))),
            ("DOWNPIPE_BUCKET", self.parts.bucket.clone()),
            ("DOWNPIPE_PREFIX", text("exports")),
            ("DOWNPIPE_QUEUE_URL", self.parts.queue.clone()),
            ("DOWNPIPE_TOPIC_ARN", self.parts.topic.clone()),
            ("RUST_LOG", text("warn,downpipe=info")),
        ];
        environment.push(match kind.ledger {
            Ledger::MySql => ("DOWNPIPE_LEDGER", text("mysql")),
            Ledger::DynamoDb => ("DOWNPIPE_LEDGER", format!("dynamodb:{}", self.table.name)),
        });
        environment.extend(match kind.cache {
            Cache::None => vec![("DOWNPIPE_CACHE", text("none"))],
            Cache::Valkey => vec![
                ("DOWNPIPE_CACHE", self.caches.valkey_url.clone()),
                ("DOWNPIPE_CACHE_CA", self.caches.authority.to_string_lossy().into_owned()),
            ],
            Cache::Memcached => vec![("DOWNPIPE_CACHE", self.caches.memcached_url.clone())],
        });
        environment
    }
}

/// The table of a ledger in DynamoDB, deleted with this.
struct Table {
    env: StackEnv,
    stack: String,
    name: String,
}

impl Table {
    fn create(env: &StackEnv, stack: &str) -> Result<Self> {
        let name = deploy::deploy_ledger(AwsCli::new(env), stack)?;
        Ok(Self { env: env.clone(), stack: stack.to_owned(), name })
    }

    /// Deletes the stack, and then the table, which outlives it.
    fn delete(&self) -> Result<()> {
        let aws = AwsCli::new(&self.env);
        aws.text(&["cloudformation", "delete-stack", "--stack-name", &self.stack])?;
        aws.text(&["cloudformation", "wait", "stack-delete-complete", "--stack-name", &self.stack])?;
        let table = ["--table-name", &self.name];
        let unprotect = ["--no-deletion-protection-enabled"];
        aws.text(&[&["dynamodb", "update-table"], &table[..], &unprotect[..]].concat())?;
        aws.text(&[&["dynamodb", "delete-table"], &table[..]].concat()).map(drop)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if let Err(error) = self.delete() {
            eprintln!("the table {} is still there: {error:#}", self.name);
        }
    }
}
