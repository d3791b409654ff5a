//! Estimates from jobs of the past.

use downpipe_app::estimate::{Estimate, Spread, estimate};
use downpipe_core::catalog::{Catalog, DefinitionFile};
use downpipe_core::job::Job;
use downpipe_core::ledger::Ledger;
use downpipe_core::message::Message;
use downpipe_core::request::ExportRequest;
use downpipe_core::testing::MemoryJobTable;
use serde_json::json;

const ORDERS: &str = r#"title = "Orders"
sql = "SELECT id FROM orders WHERE day >= :from AND day < :to AND (:status IS NULL OR status = :status)"
params = { from = { type = "date" }, to = { type = "date" }, status = { type = "string", required = false } }
"#;

fn catalog() -> Catalog {
    Catalog::parse(&[DefinitionFile { file: "orders.toml".to_owned(), text: ORDERS.to_owned() }]).unwrap()
}

/// A job that took `rows` rows of 100 bytes for these days, each 1,000 rows a second.
async fn past(from: &str, to: &str, status: Option<&str>, rows: u64) -> Job {
    let table = MemoryJobTable::new();
    let body = json!({ "export": "orders", "params": { "from": from, "to": to } }).to_string();
    let new = downpipe_core::job::NewJob::of(&Message::parse(&body), "m-1", &body).unwrap();
    let ledger = Ledger::new(table);
    ledger.accept(&new).await.unwrap();
    let mut job = ledger.find(&new.id).await.unwrap().unwrap();
    job.started_at = Some(job.created_at);
    job.finished_at = Some(job.created_at + std::time::Duration::from_millis(rows));
    job.receipt = serde_json::from_value(json!({
        "job_id": job.id, "attempt": 1, "export": "orders", "title": "Orders", "definition_sha256": "00",
        "params": { "from": from, "to": to, "status": status }, "requested_by": "alice@example.com",
        "as_of": "2026-01-02T03:04:05Z", "completed_at": "2026-01-02T03:04:06Z", "expires_at": "2026-01-09T03:04:06Z",
        "format": "csv", "profile": "plain", "compression": "none", "columns": ["id"], "rows": rows,
        "bytes": rows * 100, "files": [], "changes": {}, "continued": false,
    }))
    .unwrap();
    job
}

fn estimated(history: &[Job], params: &serde_json::Value, format: &str) -> Option<Estimate> {
    let catalog = catalog();
    let body = json!({ "export": "orders", "params": params, "format": format }).to_string();
    let Ok(Message::Export(message)) = Message::parse(&body) else { panic!("{body}") };
    estimate(&ExportRequest::accept(&message, &catalog).unwrap(), history)
}

#[tokio::test]
async fn request_of_a_range_is_estimated_by_its_days() {
    let history = [
        past("2026-01-01", "2026-01-11", None, 10_000).await,
        past("2026-02-01", "2026-02-21", None, 22_000).await,
        past("2026-03-01", "2026-03-02", None, 900).await,
    ];
    let month = json!({ "from": "2026-04-01", "to": "2026-05-01" });
    let expected = Estimate {
        rows: Spread { low: 27_000, likely: 30_000, high: 33_000 },
        bytes: Some(Spread { low: 3_000_000, likely: 3_000_000, high: 3_000_000 }),
        seconds: Some(Spread { low: 30, likely: 30, high: 30 }),
        jobs: 3,
    };
    assert_eq!(estimated(&history, &month, "csv"), Some(expected));
    assert_eq!(estimated(&history, &month, "xlsx"), Some(Estimate { bytes: None, ..expected }));
    assert_eq!(estimated(&[], &month, "csv"), None);
}

#[tokio::test]
async fn jobs_with_the_same_other_parameters_are_asked_before_others() {
    let mut history = Vec::new();
    for day in 1..=3 {
        let (from, to) = (format!("2026-01-0{day}"), format!("2026-01-0{}", day + 1));
        history.push(past(&from, &to, None, 1000).await);
        history.push(past(&from, &to, Some("open"), 10).await);
    }
    let open = json!({ "from": "2026-04-01", "to": "2026-04-03", "status": "open" });
    let estimate = estimated(&history, &open, "csv").unwrap();
    assert_eq!((estimate.rows, estimate.jobs), (Spread { low: 20, likely: 20, high: 20 }, 3));
    let closed = json!({ "from": "2026-04-01", "to": "2026-04-03", "status": "closed" });
    let estimate = estimated(&history, &closed, "csv").unwrap();
    assert_eq!((estimate.rows.low, estimate.rows.high, estimate.jobs), (20, 2000, 6));
}

#[tokio::test]
async fn job_without_rows_tells_no_bytes_and_no_time() {
    let history = [past("2026-01-01", "2026-01-11", None, 0).await];
    let day = json!({ "from": "2026-04-01", "to": "2026-04-02" });
    let estimate = estimated(&history, &day, "csv").unwrap();
    assert_eq!((estimate.rows.likely, estimate.bytes, estimate.seconds), (0, None, None));
}
