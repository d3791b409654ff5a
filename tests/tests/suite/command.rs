//! `downpipe` as a person runs it: a process with arguments, an environment, two streams and an exit status.

mod cancel;
mod catalog;
mod faults;
mod ledger;
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
use downpipe_tests::{STACK, site};
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
        // Fails near its end, when most of the file is written: an unsigned number cannot go below zero.
        "broken.toml",
        "title = \"Broken\"\nsql = \"SELECT id, CAST(69999 AS UNSIGNED) - id AS n, REPEAT('x', 430) FROM numbers ORDER BY id\"\n",
    ),
];

const CSV: &str = "id,day,customer\n2,2026-01-02,\n3,2026-01-03,\"a, \"\"b\"\"\"\n";

/// The arguments of the export that gives [`CSV`].
const RUN: [&str; 4] = ["run", "orders", "--param", "from=2026-01-02"];

/// A shell in a folder of its own, with a catalog in `exports`.
struct Shell {
    folder: TempDir,
    variables: BTreeMap<&'static str, String>,
}

/// What a command did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Shell {
    /// A shell that knows nothing but how to reach AWS.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shell = Self { folder, variables: BTreeMap::new() };
        std::fs::create_dir(shell.path("exports")).unwrap();
        for (name, text) in DEFINITIONS {
            std::fs::write(shell.path("exports").join(name), text).unwrap();
        }
        shell
    }

    /// A shell that knows a database.
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
        let mut command = site::downpipe(&STACK.localstack_endpoint_url);
        command.envs(&self.variables).current_dir(self.folder.path()).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The names of the files beside the catalog.
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

impl Ran {
    /// What it printed, when it did what it was asked to.
    fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    fn json(self) -> Value {
        serde_json::from_str(&self.printed()).unwrap()
    }

    /// What it complained of, when it did not. Then nothing is on standard output.
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

/// The text between two others, which differs from run to run, replaced.
fn masked(text: &str, before: &str, after: &str) -> String {
    let (head, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before:?} is not in {text}"));
    let (_, tail) = rest.split_once(after).unwrap_or_else(|| panic!("{after:?} is not in {text}"));
    format!("{head}{before}…{after}{tail}")
}
