//! Accepting jobs: the same request, delivered or asked for again.

use std::time::Duration;

use super::{FAR_OFF, LONG, accept, find, granted, worked};
use crate::job::{Job, JobState, NewJob, Receipt};
use crate::ledger::{Claim, JobQueries, JobTable, Ledger};
use crate::testing::contracts::samples::{failure, job_id, new_job, receipt, requester};

pub(super) async fn job_accepted_twice_changes_nothing<T: JobTable>(ledger: &Ledger<T>) {
    let job = new_job("twice");
    accept(ledger, "twice").await;
    let before = find(ledger, "twice").await;
    let lease = granted(ledger, "twice", LONG).await;
    let mut other = job.clone();
    other.requested_by = requester("bob@example.com");
    other.message_id = "another message".to_owned();
    worked(ledger.accept(&other).await, "a job that is known may be accepted again");
    let after = find(ledger, "twice").await;
    assert_eq!(after.state, JobState::Running, "accepting a known job changes nothing, not its state");
    assert_eq!(
        after.requested_by, before.requested_by,
        "accepting a known job changes nothing, not its requester"
    );
    assert_eq!(after.message_id, before.message_id, "accepting a known job changes nothing, not its message");
    assert_eq!(after.created_at, before.created_at, "accepting a known job changes nothing, not its age");
    worked(ledger.advance(&lease, 1, 1).await, "accepting a known job changes nothing, not its lease");
}

pub(super) async fn job_accepted_is_found_as_it_was<T: JobTable>(ledger: &Ledger<T>) {
    let new = new_job("found");
    accept(ledger, "found").await;
    let job = find(ledger, "found").await;
    assert_eq!(
        (&job.id, &job.requested_by, &job.export, &job.request_id, &job.message_id, &job.message),
        (&new.id, &new.requested_by, &new.export, &new.request_id, &new.message_id, &new.message),
        "a job is found as it was accepted"
    );
    assert_eq!(
        (job.state, job.attempt),
        (JobState::Queued, 0),
        "an accepted job is queued and has no attempt"
    );
    assert_eq!((job.rows, job.bytes), (0, 0), "an accepted job has no rows");
    assert!(
        job.failure.is_none() && job.receipt.is_none(),
        "an accepted job has neither failure nor receipt"
    );
    assert_eq!(
        (job.started_at, job.finished_at, job.notified_at),
        (None, None, None),
        "an accepted job has not begun, not ended, and its requester is not notified"
    );
}

pub(super) async fn job_never_accepted_is_unknown<T: JobTable>(ledger: &Ledger<T>) {
    let id = job_id("unknown");
    let claim = worked(ledger.claim(&id, "worker", LONG).await, "claiming");
    assert_eq!(claim, Claim::Unknown, "a job that was never accepted is unknown");
    assert_eq!(worked(ledger.find(&id).await, "finding"), None, "a job that was never accepted is not found");
}

pub(super) async fn request_repeated_before_the_end_is_the_same_job<T: JobTable + JobQueries>(
    ledger: &Ledger<T>,
) {
    let of =
        |name: &str, fingerprint: &str| NewJob { fingerprint: Some(fingerprint.repeat(64)), ..new_job(name) };
    let first = worked(ledger.accept(&of("click", "a")).await, "accepting");
    assert_eq!(first, job_id("click"), "the first is itself");
    let second = worked(ledger.accept(&of("double click", "a")).await, "accepting");
    assert_eq!(second, first, "the same request while the first has not ended is the first");
    let other = worked(ledger.accept(&of("another", "b")).await, "accepting");
    assert_eq!(other, job_id("another"), "another request is another job");
    assert_eq!(find(ledger, "double click").await.id, first, "a job is found by an alias");
    assert_eq!(worked(ledger.latest(10).await, "listing").len(), 2, "an alias is no job");
    let claim = worked(ledger.claim(&job_id("double click"), "worker", LONG).await, "claiming");
    let Claim::Granted(lease, _) = claim else { panic!("a job is claimed by an alias, got {claim:?}") };
    assert_eq!(*lease.job(), first, "a lease is on the job, also when claimed by an alias");
    worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    let again = worked(ledger.accept(&of("double click", "a")).await, "accepting");
    assert_eq!(again, first, "an alias stays one after the end");
    let third = worked(ledger.accept(&of("later", "a")).await, "accepting");
    assert_eq!(third, job_id("later"), "when it has ended, the same request is a job of its own");
}

pub(super) async fn request_after_a_cancellation_is_a_job_of_its_own<T: JobTable>(ledger: &Ledger<T>) {
    let of = |name: &str| NewJob { fingerprint: Some("f".repeat(64)), ..new_job(name) };
    worked(ledger.accept(&of("first")).await, "accepting");
    let claim = worked(ledger.claim(&job_id("first"), "worker", LONG).await, "claiming");
    let Claim::Granted(lease, _) = claim else { panic!("a queued job is claimed, got {claim:?}") };
    worked(ledger.cancel(&job_id("first")).await, "cancelling");
    let second = worked(ledger.accept(&of("second")).await, "accepting");
    assert_eq!(
        second,
        job_id("second"),
        "while the cancelled job's worker stops, the same request is another job"
    );
    worked(ledger.advance(&lease, 1, 1).await, "renewing a lease after a cancellation was requested");
    worked(ledger.cancelled(&lease).await, "ending a cancelled job");
    let third = worked(ledger.accept(&of("third")).await, "accepting");
    assert_eq!(third, second, "the second job is the one that has not ended");
}

pub(super) async fn file_fresh_enough_is_reused<T: JobTable>(
    ledger: &Ledger<T>,
    pass: &impl AsyncFn(&T, Duration),
) {
    let brief = Duration::from_millis(200);
    let of = |name: &str, reuse| NewJob { fingerprint: Some("c".repeat(64)), reuse, ..new_job(name) };
    worked(ledger.accept(&of("made", Some(LONG))).await, "accepting");
    let lease = granted(ledger, "made", LONG).await;
    let proof = Receipt { expires_at: FAR_OFF, ..receipt(lease.job(), 1) };
    worked(ledger.ready(&lease, &proof).await, "making ready under a lease");
    pass(ledger.table(), brief * 2).await;
    let claim = take(ledger, &of("soon", Some(LONG))).await;
    let Claim::Ended(job) = claim else { panic!("a fresh file is reused at once, got {claim:?}") };
    assert_eq!(job.id, job_id("soon"), "a request after the end is a job of its own");
    assert_eq!(find(ledger, "soon").await, *job, "a job that reuses a file is returned as it is");
    assert_eq!(
        (job.state, job.receipt.as_ref()),
        (JobState::Ready, Some(&proof)),
        "with the file that is there"
    );
    assert_eq!(
        (job.attempt, job.notified_at),
        (0, None),
        "it has no attempt, and its requester is not notified yet"
    );
    let reusable = worked(ledger.reusable_receipt(&of("late", Some(brief))).await, "looking for a file");
    assert_eq!(reusable, None, "a file is as old as its making, and not as its last reuse");
    let reusable = worked(ledger.reusable_receipt(&of("fresh", None)).await, "looking for a file");
    assert_eq!(reusable, None, "without reuse the work is done anew");
    let other = NewJob { fingerprint: Some("9".repeat(64)), ..of("other", Some(LONG)) };
    let reusable = worked(ledger.reusable_receipt(&other).await, "looking for a file");
    assert_eq!(reusable, None, "another request has no such file");
}

pub(super) async fn job_accepted_and_claimed_is_granted_as_by_two_calls<T: JobTable>(ledger: &Ledger<T>) {
    let claim = take(ledger, &new_job("new")).await;
    let Claim::Granted(lease, job) = claim else { panic!("a new job is granted at once, got {claim:?}") };
    assert_eq!((lease.job(), lease.attempt()), (&job_id("new"), 1), "the first lease is attempt 1");
    assert_eq!(find(ledger, "new").await, *job, "a granted job is returned as it is");
    accept(ledger, "apart").await;
    granted(ledger, "apart", LONG).await;
    let shape = |job: Job| {
        let started_at_once = job.started_at.is_some_and(|at| at >= job.created_at);
        (job.state, job.attempt, job.attempts_since_progress, job.owner_message_id, started_at_once)
    };
    let (at_once, apart) = (find(ledger, "new").await, find(ledger, "apart").await);
    assert_eq!(shape(at_once), shape(apart), "one write does what two do");
    worked(ledger.advance(&lease, 1, 10).await, "a lease granted at once is good");
    let claim = take(ledger, &new_job("new")).await;
    assert!(matches!(claim, Claim::Busy(..)), "a job that is known is claimed as it is, got {claim:?}");
    worked(ledger.release(&lease, &failure("storage")).await, "releasing under a lease");
    let claim = take(ledger, &new_job("new")).await;
    let Claim::Granted(second, _) = claim else { panic!("a released job is granted, got {claim:?}") };
    assert_eq!(second.attempt(), 2, "a job that is known goes on counting");
}

pub(super) async fn request_accepted_and_claimed_again_is_the_same_job<T: JobTable>(ledger: &Ledger<T>) {
    let of = |name: &str| NewJob { fingerprint: Some("e".repeat(64)), ..new_job(name) };
    let claim = take(ledger, &of("original")).await;
    let Claim::Granted(lease, _) = claim else { panic!("a new job is granted at once, got {claim:?}") };
    let claim = take(ledger, &of("alias")).await;
    let Claim::Busy(job, _) = claim else { panic!("an alias is of the job that runs, got {claim:?}") };
    assert_eq!(job.id, job_id("original"), "an alias leads to its job");
    worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    let claim = take(ledger, &of("alias")).await;
    let Claim::Ended(job) = claim else { panic!("an alias stays one after the end, got {claim:?}") };
    assert_eq!(job.id, job_id("original"), "an alias leads to its job after the end");
    let made = NewJob { reuse: Some(LONG), ..of("made") };
    let claim = take(ledger, &made).await;
    let Claim::Granted(lease, _) = claim else { panic!("a failed job has no file to reuse, got {claim:?}") };
    let proof = Receipt { expires_at: FAR_OFF, ..receipt(lease.job(), 1) };
    worked(ledger.ready(&lease, &proof).await, "making ready under a lease");
    let claim = take(ledger, &NewJob { id: job_id("reusing"), ..made }).await;
    let Claim::Ended(job) = claim else { panic!("a fresh file is reused at once, got {claim:?}") };
    assert_eq!((job.id.clone(), job.attempt), (job_id("reusing"), 0), "no worker has to work for it");
    assert_eq!(find(ledger, "reusing").await, *job, "a job that reuses a file is returned as it is");
}

/// Accepts and claims a job as a worker does.
pub(super) async fn take<T: JobTable>(ledger: &Ledger<T>, job: &NewJob) -> Claim {
    let reusable = worked(ledger.reusable_receipt(job).await, "looking for a file");
    let claim = ledger.accept_and_claim(job, reusable.as_ref(), "worker", LONG).await;
    worked(claim, "accepting and claiming")
}
