//! Tests `downpipe` as a person runs it: a process with arguments, an environment, two streams and
//! an exit status.

mod cancel;
mod catalog;
mod check_cache;
mod documents;
mod faults;
mod hostile_text;
mod ledger;
mod logs;
mod masks;
mod queue_and_topic;
mod redrive;
mod run;
mod sweep;
mod worker;
mod wrong_usage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use downpipe_tests::database::TestDatabase;
use downpipe_tests::{localstack_url, test_stack};
use serde_json::Value;
use tempfile::TempDir;

const ORDERS: &str = "
    CREATE TABLE orders (id BIGINT PRIMARY KEY, day DATE, customer VARCHAR(80));
    INSERT INTO orders VALUES (1, '2026-01-01', '山田 太郎'), (2, '2026-01-02', NULL), (3, '2026-01-03', 'a, \"b\"')";

const NUMBERS: &str = "
    CREATE TABLE numbers (id INT PRIMARY KEY);
    SET cte_max_recursion_depth = 100000;
    INSERT INTO numbers WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 70000) SELECT a FROM n";

const DEFINITIONS: [(&str, &str); 3] = [
    (
        "orders.toml",
        r#"title = "注文"
sql = "SELECT id, day, customer FROM orders WHERE day >= :from AND (:to IS NULL OR day < :to) ORDER BY id"
params = { from = { type = "date" }, to = { type = "date", required = false } }
output = { filename = "orders-{from}" }
"#,
    ),
    (
        "large.toml",
        "title = \"Large\"\nsql = \"SELECT id, REPEAT('x', 430) AS filling FROM numbers ORDER BY id\"\n",
    ),
    (
        // Fails near its end, when most of the file is written: an unsigned number cannot be
        // negative.
        "broken.toml",
        "title = \"Broken\"\nsql = \"SELECT id, CAST(69999 AS UNSIGNED) - id AS n, REPEAT('x', 430) FROM numbers ORDER BY id\"\n",
    ),
];

const CSV: &str = "id,day,customer\n2,2026-01-02,\n3,2026-01-03,\"a, \"\"b\"\"\"\n";

/// The arguments of the export that writes [`CSV`].
const RUN: [&str; 4] = ["run", "orders", "--param", "from=2026-01-02"];

/// A shell in a new folder, with a catalog in `exports`.
struct Shell {
    folder: TempDir,
    variables: BTreeMap<&'static str, String>,
}

/// The exit status and output of a command.
#[derive(Debug)]
struct CommandOutput {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Shell {
    /// Creates a shell whose environment has only the AWS settings.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shell = Self { folder, variables: BTreeMap::new() };
        std::fs::create_dir(shell.path("exports")).unwrap();
        for (name, text) in DEFINITIONS {
            std::fs::write(shell.path("exports").join(name), text).unwrap();
        }
        shell
    }

    /// Creates a shell with a database in its environment.
    fn on(database: &TestDatabase) -> Self {
        Self::new().with("DATABASE_URL", &database.url)
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.insert(name, value.to_owned());
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = test_stack::downpipe(localstack_url());
        command.envs(&self.variables).current_dir(self.folder.path()).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> CommandOutput {
        let output = self.command(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        CommandOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Lists the files beside the catalog.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "exports");
        names.sort();
        names
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

impl CommandOutput {
    /// Checks that the command succeeded, and returns its standard output.
    fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    fn json(self) -> Value {
        serde_json::from_str(&self.printed()).unwrap()
    }

    /// Checks that the command failed with this exit status and no standard output, and returns its
    /// error.
    fn refused(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{}", self.stderr);
        self.stderr
    }
}

async fn orders() -> TestDatabase {
    let database = TestDatabase::migrated().await;
    database.execute(ORDERS).await;
    database
}

/// Replaces the text between two others, which differs from run to run.
fn masked(text: &str, before: &str, after: &str) -> String {
    let (head, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before:?} is not in {text}"));
    let (_, tail) = rest.split_once(after).unwrap_or_else(|| panic!("{after:?} is not in {text}"));
    format!("{head}{before}…{after}{tail}")
}
