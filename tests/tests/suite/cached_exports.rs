//! Tests the cache in the way of a message: a worker with Valkey or Memcached, MySQL and LocalStack.

use downpipe_core::job::JobState;
use downpipe_tests::test_stack::TestStack;
use downpipe_tests::worker_cache::WorkerCache;
use downpipe_tests::{eventually, unique};
use serde_json::Value;

const TABLES: &str = "CREATE TABLE few (id INT PRIMARY KEY); INSERT INTO few VALUES (1), (2), (3)";

const DEFINITIONS: [(&str, &str); 2] = [
    (
        "popular",
        "title = \"Popular\"\nsql = \"SELECT id FROM few ORDER BY id\"\noutput = { reuse = \"10m\" }\n",
    ),
    ("slow", "title = \"Slow\"\nsql = \"SELECT id, SLEEP(3) FROM few ORDER BY id\"\n"),
];

/// Asks for the popular export and returns what the cache said, by the worker's log.
async fn click(test_stack: &TestStack, who: &str, number: u32, cache: &WorkerCache) -> Option<String> {
    let body =
        format!(r#"{{"export":"popular","requested_by":"{who}@example.com","request_id":"{number}"}}"#);
    let id = test_stack.send(&body).await;
    let output = cache.apply_to(test_stack.command(&["worker", "--until-empty"])).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    let job = test_stack.job_in_state(&id, JobState::Ready).await;
    assert_eq!(test_stack.file(&job).await, b"id\n1\n2\n3\n");
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.find_map(|line| line["cache"].as_str().map(str::to_owned))
}

async fn second_click_is_answered_without_a_query(cache: &WorkerCache) {
    let test_stack = TestStack::new(TABLES, &DEFINITIONS).await;
    // On a busy machine the cache may be too slow for its limit.
    for _ in 0..10 {
        let who = unique("p");
        click(&test_stack, &who, 1, cache).await;
        let read = test_stack.database.rows_read("few").await;
        let answer = click(&test_stack, &who, 2, cache).await;
        assert_eq!(test_stack.database.rows_read("few").await, read, "a file is reused in any case");
        if answer.as_deref() == Some("hit") {
            return;
        }
    }
    panic!("ten second clicks were not answered from the cache");
}

#[tokio::test]
async fn second_click_with_valkey_is_answered_from_the_cache_without_a_query() {
    second_click_is_answered_without_a_query(&WorkerCache::valkey()).await;
}

#[tokio::test]
async fn second_click_with_memcached_is_answered_from_the_cache_without_a_query() {
    second_click_is_answered_without_a_query(&WorkerCache::memcached()).await;
}

#[tokio::test]
async fn worker_with_a_cache_and_without_keys_of_receipts_does_not_start() {
    let test_stack = TestStack::new("", &DEFINITIONS).await;
    for cache in [WorkerCache::valkey(), WorkerCache::memcached()] {
        let mut command = test_stack.command(&["worker", "--until-empty"]);
        cache.name_to(&mut command);
        let ended = command.output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(
            said.contains("DOWNPIPE_SIGNING_SECRET: expected a secret with the key of receipts"),
            "{said}"
        );
    }
}

async fn status_of_a_running_job_needs_no_database(cache: &WorkerCache) {
    let test_stack = TestStack::new(TABLES, &DEFINITIONS).await;
    let id = test_stack.send(r#"{"export":"slow","requested_by":"alice@example.com"}"#).await;
    let mut worker = cache.apply_to(test_stack.command(&["worker", "--until-empty"])).spawn().unwrap();
    let progress = eventually("the job's progress in the cache", async || {
        let mut status = cache.apply_to(test_stack.command(&["status", id.as_str(), "--json"]));
        let output = status.env("DATABASE_URL", "mysql://none:none@127.0.0.1:1/none").output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).ok()
    })
    .await;
    assert_eq!((&progress["id"], &progress["state"]), (&id.as_str().into(), &"running".into()));
    assert!(progress["rows"].is_u64() && progress["rows_per_second"].is_u64(), "{progress}");
    worker.wait().unwrap();
}

#[tokio::test]
async fn status_of_a_running_job_comes_from_valkey_without_a_database() {
    status_of_a_running_job_needs_no_database(&WorkerCache::valkey()).await;
}

#[tokio::test]
async fn status_of_a_running_job_comes_from_memcached_without_a_database() {
    status_of_a_running_job_needs_no_database(&WorkerCache::memcached()).await;
}
