//! Leases: granted once, renewed, run out, and refused.

use std::time::Duration;

use super::{CLOCK_RESOLUTION, LONG, SHORT, accept, find, granted, lost, worked};
use crate::job::{JobAttempt, JobState};
use crate::ledger::{Claim, JobTable, Lease, LeaseStatus, Ledger};
use crate::testing::contracts::samples::{checkpoint, failure, job_id};

pub(super) async fn lease_is_granted_once<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "once").await;
    let claim = worked(ledger.claim(&job_id("once"), "worker", LONG).await, "claiming");
    let Claim::Granted(lease, job) = claim else { panic!("a queued job is granted, got {claim:?}") };
    assert_eq!(
        lease,
        Lease::forged(JobAttempt { job: job_id("once"), attempt: 1 }, LONG),
        "the first lease is attempt 1, for as long as was asked"
    );
    assert_eq!(
        (job.state, job.attempt),
        (JobState::Running, 1),
        "a granted job is running, with the lease's attempt"
    );
    assert!(job.started_at.is_some(), "a granted job has begun");
    let claim = worked(ledger.claim(&job_id("once"), "another", LONG).await, "claiming");
    let Claim::Busy(job, left) = claim else { panic!("a job under a lease is busy, got {claim:?}") };
    assert_eq!((job.state, job.attempt), (JobState::Running, 1), "a busy job is shown as it is");
    assert!(
        left > Duration::ZERO && left <= LONG + CLOCK_RESOLUTION,
        "the time until a lease runs out is within its duration: {left:?}"
    );
}

pub(super) async fn progress_is_recorded<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "progress").await;
    let lease = granted(ledger, "progress", LONG).await;
    worked(ledger.advance(&lease, 10, u64::from(u32::MAX) + 1).await, "advancing under a lease");
    let job = find(ledger, "progress").await;
    assert_eq!(
        (job.rows, job.bytes),
        (10, u64::from(u32::MAX) + 1),
        "rows and bytes are remembered while it runs"
    );
    worked(ledger.advance(&lease, 10, u64::from(u32::MAX) + 1).await, "advancing again with nothing new");
    worked(ledger.release(&lease, &failure("storage")).await, "releasing under a lease");
    granted(ledger, "progress", LONG).await;
    let job = find(ledger, "progress").await;
    assert_eq!((job.rows, job.bytes), (0, 0), "a new attempt begins at no rows");
}

pub(super) async fn write_without_a_lease_is_refused<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "guess").await;
    let guess = |attempt| Lease::forged(JobAttempt { job: job_id("guess"), attempt }, LONG);
    lost(ledger, &guess(1), "nothing is written to a job that was never claimed").await;
    lost(ledger, &guess(0), "nothing is written to a job that was never claimed").await;
    granted(ledger, "guess", LONG).await;
    lost(ledger, &guess(2), "nothing is written under an attempt that was never granted").await;
    let unknown = Lease::forged(JobAttempt { job: job_id("unknown"), attempt: 1 }, LONG);
    lost(ledger, &unknown, "nothing is written to a job that does not exist").await;
}

pub(super) async fn lease_that_ran_out_is_granted_anew<T: JobTable>(
    ledger: &Ledger<T>,
    pass: &impl AsyncFn(&T, Duration),
) {
    let brief = Duration::from_millis(200);
    accept(ledger, "lapsed").await;
    let first = granted(ledger, "lapsed", brief).await;
    worked(ledger.advance(&first, 5, 50).await, "advancing under a lease");
    pass(ledger.table(), brief * 2).await;
    worked(
        ledger.advance(&first, 6, 60).await,
        "a lease that ran out is renewed while no other worker has taken it",
    );
    pass(ledger.table(), brief * 2).await;
    let second = granted(ledger, "lapsed", LONG).await;
    assert_eq!(second.attempt(), 2, "a lease that has run out is granted anew, as the next attempt");
    lost(ledger, &first, "a worker presumed dead writes nothing when it wakes").await;
    let job = find(ledger, "lapsed").await;
    assert_eq!((job.state, job.rows), (JobState::Running, 0), "a worker presumed dead changes nothing");
    worked(ledger.advance(&second, 1, 1).await, "the newer attempt keeps its lease");
}

pub(super) async fn progress_renews_the_lease<T: JobTable>(
    ledger: &Ledger<T>,
    pass: &impl AsyncFn(&T, Duration),
) {
    accept(ledger, "renewed").await;
    let lease = granted(ledger, "renewed", SHORT).await;
    pass(ledger.table(), SHORT * 2 / 3).await;
    worked(ledger.advance(&lease, 1, 1).await, "advancing under a lease");
    pass(ledger.table(), SHORT * 2 / 3).await;
    let claim = worked(ledger.claim(lease.job(), "another", LONG).await, "claiming");
    assert!(
        matches!(claim, Claim::Busy(..)),
        "progress renews the lease for its whole duration, got {claim:?}"
    );
}

pub(super) async fn write_under_a_lease_returns_the_job_as_it_is<T: JobTable>(ledger: &Ledger<T>) {
    for name in ["advanced", "checkpointed", "paused", "released", "handed over", "failed", "cancelled"] {
        accept(ledger, name).await;
        let lease = granted(ledger, name, LONG).await;
        let written = match name {
            "advanced" => ledger.advance(&lease, 3, 30).await,
            "checkpointed" => ledger.checkpoint(&lease, &checkpoint(10)).await,
            "paused" => ledger.pause(&lease, &checkpoint(10)).await,
            "released" => ledger.release(&lease, &failure("storage")).await,
            "handed over" => ledger.hand_over(&lease).await,
            "failed" => ledger.fail(&lease, &failure("query_failed")).await,
            _ => ledger.cancelled(&lease).await,
        };
        assert_eq!(
            worked(written, name),
            find(ledger, name).await,
            "a write returns the job as it is: {name}"
        );
    }
    accept(ledger, "known").await;
    let lease = granted(ledger, "known", LONG).await;
    worked(ledger.checkpoint(&lease, &checkpoint(10)).await, "a checkpoint under a lease");
    let known = worked(ledger.job_under(&lease).await, "asking for the job under a lease");
    assert_eq!(known, find(ledger, "known").await, "the holder of a lease knows the job");
}

pub(super) async fn write_overtaken_by_another_keeps_both<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "overtaken").await;
    let lease = granted(ledger, "overtaken", LONG).await;
    worked(ledger.cancel(lease.job()).await, "cancelling");
    worked(ledger.touch(lease.job()).await, "touching");
    let job = worked(ledger.advance(&lease, 4, 40).await, "advancing an entry that another has written");
    assert_eq!((job.rows, job), (4, find(ledger, "overtaken").await), "the later write is there");
    let status = worked(ledger.lease_status(&lease).await, "asking for the lease's status");
    assert_eq!(status, LeaseStatus::CancelRequested, "and so is the earlier one");
}
