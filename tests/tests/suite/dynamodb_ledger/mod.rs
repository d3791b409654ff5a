//! Tests the ledger in DynamoDB: the contract of every ledger, and the rules of its own table.

mod accidents;
mod clock;
mod documents;
mod end_to_end;
mod replica;
mod shared;
mod table;

use std::time::Duration;

use downpipe_aws::DynamoJobTable;
use downpipe_core::job::{JobId, NewJob, Receipt};
use downpipe_core::ledger::{Claim, Lease, Ledger};
use downpipe_core::message::Message;
use downpipe_core::testing::contracts::ledger_contract;
use downpipe_tests::aws;
use downpipe_tests::dynamodb::LedgerTable;

/// The table's clock cannot be moved, so a test waits for a lease to expire.
async fn wait(time: Duration) {
    tokio::time::sleep(time + Duration::from_millis(100)).await;
}

/// Returns a job that differs from every other in `name`, and has this fingerprint.
fn new_job(name: &str, fingerprint: Option<&str>) -> NewJob {
    let body = format!(r#"{{"export":"orders","request_id":"{name}"}}"#);
    let job = NewJob::of(&Message::parse(&body), "message", &body).unwrap();
    NewJob { fingerprint: fingerprint.map(|letter| letter.repeat(64)), ..job }
}

/// Returns the receipt of a file that this job has made.
fn receipt(job_id: &str) -> Receipt {
    serde_json::from_value(serde_json::json!({
        "job_id": job_id, "attempt": 1, "export": "orders", "title": "Orders", "definition_sha256": "d".repeat(64), "params": {},
        "requested_by": "operator", "as_of": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:00Z",
        "expires_at": "9999-01-01T00:00:00Z", "format": "csv", "profile": "plain", "compression": "none",
        "columns": ["id"], "rows": 7, "bytes": 77, "changes": {}, "continued": false
    }))
    .unwrap()
}

/// Claims a job, which no other worker has.
async fn granted(ledger: &Ledger<DynamoJobTable>, id: &JobId, lease: Duration) -> Lease {
    match ledger.claim(id, "worker", lease).await.unwrap() {
        Claim::Granted(lease, _) => lease,
        other => panic!("{other:?}"),
    }
}

async fn keeps_the_ledger_contract(table: &LedgerTable) {
    let adapter = table.settled_adapter().await;
    ledger_contract(
        async || {
            table.clear().await;
            adapter.clone()
        },
        async |_, time| wait(time).await,
    )
    .await;
}

#[tokio::test]
async fn dynamodb_ledger_at_ministack_keeps_the_ledger_contract() {
    keeps_the_ledger_contract(&LedgerTable::new().await).await;
}

#[tokio::test]
async fn dynamodb_ledger_at_moto_keeps_the_ledger_contract() {
    keeps_the_ledger_contract(&LedgerTable::at(&aws::moto().await).await).await;
}
