//! Tests the proxies: they apply their rules, and change nothing else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use downpipe_aws::{SecretLogin, SnsTopic, SqsQueue};
use downpipe_core::error_chain::error_chain;
use downpipe_core::notice::Notifier as _;
use downpipe_core::queue::Queue as _;
use downpipe_core::source::{RowSource as _, SourceError};
use downpipe_core::testing::sample_notices;
use downpipe_mysql::{Database, MySqlSource};
use downpipe_tests::database::TestDatabase;
use downpipe_tests::faults::http_proxy::{Action, HttpProxy, Moment, Rule};
use downpipe_tests::faults::mysql_proxy::{Break, MySqlProxy};
use downpipe_tests::rows::{CsvSink, query};
use downpipe_tests::{aws, eventually, localstack_url};

/// Starts a proxy in front of LocalStack, and returns the settings to use it.
async fn proxied() -> (HttpProxy, SdkConfig) {
    let proxy = HttpProxy::start(localstack_url()).await;
    let config = aws::localstack().await;
    let retries = config.retry_config().unwrap().clone().with_initial_backoff(Duration::from_millis(1));
    let config = config.into_builder().endpoint_url(proxy.endpoint()).retry_config(retries).build();
    (proxy, config)
}

#[tokio::test]
async fn publish_throttled_by_sns_is_retried() {
    let (proxy, config) = proxied().await;
    let topic = SnsTopic::new(&config, aws::topic(&config).await);
    let alice = "alice@example.com".parse().unwrap();
    let (_, notice) = sample_notices(&alice).into_iter().next().unwrap();
    proxy.add_rule(Rule::on("Publish", Action::Answer(400, "Throttling")).times(2));
    topic.publish(&notice).await.unwrap();
    assert_eq!((proxy.count("Publish"), proxy.injected()), (3, 2));
    proxy.add_rule(Rule::on("Publish", Action::Answer(400, "Throttling")).always());
    let error = topic.publish(&notice).await.unwrap_err();
    let words = error_chain(&error);
    assert!(words.contains("Throttling"), "{words}");
}

#[tokio::test]
async fn send_to_an_unavailable_queue_is_retried() {
    let (proxy, config) = proxied().await;
    let queue = SqsQueue::new(&config, aws::queue(&config).await);
    proxy.add_rule(Rule::on("SendMessage", Action::Answer(503, "ServiceUnavailable")));
    proxy.add_rule(Rule::on("SendMessage", Action::Reset));
    queue.send("{}").await.unwrap();
    assert_eq!((proxy.count("SendMessage"), proxy.injected()), (3, 2));
}

#[tokio::test]
async fn http_proxy_names_requests_and_reports_each_step() {
    let (proxy, config) = proxied().await;
    let bucket = aws::bucket(&config).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let watching = Arc::clone(&seen);
    proxy.watch(move |request, moment| watching.lock().unwrap().push((request.number, moment)));
    let client = aws::s3(&config);
    client.put_object().bucket(&bucket).key("a/注文.csv").body(vec![b'a'].into()).send().await.unwrap();
    client.head_object().bucket(&bucket).key("a/注文.csv").send().await.unwrap();
    assert_eq!(aws::object(&config, &bucket, "a/注文.csv").await.unwrap(), b"a");
    assert_eq!(aws::keys(&config, &bucket).await, ["a/注文.csv"]);
    assert_eq!(aws::open_uploads(&config, &bucket).await, 0);
    client.delete_object().bucket(&bucket).key("a/注文.csv").send().await.unwrap();
    let operations: Vec<_> = proxy.requests().into_iter().map(|request| request.operation).collect();
    let objects =
        ["PutObject", "HeadObject", "GetObject", "ListObjectsV2", "ListMultipartUploads", "DeleteObject"];
    assert_eq!(operations[1..], objects);
    let steps = (2..8).flat_map(|number| [(number, Moment::Received), (number, Moment::Executed)]);
    assert_eq!(*seen.lock().unwrap(), steps.collect::<Vec<_>>());
    assert_eq!(proxy.injected(), 0);
}

#[tokio::test]
async fn http_proxy_rule_applies_only_to_matching_requests() {
    let (proxy, config) = proxied().await;
    let config = config.into_builder().retry_config(RetryConfig::disabled()).build();
    let bucket = aws::bucket(&config).await;
    let client = aws::s3(&config);
    proxy.add_rule(Rule::on("PutObject", Action::Answer(500, "InternalError")).starting_at(2).times(2));
    let mut worked = Vec::new();
    for key in ["a", "b", "c", "d"] {
        worked.push(client.put_object().bucket(&bucket).key(key).send().await.is_ok());
        client.head_object().bucket(&bucket).key("a").send().await.unwrap();
    }
    assert_eq!(worked, [true, false, false, true]);
    // A request that was executed without an answer has its effect; one that was not executed has
    // none.
    proxy.add_rule(Rule::on("PutObject", Action::LoseAnswer));
    client.put_object().bucket(&bucket).key("e").send().await.unwrap_err();
    assert_eq!(aws::keys(&config, &bucket).await, ["a", "d", "e"]);
}

#[tokio::test]
async fn mysql_proxy_breaks_a_connection_at_the_given_byte() {
    let database = TestDatabase::create().await;
    let proxy = MySqlProxy::start(&database.url).await;
    let url = proxy.url(&database.url);
    let read = async || {
        let mut sink = CsvSink::new();
        let source = MySqlSource::new(Database::<SecretLogin>::at_url(&url).unwrap());
        source.read(&query("SELECT 1 AS a"), &mut sink).await.map(|_| sink.text())
    };
    let broken = async || {
        let error = read().await.unwrap_err();
        assert!(matches!(error, SourceError::Disconnected(_)), "{error:?}");
    };
    assert_eq!(read().await.unwrap(), "a\n1\n");
    for (connection, how) in [(2, Break::Close), (3, Break::Reset)] {
        proxy.break_off(connection, 100, how);
        broken().await;
        assert_eq!((proxy.answered()[connection - 1], proxy.injected() as usize), (100, connection - 1));
    }
    proxy.go_down();
    broken().await;
    proxy.recover();
    assert_eq!(read().await.unwrap(), "a\n1\n");
}

#[tokio::test]
async fn mysql_proxy_connection_silenced_and_recovered_loses_no_byte() {
    let database = TestDatabase::create().await;
    let proxy = MySqlProxy::start(&database.url).await;
    let url = proxy.url(&database.url);
    let source = MySqlSource::new(Database::<SecretLogin>::at_url(&url).unwrap());
    proxy.fall_silent_after(1, 500);
    let mut sink = CsvSink::new();
    let query = query("SELECT 1 AS a");
    let recovering = async {
        eventually("the place is reached", async || (proxy.injected() == 1).then_some(())).await;
        assert_eq!(proxy.answered(), [500]);
        proxy.recover();
    };
    let (read, ()) = tokio::join!(source.read(&query, &mut sink), recovering);
    read.unwrap();
    assert_eq!(sink.text(), "a\n1\n");
}

/// The watcher sees each statement before it is passed on, and before its answer is.
#[tokio::test]
async fn mysql_proxy_numbers_statements_and_reports_each_step() {
    let database = TestDatabase::create().await;
    let proxy = MySqlProxy::start(&database.url).await;
    let url = format!("{}?ssl-mode=disabled", proxy.url(&database.url));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let watching = Arc::clone(&seen);
    proxy.watch_statements(move |number, moment| watching.lock().unwrap().push((number, moment)));
    let source = MySqlSource::new(Database::<SecretLogin>::at_url(&url).unwrap());
    source.read(&query("SELECT 1 AS a"), &mut CsvSink::new()).await.unwrap();
    let seen = seen.lock().unwrap();
    let numbers =
        |wanted: Moment| seen.iter().filter(move |(_, moment)| *moment == wanted).map(|(number, _)| *number);
    assert!(numbers(Moment::Received).eq(1..=proxy.statements()), "{seen:?}");
    // Not every statement has an answer: the client expects none when it disconnects.
    let mut carried_out = numbers(Moment::Executed).peekable();
    assert!(carried_out.peek() == Some(&1) && carried_out.is_sorted(), "{seen:?}");
    assert!(numbers(Moment::Executed).count() > 5, "{seen:?}");
    for (place, step) in seen.iter().enumerate().filter(|(_, (_, moment))| *moment == Moment::Executed) {
        assert_eq!(seen[place - 1], (step.0, Moment::Received), "{seen:?}");
    }
}
