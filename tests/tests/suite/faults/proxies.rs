//! The proxies do what they are told to, and nothing else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use downpipe_aws::{SecretLogin, SnsTopic, SqsQueue};
use downpipe_core::failure::chain;
use downpipe_core::job::JobState;
use downpipe_core::notice::{Notice, Notifier as _};
use downpipe_core::queue::Queue as _;
use downpipe_core::source::{RowSource as _, SourceError};
use downpipe_mysql::{Database, MySqlSource};
use downpipe_tests::database::TestDatabase;
use downpipe_tests::faults::http_proxy::{Act, HttpProxy, Moment, Rule};
use downpipe_tests::faults::mysql_proxy::{Break, MySqlProxy};
use downpipe_tests::rows::{CsvSink, query};
use downpipe_tests::{STACK, aws, eventually};

/// LocalStack's settings, by way of a proxy.
async fn proxied() -> (HttpProxy, SdkConfig) {
    let proxy = HttpProxy::before(&STACK.localstack_endpoint_url).await;
    let config = aws::localstack().await;
    let retries = config.retry_config().unwrap().clone().with_initial_backoff(Duration::from_millis(1));
    let config = config.into_builder().endpoint_url(proxy.endpoint()).retry_config(retries).build();
    (proxy, config)
}

#[tokio::test]
async fn a_throttled_topic_is_asked_again() {
    let (proxy, config) = proxied().await;
    let topic = SnsTopic::new(&config, aws::topic(&config).await);
    let notice = Notice {
        recipient: "alice@example.com".to_owned(),
        export: "orders".to_owned(),
        status: JobState::Ready,
        job_id: "0123456789abcdef01234567".to_owned(),
        subject: "Export orders is ready".to_owned(),
        body: "It is ready.\n".to_owned(),
    };
    proxy.tell(Rule::on("Publish", Act::Answer(400, "Throttling")).times(2));
    topic.publish(&notice).await.unwrap();
    assert_eq!((proxy.count("Publish"), proxy.injected()), (3, 2));
    proxy.tell(Rule::on("Publish", Act::Answer(400, "Throttling")).always());
    let error = topic.publish(&notice).await.unwrap_err();
    let words = chain(&error);
    assert!(words.contains("Throttling"), "{words}");
}

#[tokio::test]
async fn a_queue_that_is_away_for_a_moment_is_asked_again() {
    let (proxy, config) = proxied().await;
    let queue = SqsQueue::new(&config, aws::queue(&config).await);
    proxy.tell(Rule::on("SendMessage", Act::Answer(503, "ServiceUnavailable")));
    proxy.tell(Rule::on("SendMessage", Act::Reset));
    queue.send("{}").await.unwrap();
    assert_eq!((proxy.count("SendMessage"), proxy.injected()), (3, 2));
}

#[tokio::test]
async fn requests_are_known_by_their_names_and_seen_at_every_step() {
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
    let passed: Vec<_> = proxy.passed().into_iter().map(|passing| passing.operation).collect();
    let objects =
        ["PutObject", "HeadObject", "GetObject", "ListObjectsV2", "ListMultipartUploads", "DeleteObject"];
    assert_eq!(passed[1..], objects);
    let steps = (2..8).flat_map(|number| [(number, Moment::Came), (number, Moment::CarriedOut)]);
    assert_eq!(*seen.lock().unwrap(), steps.collect::<Vec<_>>());
    assert_eq!(proxy.injected(), 0);
}

#[tokio::test]
async fn a_rule_is_for_the_requests_that_it_names() {
    let (proxy, config) = proxied().await;
    let config = config.into_builder().retry_config(RetryConfig::disabled()).build();
    let bucket = aws::bucket(&config).await;
    let client = aws::s3(&config);
    proxy.tell(Rule::on("PutObject", Act::Answer(500, "InternalError")).from_the(2).times(2));
    let mut worked = Vec::new();
    for key in ["a", "b", "c", "d"] {
        worked.push(client.put_object().bucket(&bucket).key(key).send().await.is_ok());
        client.head_object().bucket(&bucket).key("a").send().await.unwrap();
    }
    assert_eq!(worked, [true, false, false, true]);
    // What was carried out and not answered is there; what was not carried out is not.
    proxy.tell(Rule::on("PutObject", Act::LoseAnswer));
    client.put_object().bucket(&bucket).key("e").send().await.unwrap_err();
    assert_eq!(aws::keys(&config, &bucket).await, ["a", "d", "e"]);
}

#[tokio::test]
async fn a_connection_breaks_where_it_was_told_to() {
    let database = TestDatabase::create().await;
    let proxy = MySqlProxy::before(&database.url).await;
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
async fn a_connection_that_was_silent_goes_on_where_it_was() {
    let database = TestDatabase::create().await;
    let proxy = MySqlProxy::before(&database.url).await;
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

/// Every statement is numbered, and seen before it is passed on and before its answer is.
#[tokio::test]
async fn statements_are_seen_at_every_step() {
    let database = TestDatabase::create().await;
    let proxy = MySqlProxy::before(&database.url).await;
    let url = format!("{}?ssl-mode=disabled", proxy.url(&database.url));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let watching = Arc::clone(&seen);
    proxy.watch_statements(move |number, moment| watching.lock().unwrap().push((number, moment)));
    let source = MySqlSource::new(Database::<SecretLogin>::at_url(&url).unwrap());
    source.read(&query("SELECT 1 AS a"), &mut CsvSink::new()).await.unwrap();
    let seen = seen.lock().unwrap();
    let numbers =
        |wanted: Moment| seen.iter().filter(move |(_, moment)| *moment == wanted).map(|(number, _)| *number);
    assert!(numbers(Moment::Came).eq(1..=proxy.statements()), "{seen:?}");
    // Not all have an answer: who takes leave expects none.
    let mut carried_out = numbers(Moment::CarriedOut).peekable();
    assert!(carried_out.peek() == Some(&1) && carried_out.is_sorted(), "{seen:?}");
    assert!(numbers(Moment::CarriedOut).count() > 5, "{seen:?}");
    for (place, step) in seen.iter().enumerate().filter(|(_, (_, moment))| *moment == Moment::CarriedOut) {
        assert_eq!(seen[place - 1], (step.0, Moment::Came), "{seen:?}");
    }
}
