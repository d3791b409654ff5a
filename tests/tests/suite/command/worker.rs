//! `downpipe worker`: the queue's messages, handled by a process that asks for them.

use downpipe_core::job::{Job, JobState};
use downpipe_core::ledger::Ledger as _;
use downpipe_tests::eventually;
use downpipe_tests::site::Site;
use serde_json::Value;

pub(super) const NUMBERS: &str = "
    CREATE TABLE numbers (id INT PRIMARY KEY);
    SET cte_max_recursion_depth = 100000;
    INSERT INTO numbers WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 20000) SELECT a FROM n";

pub(super) const DEFINITIONS: [(&str, &str); 3] = [
    ("short", "title = \"Short\"\nsql = \"SELECT id FROM numbers WHERE id <= 3 ORDER BY id\"\n"),
    (
        // Rows come slowly: 84 MB, which are ten parts, in ten seconds and more.
        "long",
        r#"title = "Long"
sql = "SELECT id, REPEAT('x', 4200) AS filling, SLEEP(0.0004) FROM numbers WHERE id > :after ORDER BY id"
resume = { column = "id", start = 0 }
"#,
    ),
    ("slow", "title = \"Slow\"\nsql = \"SELECT id, SLEEP(1) FROM numbers WHERE id <= 4 ORDER BY id\"\n"),
];

/// Asks for the long one.
pub(super) const LONG: &str = r#"{"export":"long","requested_by":"alice@example.com"}"#;

/// A text in its query.
pub(super) const READING: &str = "SLEEP(0.0004)";

async fn site() -> Site {
    Site::new(NUMBERS, &DEFINITIONS).await
}

#[tokio::test]
async fn a_worker_takes_messages_until_nothing_is_left() {
    let site = site().await;
    let ready = site.send(r#"{"export":"short","requested_by":"alice@example.com"}"#).await;
    let failed = site.send("test").await;
    let output = site.command(&["worker", "--until-empty", "--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let tally: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(tally, serde_json::json!({ "done": 2, "returned": 0 }));
    let job = site.job_in_state(&ready, JobState::Ready).await;
    assert_eq!(site.file(&job).await, b"id\n1\n2\n3\n");
    site.job_in_state(&failed, JobState::Failed).await;
    let mut told: Vec<String> =
        site.mails().await.iter().map(|mail| mail.attributes[..3].join(" ")).collect();
    told.sort();
    assert_eq!(told, ["alice@example.com short ready", "operator unknown failed"]);
    site.queue_is_empty().await;
    for line in String::from_utf8(output.stderr).unwrap().lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[tokio::test]
async fn messages_are_handled_so_many_at_a_time() {
    let site = site().await;
    for number in 1..=3 {
        site.send(&format!(r#"{{"export":"slow","requested_by":"{number}@example.com"}}"#)).await;
    }
    let _worker = site.worker(&["--concurrency", "2"]);
    site.queue_is_empty().await;
    let jobs = site.ledger().latest(10).await.unwrap();
    let at_once = |at: jiff::Timestamp| {
        let runs = |job: &&Job| job.started_at.unwrap() <= at && at < job.finished_at.unwrap();
        jobs.iter().filter(runs).count()
    };
    assert_eq!(jobs.iter().map(|job| at_once(job.started_at.unwrap())).max(), Some(2), "{jobs:?}");
}

/// What it is in the middle of goes on in its successor, and is not read again.
#[tokio::test]
async fn a_worker_that_is_stopped_or_killed_leaves_its_job_to_the_next() {
    let site = site().await;
    let id = site.send(LONG).await;
    let lease = ["--lease", "1", "--grace", "0.1"];
    let checkpointed = async |rows: u64| {
        let ledger = site.ledger();
        eventually("a checkpoint", async || {
            let checkpoint = ledger.find(&id).await.unwrap()?.checkpoint?;
            (checkpoint.rows > rows).then_some(checkpoint.rows)
        })
        .await
    };
    let mut first = site.worker(&lease);
    let rows = checkpointed(0).await;
    first.terminate();
    assert_eq!(first.ended().await, Some(0), "{}", first.log());
    let mut second = site.worker(&lease);
    checkpointed(rows).await;
    second.kill();
    let mut third = site.worker(&["--lease", "1", "--until-empty"]);
    assert_eq!(third.ended().await, Some(0), "{}", third.log());
    let job = site.told(&id).await;
    assert_eq!((job.state, job.attempt, job.rows), (JobState::Ready, 3, 20_000), "{:?}", job.failure);
    assert!(job.receipt.as_ref().unwrap().continued);
    let file = String::from_utf8(site.file(&job).await).unwrap();
    let ids = file.lines().skip(1).map(|line| line.split(',').next().unwrap().parse::<u32>().unwrap());
    assert!(ids.eq(1..=20_000), "every row once");
    let reading = site.running(READING).await;
    assert_eq!(reading, Vec::<u64>::new(), "queries that nobody reads");
    assert_eq!((site.open_uploads().await, site.mails().await.len()), (0, 1));
}

/// The same runs as Lambda's: what needs longer goes on in the next.
#[tokio::test]
async fn an_export_goes_on_over_many_runs() {
    let site = site().await;
    let id = site.send(LONG).await;
    let mut worker = site.worker(&["--run-seconds", "5", "--until-empty"]);
    assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
    let job = site.told(&id).await;
    assert_eq!((job.state, job.rows), (JobState::Ready, 20_000), "{:?}", job.failure);
    assert!(job.continuations >= 2, "{}", job.continuations);
    assert_eq!((site.open_uploads().await, site.mails().await.len()), (0, 1));
}

#[tokio::test]
async fn a_worker_without_a_queue_or_with_half_an_environment_ends_at_once() {
    let site = site().await;
    let mut gone = site.command(&["worker"]);
    let output = gone.env("DOWNPIPE_QUEUE_URL", format!("{}-gone", site.queue)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("counting the messages: the queue could not be reached or refused"), "{stderr}");

    let output =
        site.command(&["worker"]).env_remove("DOWNPIPE_BUCKET").env_remove("DOWNPIPE_TOPIC_ARN").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"downpipe: the environment is not complete: DOWNPIPE_BUCKET: expected the name of a bucket, got nothing; DOWNPIPE_TOPIC_ARN: expected the ARN of an SNS topic, got nothing");
}
