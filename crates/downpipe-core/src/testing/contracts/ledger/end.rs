//! The end of a job: ready, failed, cancelled.

use super::{LONG, accept, find, granted, lost, worked};
use crate::job::{JobAttempt, JobState};
use crate::ledger::{CancelOutcome, Claim, JobTable, Lease, LeaseStatus, Ledger};
use crate::testing::contracts::samples::{checkpoint, failure, job_id, receipt};

pub(super) async fn job_ready_has_ended<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "ready").await;
    let lease = granted(ledger, "ready", LONG).await;
    worked(ledger.release(&lease, &failure("storage")).await, "releasing under a lease");
    let lease = granted(ledger, "ready", LONG).await;
    let proof = receipt(lease.job(), lease.attempt());
    worked(ledger.ready(&lease, &proof).await, "making ready under a lease");
    let claim = worked(ledger.claim(lease.job(), "another", LONG).await, "claiming");
    let Claim::Ended(job) = claim else { panic!("a ready job has ended, got {claim:?}") };
    assert_eq!(job.state, JobState::Ready, "a ready job is ready");
    assert_eq!(job.receipt.as_ref(), Some(&proof), "a ready job has its receipt, field for field");
    assert_eq!(
        (job.rows, job.bytes),
        (proof.rows, proof.bytes),
        "a ready job has its receipt's rows and bytes"
    );
    assert_eq!(job.failure, None, "a ready job does not speak of attempts that failed before");
    assert!(job.finished_at.is_some(), "a ready job has ended at some time");
    lost(ledger, &lease, "the lease of a ready job is over").await;
    assert_eq!(find(ledger, "ready").await, *job, "nothing changes a ready job");
}

pub(super) async fn job_failed_has_ended<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "failed").await;
    let lease = granted(ledger, "failed", LONG).await;
    worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    let claim = worked(ledger.claim(lease.job(), "another", LONG).await, "claiming");
    let Claim::Ended(job) = claim else { panic!("a failed job has ended, got {claim:?}") };
    assert_eq!(job.state, JobState::Failed, "a failed job has failed");
    assert_eq!(job.failure, Some(failure("query_failed")), "a failed job has its failure, field for field");
    assert_eq!(job.receipt, None, "a failed job has no receipt");
    assert!(job.finished_at.is_some(), "a failed job has ended at some time");
    lost(ledger, &lease, "the lease of a failed job is over").await;
    assert_eq!(find(ledger, "failed").await, *job, "nothing changes a failed job");
}

pub(super) async fn job_without_a_worker_is_cancelled_at_once<T: JobTable>(ledger: &Ledger<T>) {
    let unknown = worked(ledger.cancel(&job_id("unknown")).await, "cancelling");
    assert_eq!(unknown, CancelOutcome::Unknown, "a job that was never accepted is unknown");
    accept(ledger, "queued").await;
    accept(ledger, "waiting").await;
    let lease = granted(ledger, "waiting", LONG).await;
    worked(ledger.pause(&lease, &checkpoint(10)).await, "pausing under a lease");
    for name in ["queued", "waiting"] {
        let cancelled = worked(ledger.cancel(&job_id(name)).await, "cancelling");
        let CancelOutcome::Done(job) = cancelled else {
            panic!("no worker has it: {name}, got {cancelled:?}")
        };
        assert_eq!(job.state, JobState::Cancelled, "a cancelled job is cancelled");
        assert!(find(ledger, name).await.finished_at.is_some(), "a cancelled job has ended at some time");
        let claim = worked(ledger.claim(&job_id(name), "worker", LONG).await, "claiming");
        assert!(matches!(claim, Claim::Ended(_)), "a cancelled job has ended, got {claim:?}");
        let again = worked(ledger.cancel(&job_id(name)).await, "cancelling");
        assert!(
            matches!(again, CancelOutcome::Ended(_)),
            "a job that has ended cannot be cancelled, got {again:?}"
        );
    }
}

pub(super) async fn worker_sees_that_cancellation_is_requested<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "wanted").await;
    let lease = granted(ledger, "wanted", LONG).await;
    assert_eq!(
        worked(ledger.lease_status(&lease).await, "asking for the lease's status"),
        LeaseStatus::Held,
        "a lease that was granted is held"
    );
    let cancel = worked(ledger.cancel(lease.job()).await, "cancelling");
    assert_eq!(cancel, CancelOutcome::Requested, "a running job is stopped by its worker");
    assert_eq!(find(ledger, "wanted").await.state, JobState::Running, "it runs until its worker stops");
    assert_eq!(
        worked(ledger.lease_status(&lease).await, "asking for the lease's status"),
        LeaseStatus::CancelRequested,
        "its worker sees the request"
    );
    worked(ledger.advance(&lease, 1, 1).await, "a request to cancel leaves the lease with its worker");
    worked(ledger.cancelled(&lease).await, "cancelling under a lease");
    assert_eq!(
        find(ledger, "wanted").await.state,
        JobState::Cancelled,
        "a worker that stops has cancelled it"
    );
    assert_eq!(
        worked(ledger.lease_status(&lease).await, "asking for the lease's status"),
        LeaseStatus::Lost,
        "then the lease is over"
    );
    lost(ledger, &lease, "the lease of a cancelled job is over").await;
    let unknown = Lease::forged(JobAttempt { job: job_id("unknown"), attempt: 1 }, LONG);
    assert_eq!(
        worked(ledger.lease_status(&unknown).await, "asking for the lease's status"),
        LeaseStatus::Lost,
        "no worker holds a job that does not exist"
    );
}

pub(super) async fn checkpoint_of_an_ended_job_stays_until_cleared<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "left").await;
    let lease = granted(ledger, "left", LONG).await;
    worked(ledger.checkpoint(&lease, &checkpoint(10)).await, "a checkpoint under a lease");
    worked(ledger.cleared(lease.job()).await, "clearing");
    assert!(find(ledger, "left").await.checkpoint.is_some(), "a job that has not ended keeps its checkpoint");
    worked(ledger.fail(&lease, &failure("timed_out")).await, "failing under a lease");
    assert!(find(ledger, "left").await.checkpoint.is_some(), "a failed job says what is to be removed");
    worked(ledger.cleared(lease.job()).await, "clearing");
    assert_eq!(find(ledger, "left").await.checkpoint, None, "what was removed is forgotten");
}
