//! Tests documents that are too long for an item: they lie in S3, and none is left that no item names.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use downpipe_core::job::{Checkpoint, Key, NewJob, StoredPart};
use downpipe_core::ledger::{Claim, Ledger};
use downpipe_tests::dynamodb::{LedgerTable, PREFIX};
use downpipe_tests::faults::http_proxy::{Action, HttpProxy, Moment, Rule};
use downpipe_tests::{STACK, aws};

use super::{granted, new_job};

const LEASE: Duration = Duration::from_secs(600);

/// A checkpoint after so many parts.
fn checkpoint(parts: u32) -> Checkpoint {
    let part = |number| StoredPart {
        number,
        etag: format!("\"{:032x}\"", fastrand::u128(..)),
        checksum: Some("AAAAAAAAAAA=".to_owned()),
    };
    Checkpoint {
        upload: Some("an upload".to_owned()),
        object_key: "files/orders.csv".to_owned(),
        attempt: 1,
        parts: (1..=parts).map(part).collect(),
        key: Key::Integer(i64::from(parts)),
        rows: u64::from(parts) * 1000,
        rows_in_file: u64::from(parts) * 1000,
        bytes: u64::from(parts) * 8_388_608,
        sha256: "ab".repeat(52),
        crc64nvme: u64::MAX,
        files: Vec::new(),
        changes: Vec::new(),
        columns: vec!["番号".to_owned()],
        definition_sha256: "cd".repeat(32),
        session: downpipe_core::job::Session::default(),
        as_of: "2026-01-02T03:04:05.123456Z".parse().unwrap(),
        seconds: 899,
    }
}

/// Lists the objects in the ledger's folder.
async fn objects(table: &LedgerTable) -> Vec<String> {
    aws::keys(&table.config, &table.ledger.bucket).await
}

/// S3 takes no more than 10,000 parts. Their checkpoint has more than a megabyte, and an item at most 400 KB.
#[tokio::test]
async fn checkpoint_of_ten_thousand_parts_is_kept_and_resumed_from() {
    let table = LedgerTable::new().await;
    let ledger = Ledger::new(table.adapter());
    let job = new_job("large", Some("a"));
    ledger.accept(&job).await.unwrap();
    let lease = granted(&ledger, &job.id, LEASE).await;
    let (first, second) = (checkpoint(9_999), checkpoint(10_000));
    ledger.checkpoint(&lease, &first).await.unwrap();
    let [before] = objects(&table).await.try_into().unwrap();
    assert!(before.starts_with(&format!("{PREFIX}/_ledger/{}/", job.id)), "{before}");
    ledger.advance(&lease, 10_000_001, 1).await.unwrap();
    assert_eq!(objects(&table).await, std::slice::from_ref(&before), "a heartbeat stores nothing anew");
    ledger.checkpoint(&lease, &second).await.unwrap();
    let [after] = objects(&table).await.try_into().unwrap();
    assert_ne!(after, before, "the checkpoint before is deleted");
    ledger.pause(&lease, &second).await.unwrap();
    let items = table.items().await;
    let largest = items.iter().map(|item| format!("{item:?}").len()).max().unwrap();
    assert!(largest < 16_384, "{largest}");

    // Another process resumes.
    let other = Ledger::new(table.adapter());
    let Claim::Granted(lease, claimed) = other.claim(&job.id, "other", LEASE).await.unwrap() else {
        panic!("a waiting job is granted")
    };
    assert_eq!(claimed.checkpoint.as_ref(), Some(&second), "field for field");
    assert_eq!(claimed.rows, second.rows);
    assert_eq!(other.latest(1).await.unwrap()[0].checkpoint.as_ref(), Some(&second));
    other.cancel(&job.id).await.unwrap();
    other.cancelled(&lease).await.unwrap();
    assert_eq!(objects(&table).await.len(), 1, "it says what is to be removed");
    other.cleared(&job.id).await.unwrap();
    assert_eq!(objects(&table).await, [] as [String; 0], "what was removed is forgotten");
}

#[tokio::test]
async fn documents_of_a_deleted_job_are_deleted_with_it() {
    let table = LedgerTable::new().await;
    let ledger = Ledger::new(table.adapter());
    // As long as a message may be.
    let message = format!(r#"{{"export":"{}"}}"#, "x".repeat(60_000));
    let job = NewJob { message: message.clone(), ..new_job("long message", None) };
    ledger.accept(&job).await.unwrap();
    ledger.accept(&job).await.unwrap();
    assert_eq!(objects(&table).await.len(), 1, "what the second request stored is deleted");
    assert_eq!(ledger.find(&job.id).await.unwrap().unwrap().message, message);
    ledger.cancel(&job.id).await.unwrap();
    let notice = ledger.claim_notification(&job.id).await.unwrap().unwrap();
    ledger.notified(notice).await.unwrap();
    assert!(ledger.forget(&job.id, Duration::ZERO).await.unwrap());
    assert_eq!(objects(&table).await, [] as [String; 0]);
    assert_eq!(table.items().await.len(), 0);
}

/// The write that stores a long checkpoint takes place and loses its answer. Before it is sent again, another write follows.
#[tokio::test]
async fn document_of_a_write_that_is_lost_and_overtaken_stays() {
    let table = LedgerTable::new().await;
    let proxy = HttpProxy::start(&STACK.aws_endpoint_url).await;
    let ledger = Ledger::new(table.adapter_at(&proxy.endpoint()).await);
    let job = new_job("overtaken", None);
    ledger.accept(&job).await.unwrap();
    let lease = granted(&ledger, &job.id, LEASE).await;
    proxy.add_rule(Rule::on("UpdateItem", Action::LoseAnswer));
    let overtaken = Arc::new(AtomicBool::new(false));
    {
        let (table, id, overtaken) = (table.clone(), job.id.clone(), Arc::clone(&overtaken));
        proxy.watch(move |proxied, moment| {
            let is_write = proxied.operation == "UpdateItem" && moment == Moment::Executed;
            if is_write && !overtaken.swap(true, Ordering::Relaxed) {
                let (table, id) = (table.clone(), id.clone());
                let touch = async move { Ledger::new(table.adapter()).touch(&id).await.unwrap() };
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                std::thread::spawn(move || runtime.block_on(touch)).join().unwrap();
            }
        });
    }
    let long = checkpoint(1_000);
    ledger.checkpoint(&lease, &long).await.unwrap();
    assert!(overtaken.load(Ordering::Relaxed) && proxy.injected() == 1);
    let found = Ledger::new(table.adapter()).find(&job.id).await.unwrap().unwrap();
    assert_eq!(found.checkpoint.as_ref(), Some(&long));
    assert_eq!(objects(&table).await.len(), 1);
}

/// One worker replaces the checkpoint that another has just read the name of.
#[tokio::test]
async fn document_replaced_while_it_is_read_is_read_anew() {
    let table = LedgerTable::new().await;
    let ledger = Ledger::new(table.adapter());
    let job = new_job("busy", None);
    ledger.accept(&job).await.unwrap();
    let lease = granted(&ledger, &job.id, LEASE).await;
    ledger.checkpoint(&lease, &checkpoint(1_000)).await.unwrap();
    let writes = async {
        for parts in 1_001..1_020 {
            ledger.checkpoint(&lease, &checkpoint(parts)).await.unwrap();
        }
    };
    let reads = async {
        let reader = Ledger::new(table.adapter());
        for _ in 0..40 {
            let read = reader.find(&job.id).await.unwrap().unwrap().checkpoint.unwrap();
            assert_eq!(read.rows, read.parts.len() as u64 * 1000);
        }
    };
    tokio::join!(writes, reads);
    assert_eq!(objects(&table).await.len(), 1);
}
