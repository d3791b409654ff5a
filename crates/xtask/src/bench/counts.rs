//! What MySQL counts of one user's statements.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, MySqlConnection, mysql::MySqlConnectOptions,
};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::document::Table;

/// Commands that `Questions` leaves out.
/// <https://dev.mysql.com/doc/refman/8.4/en/server-status-variables.html#statvar_Questions>
const NOT_IN_QUESTIONS: [&str; 5] = ["Close stmt", "Ping", "Prepare", "Reset stmt", "Statistics"];

/// Columns of a statement's text that the table shows.
const MAX_TEXT: usize = 100;

/// Statements of the worker's user, counted by MySQL.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    /// The status variable of that name.
    pub(super) questions: u64,
    kinds: BTreeMap<String, u64>,
    texts: BTreeMap<String, u64>,
}

impl Counts {
    /// Returns what has been added since an earlier reading.
    pub(super) fn since(&self, before: &Self) -> Self {
        let added = |now: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
            let since = |(name, count): (&String, &u64)| {
                let count = count - before.get(name).copied().unwrap_or_default();
                (count > 0).then(|| (name.clone(), count))
            };
            now.iter().filter_map(since).collect()
        };
        Self {
            questions: self.questions - before.questions,
            kinds: added(&self.kinds, &before.kinds),
            texts: added(&self.texts, &before.texts),
        }
    }

    /// Commands by kind, the most frequent first.
    pub(super) fn by_kind(&self, jobs: u32) -> Table {
        let mut table = Table::new(["kind", "in all", "a job", "in Questions"]);
        for (kind, count) in most_frequent(&self.kinds) {
            let counted = if NOT_IN_QUESTIONS.contains(&kind) { "no" } else { "yes" };
            table.row([kind.to_owned(), count.to_string(), a_job(count, jobs), counted.to_owned()]);
        }
        table
    }

    /// Statements by their text without values, the most frequent first. `EXECUTE` and `PREPARE` are MySQL's words for what a
    /// prepared statement costs.
    pub(super) fn by_text(&self, jobs: u32) -> Table {
        let mut table = Table::new(["statement", "in all", "a job"]);
        for (text, count) in most_frequent(&self.texts) {
            let shown: String = text.replace('`', "").chars().take(MAX_TEXT).collect();
            table.row([shown, count.to_string(), a_job(count, jobs)]);
        }
        table
    }
}

fn most_frequent(counts: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut sorted: Vec<(&str, u64)> = counts.iter().map(|(name, count)| (&name[..], *count)).collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    sorted
}

fn a_job(count: u64, jobs: u32) -> String {
    format!("{:.2}", count as f64 / f64::from(jobs))
}

/// A database and a user for one count; both are dropped with this.
pub(super) struct Recorder {
    runtime: Runtime,
    server: Url,
    name: String,
}

impl Recorder {
    /// Creates both, and a table with so many rows.
    pub(super) fn create(server_url: &str, rows: u32) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
        let server = Url::parse(server_url).context("DATABASE_URL is no URL")?;
        let recorder = Self { runtime, server, name: format!("downpipe_statements_{}", std::process::id()) };
        let name = recorder.name();
        // Without a password, so that a login costs the same whatever the server's method is.
        recorder.execute(format!(
            "CREATE DATABASE {name} CHARACTER SET utf8mb4;
             CREATE TABLE {name}.orders (id INT PRIMARY KEY, customer VARCHAR(40) NOT NULL, total DECIMAL(12, 2) NOT NULL);
             SET SESSION cte_max_recursion_depth = {rows};
             INSERT INTO {name}.orders
                 WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < {rows})
                 SELECT id, CONCAT('customer ', id), id / 100 FROM n;
             CREATE USER '{name}'@'%' IDENTIFIED BY '';
             GRANT ALL ON {name}.* TO '{name}'@'%'"
        ))?;
        Ok(recorder)
    }

    /// Returns the name of the database, and of the user.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the database, as the stack's own user reaches it.
    pub(super) fn owner_url(&self) -> String {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url.into()
    }

    /// Returns the database, as the user whose statements are counted reaches it.
    pub(super) fn worker_url(&self) -> String {
        let (host, port) = (self.server.host_str().unwrap_or_default(), self.server.port().unwrap_or(3306));
        format!("mysql://{0}@{host}:{port}/{0}", self.name)
    }

    /// Reads what the server has counted so far. Its own statements are another user's.
    pub(super) fn read(&self) -> Result<Counts> {
        let name = &self.name;
        self.runtime.block_on(async {
            let mut connection = self.connect().await?;
            let questions = "SELECT CAST(variable_value AS UNSIGNED) FROM performance_schema.status_by_user
                             WHERE user = ? AND variable_name = 'Questions'";
            let questions: Option<u64> =
                sqlx::query_scalar(questions).bind(name).fetch_optional(&mut connection).await?;
            let kinds = "SELECT SUBSTRING_INDEX(event_name, '/', -1), count_star
                         FROM performance_schema.events_statements_summary_by_user_by_event_name
                         WHERE user = ? AND count_star > 0";
            let texts =
                "SELECT digest_text, count_star FROM performance_schema.events_statements_summary_by_digest
                         WHERE schema_name = ? AND digest_text IS NOT NULL";
            let counts = Counts {
                questions: questions.unwrap_or_default(),
                kinds: pairs(&mut connection, kinds, name).await?,
                texts: pairs(&mut connection, texts, name).await?,
            };
            Ok(counts)
        })
    }

    /// Returns the server's version.
    pub(super) fn server_version(&self) -> Result<String> {
        self.runtime.block_on(async {
            let mut connection = self.connect().await?;
            Ok(sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut connection).await?)
        })
    }

    fn execute(&self, sql: String) -> Result<()> {
        self.runtime.block_on(async {
            let mut connection = self.connect().await?;
            connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
            Ok(connection.close().await?)
        })
    }

    async fn connect(&self) -> Result<MySqlConnection> {
        let options = MySqlConnectOptions::from_str(self.server.as_str())?.disable_statement_logging();
        options.connect().await.context("cannot connect to MySQL")
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let name = &self.name;
        let drop = format!("DROP DATABASE IF EXISTS {name}; DROP USER IF EXISTS '{name}'@'%'");
        if let Err(error) = self.execute(drop) {
            eprintln!("database and user {name} are still there: {error:#}");
        }
    }
}

async fn pairs(
    connection: &mut MySqlConnection,
    sql: &'static str,
    name: &str,
) -> Result<BTreeMap<String, u64>> {
    let rows: Vec<(String, u64)> = sqlx::query_as(sql).bind(name).fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(questions: u64, kinds: &[(&str, u64)]) -> Counts {
        let kinds = kinds.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
        Counts { questions, kinds, texts: BTreeMap::new() }
    }

    #[test]
    fn counts_since_a_reading_leave_out_what_was_there() {
        let (before, after) =
            (counts(5, &[("Ping", 5)]), counts(25, &[("Ping", 5), ("Execute", 20), ("Prepare", 1)]));
        assert_eq!(after.since(&before), counts(20, &[("Execute", 20), ("Prepare", 1)]));
    }

    #[test]
    fn kinds_are_shown_a_job_the_most_frequent_first() {
        let table = counts(20, &[("Prepare", 1), ("Execute", 20)]).by_kind(10).to_markdown();
        assert!(table.ends_with("| Execute | 20 | 2.00 | yes |\n| Prepare | 1 | 0.10 | no |\n"), "{table}");
    }
}
