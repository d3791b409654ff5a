//! Attempts: what one leaves to the next, and how they are counted.

use super::{LONG, accept, find, granted, lost, worked};
use crate::job::JobState;
use crate::ledger::{Claim, JobTable, Ledger, LedgerError};
use crate::testing::contracts::samples::{checkpoint, failure, receipt};

pub(super) async fn job_released_is_claimed_again_at_once<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "released").await;
    let first = granted(ledger, "released", LONG).await;
    let started_at = find(ledger, "released").await.started_at;
    worked(ledger.release(&first, &failure("storage")).await, "releasing under a lease");
    let job = find(ledger, "released").await;
    assert_eq!(job.state, JobState::Queued, "a released job is queued");
    assert_eq!(job.failure, Some(failure("storage")), "a released job remembers why its last attempt failed");
    assert_eq!(job.finished_at, None, "a released job has not ended");
    lost(ledger, &first, "the lease of a released job is over").await;
    let second = granted(ledger, "released", LONG).await;
    assert_eq!(second.attempt(), 2, "every lease raises the attempt by one");
    let job = find(ledger, "released").await;
    assert_eq!(job.started_at, started_at, "a job was begun when its first attempt was");
    lost(ledger, &first, "an older attempt cannot write while a newer one works").await;
}

pub(super) async fn checkpoint_is_where_the_next_attempt_resumes<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "checkpoint").await;
    let first = granted(ledger, "checkpoint", LONG).await;
    worked(ledger.checkpoint(&first, &checkpoint(10)).await, "a checkpoint under a lease");
    let job = find(ledger, "checkpoint").await;
    assert_eq!((job.rows, job.bytes), (10, checkpoint(10).bytes), "a checkpoint records progress as well");
    worked(ledger.advance(&first, 15, 150).await, "advancing beyond a checkpoint");
    worked(ledger.release(&first, &failure("storage")).await, "releasing under a lease");
    let claim = worked(ledger.claim(first.job(), "worker", LONG).await, "claiming");
    let Claim::Granted(second, job) = claim else { panic!("a released job is granted, got {claim:?}") };
    assert_eq!(job.checkpoint, Some(checkpoint(10)), "the next attempt has the checkpoint, field for field");
    assert_eq!(job.rows, 10, "the next attempt begins with the rows of the checkpoint");
    let late = ledger.checkpoint(&first, &checkpoint(20)).await;
    assert!(
        matches!(late, Err(LedgerError::LeaseLost { .. })),
        "a fenced attempt leaves no checkpoint: {late:?}"
    );
    worked(ledger.ready(&second, &receipt(second.job(), 2)).await, "making ready under a lease");
    assert_eq!(find(ledger, "checkpoint").await.checkpoint, None, "a ready job has no checkpoint");
}

pub(super) async fn job_paused_is_claimed_by_the_next_run<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "paused").await;
    let first = granted(ledger, "paused", LONG).await;
    worked(ledger.pause(&first, &checkpoint(10)).await, "pausing under a lease");
    let job = find(ledger, "paused").await;
    assert_eq!((job.state, job.resume_count, job.rows), (JobState::Waiting, 1, 10), "a paused job waits");
    lost(ledger, &first, "the lease of a paused job is over").await;
    let claim = worked(ledger.claim(first.job(), "worker", LONG).await, "claiming");
    let Claim::Granted(second, job) = claim else {
        panic!("a waiting job is granted at once, got {claim:?}")
    };
    assert_eq!(
        (second.attempt(), job.attempts_since_progress),
        (2, 1),
        "the next run is another attempt, the first since progress"
    );
    assert_eq!(job.checkpoint, Some(checkpoint(10)), "the next run has the checkpoint");
    assert_eq!(job.owner_message_id.as_deref(), Some("worker"), "a running job knows its owner's message");
}

pub(super) async fn progress_renews_the_attempts<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "tries").await;
    for (rows, expected) in [(0, 1), (0, 2), (10, 1), (10, 2), (20, 1)] {
        let lease = granted(ledger, "tries", LONG).await;
        if rows > 0 {
            worked(ledger.checkpoint(&lease, &checkpoint(rows)).await, "a checkpoint under a lease");
        }
        let rule = "attempts are counted from the last checkpoint with more rows than the one before";
        assert_eq!(find(ledger, "tries").await.attempts_since_progress, expected, "{rule}");
        worked(ledger.release(&lease, &failure("storage")).await, "releasing under a lease");
    }
    assert_eq!(find(ledger, "tries").await.attempt, 5, "attempts are counted whatever comes of them");
}

pub(super) async fn job_handed_over_counts_no_attempt<T: JobTable>(ledger: &Ledger<T>) {
    accept(ledger, "handed over").await;
    let first = granted(ledger, "handed over", LONG).await;
    worked(ledger.checkpoint(&first, &checkpoint(10)).await, "a checkpoint under a lease");
    worked(ledger.release(&first, &failure("storage")).await, "releasing under a lease");
    let second = granted(ledger, "handed over", LONG).await;
    worked(ledger.hand_over(&second).await, "handing over under a lease");
    let job = find(ledger, "handed over").await;
    assert_eq!(
        (job.state, job.attempts_since_progress),
        (JobState::Queued, 1),
        "a job that is handed over is queued, without another attempt since progress"
    );
    assert_eq!(job.owner_message_id, None, "a job that is handed over has no owner");
    lost(ledger, &second, "the lease of a job that was handed over is over").await;
    let claim = worked(ledger.claim(second.job(), "worker", LONG).await, "claiming");
    let Claim::Granted(third, job) = claim else {
        panic!("a job that was handed over is granted, got {claim:?}")
    };
    assert_eq!(
        (third.attempt(), job.attempts_since_progress),
        (3, 2),
        "the next lease has the next number, and counts"
    );
    assert_eq!(job.checkpoint, Some(checkpoint(10)), "a job that is handed over keeps its checkpoint");
}
