//! Notices: who may notify the requester, and for how long.

use super::{LONG, accept, find, granted, worked};
use crate::ledger::{JobTable, Ledger, NotifyLease};
use crate::testing::contracts::samples::{failure, job_id, receipt};

pub(super) async fn requester_is_notified_once<T: JobTable>(ledger: &Ledger<T>) {
    let right = failed(ledger, "notified").await;
    assert_eq!(*right.job(), find(ledger, "notified").await, "the job is shown as it ended");
    assert_eq!(claim(ledger, "notified").await, None, "no other worker may notify at the same time");
    worked(ledger.notified(right).await, "recording the notification");
    assert!(find(ledger, "notified").await.notified_at.is_some(), "the notification is recorded");
    assert_eq!(claim(ledger, "notified").await, None, "a requester is notified once");
    assert_eq!(claim(ledger, "unknown").await, None, "a job that does not exist has no requester");
}

pub(super) async fn notify_lease_released_is_granted_again<T: JobTable>(ledger: &Ledger<T>) {
    let right = failed(ledger, "released").await;
    worked(ledger.release_notification(right).await, "releasing a notify lease");
    let job = find(ledger, "released").await;
    assert_eq!(job.notified_at, None, "a notify lease that was released notified no one");
    let again = claim(ledger, "released").await;
    assert!(again.is_some(), "a notify lease that was released is granted at once");
}

pub(super) async fn job_made_ready_is_its_workers_to_notify<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "ready").await;
    let lease = granted(ledger, "ready", LONG).await;
    let right = ledger.ready(&lease, &receipt(lease.job(), 1)).await;
    let right = worked(right, "making ready under a lease");
    assert_eq!(*right.job(), find(ledger, "ready").await, "a ready job is returned as it is");
    assert_eq!(claim(ledger, "ready").await, None, "no other worker may notify at the same time");
    worked(ledger.touch(lease.job()).await, "touching");
    worked(ledger.notified(right).await, "recording the notification of an entry that another has written");
    assert!(find(ledger, "ready").await.notified_at.is_some(), "the notification is recorded");
}

async fn failed<T: JobTable>(ledger: &Ledger<T>, name: &str) -> NotifyLease {
    accept(ledger, name).await;
    let lease = granted(ledger, name, LONG).await;
    worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    let right = claim(ledger, name).await;
    right.unwrap_or_else(|| panic!("the first worker that asks may notify the requester: {name}"))
}

async fn claim<T: JobTable>(ledger: &Ledger<T>, name: &str) -> Option<NotifyLease> {
    worked(ledger.claim_notification(&job_id(name)).await, "claiming the notification")
}
