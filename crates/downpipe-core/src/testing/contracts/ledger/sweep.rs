//! What the sweep asks for: stale jobs, and jobs past a retention.

use std::time::Duration;

use super::{FAR_OFF, LONG, LONG_AGO, accept, find, granted, notify, worked};
use crate::job::{JobId, JobState, NewJob, Receipt};
use crate::ledger::{Claim, JobTable, Ledger, StaleFilter};
use crate::testing::contracts::samples::{checkpoint, failure, job_id, new_job, receipt};

pub(super) async fn file_past_its_retention_expires<T: JobTable>(ledger: &Ledger<T>) {
    for name in ["kept", "old", "failed"] {
        accept(ledger, name).await;
    }
    for (name, expires_at) in [("kept", FAR_OFF), ("old", LONG_AGO)] {
        let lease = granted(ledger, name, LONG).await;
        let proof = Receipt { expires_at, ..receipt(lease.job(), 1) };
        worked(ledger.ready(&lease, &proof).await, "making ready under a lease");
    }
    let lease = granted(ledger, "failed", LONG).await;
    worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    assert_eq!(
        stale(ledger, StaleFilter::PastRetention).await,
        [job_id("old")],
        "a file past its retention is stale"
    );
    for name in ["old", "failed"] {
        worked(ledger.expire(&job_id(name)).await, "expiring");
    }
    assert_eq!(find(ledger, "old").await.state, JobState::Expired, "a ready job expires");
    assert_eq!(
        find(ledger, "failed").await.state,
        JobState::Failed,
        "a failed job has no file that could expire"
    );
    assert_eq!(stale(ledger, StaleFilter::PastRetention).await, [], "a job that expired is not stale");
}

pub(super) async fn job_left_alone_is_stale<T: JobTable>(
    ledger: &Ledger<T>,
    pass: &impl AsyncFn(&T, Duration),
) {
    // Longer than a busy machine takes from a write to the next look.
    let brief = Duration::from_secs(2);
    for name in ["queued", "touched", "running", "unnotified", "notified", "left"] {
        accept(ledger, name).await;
    }
    granted(ledger, "running", brief).await;
    for name in ["unnotified", "notified", "left"] {
        let lease = granted(ledger, name, LONG).await;
        if name == "left" {
            worked(ledger.checkpoint(&lease, &checkpoint(10)).await, "a checkpoint under a lease");
        }
        worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    }
    for name in ["notified", "left"] {
        notify(ledger, name).await;
    }
    // A busy machine may have taken longer than a brief time so far.
    for kind in [
        StaleFilter::Unnotified(LONG),
        StaleFilter::LeaseExpired(LONG),
        StaleFilter::Idle(LONG),
        StaleFilter::PastRetention,
    ] {
        assert_eq!(stale(ledger, kind).await, [], "no job is stale at once: {kind:?}");
    }
    pass(ledger.table(), brief * 2).await;
    let untold = stale(ledger, StaleFilter::Unnotified(brief)).await;
    assert_eq!(
        untold,
        [job_id("unnotified"), job_id("left")],
        "jobs without a notice, or with something to remove, are stale"
    );
    assert_eq!(
        stale(ledger, StaleFilter::LeaseExpired(brief)).await,
        [job_id("running")],
        "a lease that ran out is stale"
    );
    worked(ledger.touch(&job_id("touched")).await, "touching");
    assert_eq!(stale(ledger, StaleFilter::Idle(brief)).await, [job_id("queued")], "an idle job is stale");
    assert_eq!(
        stale(ledger, StaleFilter::LeaseExpired(LONG)).await,
        [],
        "a lease that ran out a moment ago is not stale"
    );
    worked(ledger.claim_notification(&job_id("unnotified")).await, "claiming the notification");
    pass(ledger.table(), brief * 2).await;
    assert_eq!(
        stale(ledger, StaleFilter::Unnotified(brief)).await,
        [job_id("left")],
        "a job whose requester is being notified is not stale"
    );
    assert_eq!(
        worked(ledger.stale_jobs(StaleFilter::Idle(brief), 1).await, "looking").len(),
        1,
        "no more than asked"
    );
}

pub(super) async fn job_past_the_ledgers_retention_is_deleted_with_its_aliases<T: JobTable>(
    ledger: &Ledger<T>,
    pass: &impl AsyncFn(&T, Duration),
) {
    let brief = Duration::from_millis(200);
    let kind = StaleFilter::PastLedgerRetention(brief);
    let of = |name: &str| NewJob { fingerprint: Some("d".repeat(64)), ..new_job(name) };
    worked(ledger.accept(&of("failed")).await, "accepting");
    worked(ledger.accept(&of("failed again")).await, "accepting the same request");
    for name in ["queued", "running", "ready", "expired", "unnotified", "left", "cancelled"] {
        accept(ledger, name).await;
    }
    for name in ["running", "ready", "expired", "failed", "unnotified", "left"] {
        let lease = granted(ledger, name, LONG).await;
        if name == "left" {
            worked(ledger.checkpoint(&lease, &checkpoint(10)).await, "a checkpoint under a lease");
        }
        match name {
            "running" => {}
            "ready" | "expired" => {
                let right = ledger.ready(&lease, &receipt(lease.job(), 1)).await;
                let right = worked(right, "making ready under a lease");
                worked(ledger.notified(right).await, "recording the notification");
            }
            _ => {
                worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
            }
        }
    }
    worked(ledger.cancel(&job_id("cancelled")).await, "cancelling");
    for name in ["failed", "left", "cancelled"] {
        notify(ledger, name).await;
    }
    worked(ledger.expire(&job_id("expired")).await, "expiring");
    assert!(!worked(ledger.forget(&job_id("failed"), LONG).await, "forgetting"), "it is not deleted before");
    pass(ledger.table(), brief * 2).await;
    let mut over = stale(ledger, kind).await;
    over.sort();
    let mut expected = ["failed", "cancelled", "expired"].map(job_id);
    expected.sort();
    assert_eq!(over, expected, "only a job with nothing left to do is past its retention");
    assert_eq!(
        stale(ledger, StaleFilter::PastLedgerRetention(LONG)).await,
        [],
        "the retention is the caller's"
    );
    for name in ["queued", "running", "ready", "unnotified", "left"] {
        let forgotten = worked(ledger.forget(&job_id(name), brief).await, "forgetting");
        assert!(!forgotten, "a job with something left to do is not deleted: {name}");
        find(ledger, name).await;
    }
    for id in expected {
        assert!(worked(ledger.forget(&id, brief).await, "forgetting"), "a job that is over is deleted");
        assert!(!worked(ledger.forget(&id, brief).await, "forgetting"), "it is deleted once");
        assert_eq!(worked(ledger.find(&id).await, "finding"), None, "a job that was deleted is not found");
    }
    let other = job_id("failed again");
    assert_eq!(worked(ledger.find(&other).await, "finding"), None, "its aliases are deleted with it");
    let claim = worked(ledger.claim(&other, "worker", LONG).await, "claiming");
    assert_eq!(claim, Claim::Unknown, "a late message for a job that was deleted finds none");
    assert_eq!(worked(ledger.accept(&of("failed again")).await, "accepting"), other, "the id is free again");
}

async fn stale<T: JobTable>(ledger: &Ledger<T>, filter: StaleFilter) -> Vec<JobId> {
    worked(ledger.stale_jobs(filter, 100).await, "listing stale jobs").into_iter().map(|job| job.id).collect()
}
