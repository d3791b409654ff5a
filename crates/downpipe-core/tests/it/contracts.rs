//! Tests that the fakes keep the contracts of the ports, and that their injected faults work.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use downpipe_core::job::{JobAttempt, JobState, NewJob, ObjectDigest};
use downpipe_core::ledger::{Claim, Ledger, LedgerError, NOTIFY_LEASE};
use downpipe_core::login::{Account, Credential, Freshness, Login, LoginSource as _};
use downpipe_core::notice::Notifier as _;
use downpipe_core::store::{NewObject, ObjectStore as _, Retention, StoreError};
use downpipe_core::testing::contracts::{
    Seen, ledger_contract, notifier_contract, rename_contract, resume_contract, shared_store_contract,
    store_refuses_wrong_checksums,
};
use downpipe_core::testing::{
    FixedLogin, MemoryJobTable, MemoryStore, RecordingNotifier, StoreFault, sample_notices,
};

use crate::samples::{job, job_id};

#[tokio::test]
async fn memory_ledger_keeps_the_ledger_contract() {
    ledger_contract(async || MemoryJobTable::new(), async |table, time| table.pass(time)).await;
}

#[tokio::test]
async fn memory_store_keeps_the_store_contracts() {
    let store = MemoryStore::new();
    shared_store_contract(&store, "contract", async |key| store.get(key)).await;
    store_refuses_wrong_checksums(&store, "checksums", async |key| store.get(key)).await;
    resume_contract(&store, "resume", async |key| store.get(key)).await;
    rename_contract(&store, "renamed", async |key| {
        let metadata = store.metadata(key)?.into_iter().map(|(name, value)| (name.to_owned(), value));
        let (body, file_name) = (store.get(key)?, store.file_name(key)?);
        Some(Seen { body, file_name, metadata: metadata.collect() })
    })
    .await;
    assert_eq!(store.orphaned_parts(), 0);
    assert_eq!(store.open_uploads(), 0);
}

#[tokio::test]
async fn memory_store_with_a_rename_fault_fails_at_that_rename() {
    let to = NewObject {
        key: "job/orders.csv".to_owned(),
        file_name: "orders.csv".to_owned(),
        content_type: "text/csv".to_owned(),
        token: JobAttempt { job: job_id(), attempt: 1 },
        retention: Retention::default(),
        metadata: BTreeMap::new(),
    };
    let from = to.staged(1);
    // An empty object has a checksum of 0.
    let nothing = ObjectDigest { bytes: 0, crc64nvme: 0 };
    for (fault, left) in [
        (StoreFault::Rename(2), vec![&from.key]),
        (StoreFault::RenameHalfway(2), vec![&from.key, &to.key]),
        (StoreFault::RenameAnswer(2), vec![&to.key]),
    ] {
        let store = MemoryStore::new().failing(fault);
        let other = NewObject { key: "job/other.csv".to_owned(), ..to.clone() };
        store.put(&from, Bytes::new(), nothing).await.unwrap();
        store.rename(&from, &other, nothing).await.unwrap();
        store.delete_job_objects(&other).await.unwrap();
        store.put(&from, Bytes::new(), nothing).await.unwrap();
        let failed = store.rename(&from, &to, nothing).await;
        assert!(matches!(failed, Err(StoreError::Unavailable { .. })), "{fault:?}: {failed:?}");
        assert_eq!(store.keys().iter().collect::<Vec<_>>(), left, "{fault:?}");
        store.rename(&from, &to, nothing).await.unwrap();
        assert_eq!(store.keys(), [to.key.as_str()], "{fault:?}");
    }
}

fn new_job() -> NewJob {
    let job = job(JobState::Queued);
    NewJob {
        id: job.id,
        requested_by: job.requested_by,
        export: job.export,
        request_id: job.request_id,
        message_id: job.message_id,
        message: job.message,
        fingerprint: None,
        shared_fingerprint: None,
        reuse: None,
        language: None,
        via: job.via,
        app: None,
        definition_sha256: None,
        expected_rows: None,
    }
}

#[tokio::test]
async fn memory_ledger_claim_of_a_held_job_says_how_long_it_is_busy() {
    let ledger = Ledger::new(MemoryJobTable::new());
    ledger.accept(&new_job()).await.unwrap();
    ledger.claim(&job_id(), "one", Duration::from_secs(60)).await.unwrap();
    ledger.table().pass(Duration::from_secs(15));
    let claim = ledger.claim(&job_id(), "two", Duration::from_secs(60)).await.unwrap();
    let Claim::Busy(job, left) = claim else { panic!("{claim:?}") };
    assert_eq!(left, Duration::from_secs(45));
    assert_eq!(
        (job.created_at, job.started_at),
        (MemoryJobTable::BEGINNING, Some(MemoryJobTable::BEGINNING))
    );
    ledger.table().pass(left);
    let claim = ledger.claim(&job_id(), "two", Duration::from_secs(60)).await.unwrap();
    assert!(matches!(claim, Claim::Granted(lease, _) if lease.attempt() == 2));
}

#[tokio::test]
async fn memory_ledger_notify_lease_expires() {
    let ledger = Ledger::new(MemoryJobTable::new());
    ledger.accept(&new_job()).await.unwrap();
    assert!(ledger.claim_notification(&job_id()).await.unwrap().is_some());
    ledger.table().pass(NOTIFY_LEASE - Duration::from_secs(1));
    assert!(ledger.claim_notification(&job_id()).await.unwrap().is_none());
    ledger.table().pass(Duration::from_secs(1));
    assert!(ledger.claim_notification(&job_id()).await.unwrap().is_some());
}

#[tokio::test]
async fn memory_ledger_with_fail_next_fails_once() {
    let ledger = Ledger::new(MemoryJobTable::new());
    ledger.table().fail_next(1);
    assert!(matches!(ledger.accept(&new_job()).await, Err(LedgerError::Unavailable(_))));
    assert_eq!(ledger.find(&job_id()).await.unwrap(), None, "a call that failed did nothing");
    ledger.accept(&new_job()).await.unwrap();
}

#[tokio::test]
async fn recording_notifier_with_failures_fails_first_and_then_records() {
    let requester = "alice@example.com".parse().unwrap();
    let (_, notice) = sample_notices(&requester).into_iter().next().unwrap();
    let notifier = RecordingNotifier::failing_first(1);
    assert!(notifier.publish(&notice).await.is_err());
    notifier.publish(&notice).await.unwrap();
    assert_eq!(notifier.published(), [notice]);
}

#[tokio::test]
async fn recording_notifier_keeps_the_contract() {
    let notifier = RecordingNotifier::new();
    notifier_contract(&notifier, &"alice@example.com".parse().unwrap()).await;
    assert_eq!(notifier.published().len(), 16);
}

#[tokio::test]
async fn debug_output_of_a_login_hides_account_and_password() {
    let login = Login {
        account: Account { host: "db".to_owned(), port: 3306, username: "reader".to_owned(), database: None },
        credential: Credential::Password("secret".to_owned()),
    };
    let source = FixedLogin::new(login.clone());
    assert_eq!(source.login(Freshness::Any).await.unwrap(), login);
    assert_eq!(source.login(Freshness::Refetched).await.unwrap(), login);
    assert_eq!(source.refetched(), 1);
    insta::assert_snapshot!(format!("{login:?}"), @r#"Login { account: Account { host: "db", port: 3306, .. }, credential: Password }"#);
}
