//! Tests crowds that ask for the same, with several workers on MySQL and LocalStack: requesters who share results, and requesters who
//! do not. MySQL itself counts the rows that it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use downpipe_core::job::{Job, JobState};
use downpipe_core::language::Language;
use downpipe_tests::test_stack::TestStack;
use downpipe_tests::unique;
use downpipe_tests::worker_cache::WorkerCache;
use serde_json::Value;

const TABLES: &str = "
    CREATE TABLE crowded (id INT PRIMARY KEY);
    CREATE TABLE alone (id INT PRIMARY KEY);
    INSERT INTO crowded VALUES (1), (2), (3);
    INSERT INTO alone VALUES (1), (2), (3)";

/// Three rows for each of a hundred people and for alice.
const OWNED: &str = "
    CREATE TABLE owned (owner VARCHAR(40), n INT, PRIMARY KEY (owner, n));
    INSERT INTO owned VALUES ('alice@example.com', 1), ('alice@example.com', 2), ('alice@example.com', 3);
    INSERT INTO owned WITH RECURSIVE p AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM p WHERE a < 100)
        SELECT CONCAT('p', a, '@example.com'), a * 10 + b FROM p JOIN (VALUES ROW(1), ROW(2), ROW(3)) AS r(b)";

const OWN_ROWS: &str = r#"title = "Own rows"
sql = "SELECT n FROM owned WHERE owner = :requested_by ORDER BY n"
output = { reuse = "10m" }
"#;

/// Returns the definitions of an export that is shared and of one that is not. The first one's rows come slowly, so that most clicks
/// come while its query runs. Its title is of one test: another test's entries in a cache do not answer it.
fn definitions() -> [(&'static str, String); 2] {
    let crowded = format!(
        r#"title = "{}"
sql = "SELECT id, SLEEP(1) FROM crowded ORDER BY id"
access = {{ shared = true }}
output = {{ reuse = "10m" }}
"#,
        unique("crowded")
    );
    let alone = "title = \"Alone\"\nsql = \"SELECT id, SLEEP(0) FROM alone ORDER BY id\"\n";
    [("crowded", crowded), ("alone", alone.to_owned())]
}

/// A stack, and the cache of its workers.
struct Crowd {
    test_stack: TestStack,
    cache: Option<WorkerCache>,
}

impl Crowd {
    /// Has the ledger in MySQL, and no cache.
    async fn on_mysql(sql: &str, definitions: &[(&'static str, String)]) -> Self {
        let definitions: Vec<(&str, &str)> =
            definitions.iter().map(|(name, text)| (*name, text.as_str())).collect();
        Self { test_stack: TestStack::new(sql, &definitions).await, cache: None }
    }

    /// Has the ledger in DynamoDB, and the cache in Valkey.
    async fn on_dynamodb_and_valkey(sql: &str, definitions: &[(&'static str, String)]) -> Self {
        let Self { test_stack, .. } = Self::on_mysql(sql, definitions).await;
        Self { test_stack: test_stack.with_ledger_in_dynamodb().await, cache: Some(WorkerCache::valkey()) }
    }

    /// Asks for an export as this person.
    async fn click(&self, export: &str, who: &str, number: u32) {
        let body =
            format!(r#"{{"export":"{export}","requested_by":"{who}@example.com","request_id":"{number}"}}"#);
        self.test_stack.send(&body).await;
    }

    fn worker(&self) -> Command {
        let mut worker = self.test_stack.command(&["worker", "--until-empty"]);
        worker.stderr(Stdio::piped());
        match &self.cache {
            Some(cache) => cache.apply_to(worker),
            None => worker,
        }
    }

    /// Lets three workers work until the queue is empty. Returns what the cache answered, and how often.
    async fn work(&self) -> BTreeMap<String, usize> {
        let workers: Vec<_> = (0..3).map(|_| self.worker().spawn().unwrap()).collect();
        let mut answers = BTreeMap::new();
        // A pipe that is full would stop its worker, so all are read at once.
        let outputs = workers
            .into_iter()
            .map(|worker| tokio::task::spawn_blocking(move || worker.wait_with_output().unwrap()));
        for output in futures_util::future::join_all(outputs).await {
            let output = output.unwrap();
            let log = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{log}");
            for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
                if let Some(answer) = line["cache"].as_str() {
                    *answers.entry(answer.to_owned()).or_default() += 1;
                }
            }
        }
        self.test_stack.queue_is_empty().await;
        answers
    }

    /// Returns the jobs of an export, all of which are ready, and each of whose requesters is notified and named in the receipt.
    async fn ready_jobs(&self, export: &str) -> Vec<Job> {
        let mut jobs = self.test_stack.ledger().latest(250).await.unwrap();
        jobs.retain(|job| job.export == export);
        for job in &jobs {
            assert_eq!(job.state, JobState::Ready, "{:?}", job.failure);
            assert!(job.notified_at.is_some(), "{job:?}");
            assert_eq!(job.receipt.as_ref().unwrap().requested_by, job.requested_by.as_str());
        }
        jobs
    }

    /// Returns whom the topic was told of: recipient, export and status.
    async fn told(&self) -> BTreeSet<String> {
        self.test_stack.mails().await.into_iter().map(|mail| mail.attributes[..3].join(" ")).collect()
    }

    async fn rows_read(&self, table: &str) -> u64 {
        self.test_stack.database.rows_read(table).await
    }
}

async fn hundred_clicks_are_one_query(crowd: &Crowd) {
    crowd.click("alone", "alice", 1).await;
    crowd.work().await;
    let by_one_query = crowd.rows_read("alone").await;
    assert!(by_one_query >= 3, "the server counts {by_one_query} rows");

    for number in 1..=100 {
        crowd.click("crowded", &format!("p{number}"), 1).await;
    }
    crowd.work().await;
    assert_eq!(crowd.rows_read("crowded").await, by_one_query);
    let jobs = crowd.ready_jobs("crowded").await;
    let files: BTreeSet<&str> =
        jobs.iter().map(|job| job.receipt.as_ref().unwrap().files[0].address.as_str()).collect();
    assert_eq!((jobs.len(), files.len()), (100, 1));
    assert_eq!(crowd.test_stack.keys().await.len(), 4, "two files and their receipts");
    assert_eq!(crowd.told().await.len(), 101, "each requester is notified");
}

#[tokio::test]
async fn hundred_clicks_on_a_shared_export_are_one_query() {
    hundred_clicks_are_one_query(&Crowd::on_mysql(TABLES, &definitions()).await).await;
}

#[tokio::test]
async fn hundred_clicks_on_a_shared_export_with_dynamodb_and_valkey_are_one_query() {
    let crowd = Crowd::on_dynamodb_and_valkey(TABLES, &definitions()).await;
    hundred_clicks_are_one_query(&crowd).await;
    // A person who asks later has no leader to follow, and the cache has the file.
    let read = crowd.rows_read("crowded").await;
    crowd.click("crowded", "later", 1).await;
    let answers = crowd.work().await;
    assert_eq!(crowd.rows_read("crowded").await, read, "{answers:?}");
    assert_eq!(crowd.ready_jobs("crowded").await.len(), 101);
}

#[tokio::test]
async fn hundred_clicks_on_an_unshared_export_are_a_query_each_and_show_no_rows_of_others() {
    let crowd = Crowd::on_dynamodb_and_valkey(OWNED, &[("own", OWN_ROWS.to_owned())]).await;
    crowd.click("own", "alice", 1).await;
    crowd.work().await;
    let by_one_query = crowd.rows_read("owned").await;
    assert!(by_one_query >= 3, "the server counts {by_one_query} rows");

    for number in 1..=100 {
        crowd.click("own", &format!("p{number}"), 1).await;
    }
    crowd.work().await;
    assert_eq!(crowd.rows_read("owned").await, 101 * by_one_query, "a query each");

    // Each asks again, and is given their own file again.
    for number in 1..=100 {
        crowd.click("own", &format!("p{number}"), 2).await;
    }
    let answers = crowd.work().await;
    assert_eq!(crowd.rows_read("owned").await, 101 * by_one_query, "{answers:?}");
    assert!(answers.contains_key("hit"), "{answers:?}");

    let jobs = crowd.ready_jobs("own").await;
    assert_eq!(jobs.len(), 201);
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for job in &jobs {
        let who = job.requested_by.as_str();
        let file = String::from_utf8(crowd.test_stack.file(job).await).unwrap();
        assert_eq!(file, rows_of(who), "{who}");
        files.entry(who).or_default().push(&job.receipt.as_ref().unwrap().files[0].address);
    }
    let addresses: BTreeSet<&str> = files.values().flatten().copied().collect();
    assert_eq!((files.len(), addresses.len()), (101, 101), "one file each");
    assert_eq!(crowd.told().await.len(), 101);
}

/// Returns the file of a person's own rows.
fn rows_of(who: &str) -> String {
    let number = who.strip_prefix('p').and_then(|rest| rest.split_once('@')?.0.parse::<u32>().ok());
    let first = number.map_or(0, |number| number * 10);
    format!("n\n{}\n{}\n{}\n", first + 1, first + 2, first + 3)
}

#[tokio::test]
async fn click_after_access_was_revoked_is_refused_though_the_cache_has_the_file() {
    let open = definitions();
    let crowd = Crowd::on_dynamodb_and_valkey(TABLES, &open).await;
    crowd.click("crowded", "alice", 1).await;
    crowd.work().await;
    let by_one_query = crowd.rows_read("crowded").await;
    crowd.click("crowded", "alice", 2).await;
    crowd.work().await;
    assert_eq!(crowd.ready_jobs("crowded").await.len(), 2);
    assert_eq!(crowd.rows_read("crowded").await, by_one_query, "the file is reused");
    crowd.test_stack.mails().await;

    let closed = open[0].1.replace("shared = true", r#"shared = true, requesters = ["bob@example.com"]"#);
    crowd.test_stack.define("crowded", &closed);
    crowd.click("crowded", "alice", 3).await;
    crowd.work().await;
    let jobs = crowd.test_stack.ledger().latest(10).await.unwrap();
    let refused = jobs.iter().find(|job| job.request_id == "3").unwrap();
    let failure = refused.failure.as_ref().unwrap();
    assert_eq!((refused.state, failure.code.as_str()), (JobState::Failed, "rejected"));
    assert!(
        failure.words(Language::En).message.contains("requested_by: expected a requester who may ask for"),
        "{failure:?}"
    );
    assert!(refused.receipt.is_none(), "{refused:?}");
    assert_eq!(crowd.told().await, ["alice@example.com crowded failed".to_owned()].into());
    assert_eq!(crowd.rows_read("crowded").await, by_one_query);

    crowd.click("crowded", "bob", 1).await;
    crowd.work().await;
    assert_eq!(crowd.told().await, ["bob@example.com crowded ready".to_owned()].into());
}
