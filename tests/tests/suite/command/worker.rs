//! Tests `downpipe worker`, a process that polls the queue.

use downpipe_core::job::{Job, JobState};
use downpipe_tests::database::Server;
use downpipe_tests::eventually;
use downpipe_tests::private_server::PrivateServer;
use downpipe_tests::test_stack::TestStack;
use serde_json::Value;

pub(super) const NUMBERS: &str = "
    CREATE TABLE numbers (id INT PRIMARY KEY);
    SET cte_max_recursion_depth = 100000;
    INSERT INTO numbers WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 20000) SELECT a FROM n";

pub(super) const DEFINITIONS: [(&str, &str); 3] = [
    ("short", "title = \"Short\"\nsql = \"SELECT id FROM numbers WHERE id <= 3 ORDER BY id\"\n"),
    (
        // Rows come slowly: 84 MB, or ten parts, in ten seconds or more.
        "long",
        r#"title = "Long"
sql = "SELECT id, REPEAT('x', 4200) AS filling, SLEEP(0.0004) FROM numbers WHERE id > :after ORDER BY id"
resume = { column = "id", start = 0 }
"#,
    ),
    ("slow", "title = \"Slow\"\nsql = \"SELECT id, SLEEP(1) FROM numbers WHERE id <= 4 ORDER BY id\"\n"),
];

/// A request for the long export.
pub(super) const LONG: &str = r#"{"export":"long","requested_by":"alice@example.com"}"#;

/// A text in the long export's query.
pub(super) const READING: &str = "SLEEP(0.0004)";

async fn test_stack() -> TestStack {
    TestStack::new(NUMBERS, &DEFINITIONS).await
}

#[tokio::test]
async fn worker_until_empty_handles_every_message() {
    let test_stack = test_stack().await;
    let ready = test_stack.send(r#"{"export":"short","requested_by":"alice@example.com"}"#).await;
    let failed = test_stack.send("test").await;
    let output = test_stack.command(&["worker", "--until-empty", "--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let tally: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(tally, serde_json::json!({ "done": 2, "returned": 0 }));
    let job = test_stack.job_in_state(&ready, JobState::Ready).await;
    assert_eq!(test_stack.file(&job).await, b"id\n1\n2\n3\n");
    test_stack.job_in_state(&failed, JobState::Failed).await;
    let mut notified: Vec<String> =
        test_stack.mails().await.iter().map(|mail| mail.attributes[..3].join(" ")).collect();
    notified.sort();
    assert_eq!(notified, ["alice@example.com short ready", "operator unknown failed"]);
    test_stack.queue_is_empty().await;
    for line in String::from_utf8(output.stderr).unwrap().lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[tokio::test]
async fn worker_with_concurrency_two_runs_two_jobs_at_once() {
    let test_stack = test_stack().await;
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(
            test_stack.send(&format!(r#"{{"export":"slow","requested_by":"{number}@example.com"}}"#)).await,
        );
    }
    let _worker = test_stack.worker(&["--concurrency", "2"]);
    let mut jobs = Vec::new();
    for id in &ids {
        jobs.push(test_stack.notified(id).await);
    }
    let at_once = |at: jiff::Timestamp| {
        let runs = |job: &&Job| job.started_at.unwrap() <= at && at < job.finished_at.unwrap();
        jobs.iter().filter(runs).count()
    };
    assert_eq!(jobs.iter().map(|job| at_once(job.started_at.unwrap())).max(), Some(2), "{jobs:?}");
}

/// The next worker resumes the job, and does not read rows again.
#[tokio::test]
async fn job_of_a_stopped_or_killed_worker_is_resumed_by_the_next() {
    let test_stack = test_stack().await;
    let id = test_stack.send(LONG).await;
    let lease = ["--lease", "1", "--grace", "0.1"];
    let checkpointed = async |rows: u64| {
        let ledger = test_stack.ledger();
        eventually("a checkpoint", async || {
            let checkpoint = ledger.find(&id).await.unwrap()?.checkpoint?;
            (checkpoint.rows > rows).then_some(checkpoint.rows)
        })
        .await
    };
    let mut first = test_stack.worker(&lease);
    let rows = checkpointed(0).await;
    first.terminate();
    assert_eq!(first.exit_code().await, Some(0), "{}", first.log());
    let mut second = test_stack.worker(&lease);
    checkpointed(rows).await;
    second.kill();
    let mut third = test_stack.worker(&["--lease", "1", "--until-empty"]);
    assert_eq!(third.exit_code().await, Some(0), "{}", third.log());
    let job = test_stack.notified(&id).await;
    assert_eq!((job.state, job.attempt, job.rows), (JobState::Ready, 3, 20_000), "{:?}", job.failure);
    assert!(job.receipt.as_ref().unwrap().continued);
    let file = String::from_utf8(test_stack.file(&job).await).unwrap();
    let ids = file.lines().skip(1).map(|line| line.split(',').next().unwrap().parse::<u32>().unwrap());
    assert!(ids.eq(1..=20_000), "every row once");
    let reading = test_stack.running(READING).await;
    assert_eq!(reading, Vec::<u64>::new(), "queries are left running");
    assert_eq!((test_stack.open_uploads().await, test_stack.mails().await.len()), (0, 1));
}

/// The worker limits its runs as Lambda does. An export that takes longer resumes in the next run.
#[tokio::test]
async fn export_longer_than_a_run_is_resumed() {
    let test_stack = test_stack().await;
    let id = test_stack.send(LONG).await;
    let mut worker = test_stack.worker(&["--run-seconds", "5", "--until-empty"]);
    assert_eq!(worker.exit_code().await, Some(0), "{}", worker.log());
    let job = test_stack.notified(&id).await;
    assert_eq!((job.state, job.rows), (JobState::Ready, 20_000), "{:?}", job.failure);
    assert!(job.resume_count >= 2, "{}", job.resume_count);
    assert_eq!((test_stack.open_uploads().await, test_stack.mails().await.len()), (0, 1));
}

/// The settings of the server's owner make neither the export nor the ledger, on the same server,
/// lose a row or a write.
#[tokio::test]
async fn export_of_many_runs_under_hostile_session_defaults_is_whole() {
    let server = PrivateServer::start(Server::MySql, &[]).await;
    let database = server.create_limited_database().await;
    downpipe_mysql::migrate(&database.database()).await.unwrap();
    database.execute(NUMBERS).await;
    server.execute("SET GLOBAL sql_select_limit = 1000; SET GLOBAL autocommit = 0").await;
    server.execute("SET GLOBAL init_connect = 'SET SESSION sql_select_limit = 900, autocommit = 0'").await;
    let test_stack = TestStack::on(database, &DEFINITIONS).await;
    let id = test_stack.send(LONG).await;
    let mut worker = test_stack.worker(&["--run-seconds", "6", "--until-empty"]);
    assert_eq!(worker.exit_code().await, Some(0), "{}", worker.log());
    let job = test_stack.notified(&id).await;
    assert_eq!((job.state, job.rows), (JobState::Ready, 20_000), "{:?}", job.failure);
    assert!(job.resume_count >= 1, "{}", job.resume_count);
    let file = String::from_utf8(test_stack.file(&job).await).unwrap();
    let ids = file.lines().skip(1).map(|line| line.split(',').next().unwrap().parse::<u32>().unwrap());
    assert!(ids.eq(1..=20_000), "every row once");
    let session = &job.receipt.as_ref().unwrap().session;
    assert_eq!(session.get("sql_select_limit"), Some("18446744073709551615"));
}

#[tokio::test]
async fn worker_without_a_queue_or_variables_ends_at_once() {
    let test_stack = test_stack().await;
    let mut gone = test_stack.command(&["worker"]);
    let output = gone.env("DOWNPIPE_QUEUE_URL", format!("{}-gone", test_stack.queue)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("counting the messages: the queue could not be reached or refused"), "{stderr}");

    let output = test_stack
        .command(&["worker"])
        .env_remove("DOWNPIPE_BUCKET")
        .env_remove("DOWNPIPE_TOPIC_ARN")
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"downpipe: the environment is not complete: DOWNPIPE_BUCKET: expected the name of a bucket, got nothing; DOWNPIPE_TOPIC_ARN: expected the ARN of an SNS topic, got nothing");
}
