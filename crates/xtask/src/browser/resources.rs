//! A database with orders, and a bucket, a queue and a topic at MiniStack. Each run has its own, so that runs do not meet.

use std::str::FromStr;

use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, MySqlConnection, mysql::MySqlConnectOptions,
};

use crate::{aws_cli::AwsCli, stack::StackEnv};

/// 1,000 orders of January, so many a customer.
const ORDERS: &str = "
    CREATE TABLE orders (id BIGINT PRIMARY KEY, day DATE NOT NULL, customer BIGINT NOT NULL);
    INSERT INTO orders
    WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 1000)
    SELECT id, DATE_ADD('2026-01-01', INTERVAL (id - 1) DIV 40 DAY), 1 + (id - 1) MOD 10 FROM n";

/// What one run stands on.
pub(super) struct Resources<'a> {
    env: &'a StackEnv,
    name: String,
    queue: String,
    topic: String,
}

impl<'a> Resources<'a> {
    /// Makes everything.
    pub(super) fn make(env: &'a StackEnv) -> Result<Self> {
        let name = format!("downpipe-browser-{}", std::process::id());
        let database = database(&name);
        let create = format!("CREATE DATABASE {database} CHARACTER SET utf8mb4; USE {database}; {ORDERS}");
        execute(env, create).with_context(|| format!("cannot make the database {database}"))?;
        let aws = AwsCli::new(env);
        aws.text(&["s3api", "create-bucket", "--bucket", &name])?;
        let queue = text(&aws.json(&["sqs", "create-queue", "--queue-name", &name])?, "QueueUrl")?;
        let topic = text(&aws.json(&["sns", "create-topic", "--name", &name])?, "TopicArn")?;
        Ok(Self { env, name, queue, topic })
    }

    /// Returns the variables by which a worker and a portal find everything.
    pub(super) fn variables(&self) -> [(&'static str, String); 4] {
        let server = &self.env.database_url;
        let (server, options) = server.split_once('?').unwrap_or((server, ""));
        let separator = if options.is_empty() { "" } else { "?" };
        [
            ("DATABASE_URL", format!("{server}/{}{separator}{options}", database(&self.name))),
            ("DOWNPIPE_BUCKET", self.name.clone()),
            ("DOWNPIPE_QUEUE_URL", self.queue.clone()),
            ("DOWNPIPE_TOPIC_ARN", self.topic.clone()),
        ]
    }

    /// Deletes everything.
    pub(super) fn delete(&self) -> Result<()> {
        let aws = AwsCli::new(self.env);
        aws.text(&["s3", "rb", "--force", &format!("s3://{}", self.name)])?;
        aws.text(&["sqs", "delete-queue", "--queue-url", &self.queue])?;
        aws.text(&["sns", "delete-topic", "--topic-arn", &self.topic])?;
        execute(self.env, format!("DROP DATABASE {}", database(&self.name)))
    }
}

/// Returns the name of a run's database.
fn database(name: &str) -> String {
    name.replace('-', "_")
}

fn text(answer: &Value, field: &str) -> Result<String> {
    answer[field].as_str().map(str::to_owned).with_context(|| format!("expected {field}, got {answer}"))
}

fn execute(env: &StackEnv, sql: String) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")?.block_on(async {
        let options = MySqlConnectOptions::from_str(&env.database_url)?.disable_statement_logging();
        let mut connection: MySqlConnection = options.connect().await?;
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        Ok(connection.close().await?)
    })
}
