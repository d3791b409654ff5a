//! The log: each line names its job, and none says anything private.
//!
//! Every test of this program checks that, because each delivery ends with a check of its lines.

use std::cell::RefCell;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use downpipe_app::logging;
use downpipe_core::testing::{MemoryJobTable, RecordingNotifier};
use serde_json::Value;

use crate::parts::{Scripts, disconnected, query_failed};
use crate::test_worker::{ORDERS, TestWorker, delivery};

/// Nothing of the messages, the rows and the errors of these tests may be in a line. Every address has an `@`.
const PRIVATE: [&str; 6] = ["@", "Trondheim", "region", "a-click", "Hemmelighet", "SELECT"];

thread_local! {
    /// What was logged on this thread, on which one test runs.
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct ThisThread;

impl Write for ThisThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs as the worker does, everything of our own, and to this thread.
pub(crate) fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = logging::subscriber(Some("warn,downpipe=trace,handle=trace"), || ThisThread);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

fn lines() -> Vec<Value> {
    let text = LINES.with_borrow(|lines| String::from_utf8(lines.clone()).unwrap());
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

pub(crate) fn assert_each_line_names_its_job_and_nothing_private() {
    // A test, or a person's command, that looks into the cache itself does so for no job.
    let has_no_job = |line: &Value| line["message"] == "the cache was used" && line["span"].is_null();
    for line in lines().into_iter().filter(|line| !has_no_job(line)) {
        let job = line["span"]["job_id"].as_str().unwrap_or_default();
        assert!(job.len() == 24, "a line without its job: {line}");
        for private in PRIVATE {
            assert!(!line.to_string().contains(private), "{private} in the log: {line}");
        }
    }
}

/// Level, message and its fields, without what differs from run to run.
fn summary() -> String {
    let brief = |mut line: Value| {
        let fields = line.as_object_mut().unwrap();
        let [level, message] = ["level", "message"].map(|name| fields.remove(name).unwrap_or_default());
        fields.retain(|name, _| !["timestamp", "target", "span"].contains(&name.as_str()));
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        format!("{}: {}{}", level.as_str().unwrap(), message.as_str().unwrap(), fields.concat())
    };
    lines().into_iter().map(brief).collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn job_that_succeeds_logs_three_lines() {
    let worker = TestWorker::new(Scripts::good());
    worker.deliver("m-1", ORDERS).await;
    insta::assert_snapshot!(summary(), @r#"
    INFO: the job is running attempt=1 export="orders"
    INFO: the job is ready bytes=25 rows=2
    INFO: the requester is notified status="ready"
    "#);
}

#[tokio::test(start_paused = true)]
async fn fault_of_each_kind_logs_its_line() {
    let scripts = Scripts::failing(1, disconnected);
    let worker = TestWorker::of(MemoryJobTable::new(), scripts, RecordingNotifier::failing_first(1));
    worker.worker.ledger.table().fail_next(1);
    for receive in 1..=5 {
        worker.handle(&delivery("m-1", ORDERS, receive)).await;
    }
    worker.deliver("m-2", r#"{"continue":"0123456789abcdef01234567"}"#).await;
    worker.deliver("m-3", r#"{"export":"alice@example.com"}"#).await;
    insta::assert_snapshot!(summary(), @r#"
    ERROR: the ledger could not record the job error="the ledger could not be reached: the ledger was told to fail"
    INFO: the job is running attempt=1 export="orders"
    WARN: the attempt failed; there will be another attempt=1 code="database_unavailable"
    INFO: the job is running attempt=2 export="orders"
    INFO: the job is ready bytes=25 rows=2
    ERROR: the requester could not be notified error="the notice could not be published: the notifier was told to fail"
    INFO: the requester is notified status="ready"
    INFO: the requester is notified already
    WARN: a message asks to continue a job that does not exist
    ERROR: the job has failed attempt=1 code="rejected"
    INFO: the requester is notified status="failed"
    "#);
}

#[tokio::test(start_paused = true)]
async fn database_error_that_quotes_data_is_not_logged() {
    let worker = TestWorker::new(Scripts::failing(1, query_failed));
    worker.deliver("m-1", ORDERS).await;
    assert!(worker.job().await.failure.unwrap().detail.unwrap().contains("Hemmelighet"));
    insta::assert_snapshot!(summary(), @r#"
    INFO: the job is running attempt=1 export="orders"
    ERROR: the job has failed attempt=1 code="query_failed"
    INFO: the requester is notified status="failed"
    "#);
}

#[test]
fn panic_is_logged_with_place_and_job_and_without_its_message() {
    capture();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(logging::report_panic));
    let text = format!("{}é", "Hemmelighet");
    let span = tracing::info_span!(target: "downpipe_app", "job", job_id = "0123456789abcdef01234567");
    let panicked = span.in_scope(|| catch_unwind(AssertUnwindSafe(|| text[..text.len() - 1].len())));
    std::panic::set_hook(usual);
    let words = panicked.unwrap_err();
    assert!(words.downcast_ref::<String>().unwrap().contains("Hemmelighet"), "or this test proves nothing");
    assert_each_line_names_its_job_and_nothing_private();
    let line = lines().pop().unwrap();
    assert_eq!((&line["level"], &line["message"]), (&"ERROR".into(), &"panicked".into()));
    assert!(line["place"].as_str().unwrap().contains("logs.rs:"), "{line}");
}

/// An operator who looks for a fault sets it to anything.
#[test]
fn rust_log_opens_no_library_below_warn() {
    for (levels, ours) in
        [("trace", true), ("downpipe=trace,sqlx=trace,aws_config=debug", true), ("off", false)]
    {
        let subscriber = logging::subscriber(Some(levels), || ThisThread);
        LINES.with_borrow_mut(Vec::clear);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "sqlx::query", "SELECT 'Hemmelighet'");
            tracing::debug!(target: "aws_config", "Hemmelighet");
            tracing::trace!(target: "hyper::proto", "Hemmelighet");
            tracing::info!(target: "lambda_runtime", "Hemmelighet");
            tracing::warn!(target: "rustls", "not verified");
            tracing::trace!(target: "downpipe_app::handle", "a detail");
            tracing::trace!(target: "bootstrap", "another");
        });
        let said = LINES.with_borrow(|lines| String::from_utf8(lines.clone()).unwrap());
        assert!(!said.contains("Hemmelighet"), "{levels}: {said}");
        assert_eq!(said.contains("a detail") && said.contains("downpipe_app"), ours, "{levels}: {said}");
        assert_eq!(said.contains("not verified"), levels == "trace", "{levels}: {said}");
        LINES.with_borrow_mut(Vec::clear);
    }
}
