//! The rules of every ledger.

use std::time::Duration;

use jiff::Timestamp;

use super::samples::{checkpoint, failure, job_id, new_job, receipt};
use crate::job::{Job, JobId, JobState, NewJob};
use crate::ledger::{Cancel, Claim, Due, Lease, Ledger, LedgerError, Watch};
use crate::receipt::Receipt;

/// A lease that does not run out while a rule is tried.
const LONG: Duration = Duration::from_secs(600);
/// A lease that is waited for.
const SHORT: Duration = Duration::from_secs(3);

/// Times that no ledger's clock is beyond.
const LONG_AGO: Timestamp = Timestamp::constant(1_577_836_800, 0);
const FAR_OFF: Timestamp = Timestamp::constant(32_503_680_000, 0);

/// Tries every rule, each on an empty ledger from `fresh`. `pass` lets at least this much time pass on the ledger's own
/// clock: it moves the clock of a fake and waits for a real one, some five seconds in all.
///
/// How long the right to tell a requester lasts is each ledger's own choice, so that it runs out is not tried here.
///
/// # Panics
/// When a rule is broken.
pub async fn ledger_contract<L: Ledger>(fresh: impl AsyncFn() -> L, pass: impl AsyncFn(&L, Duration)) {
    accepting_twice_changes_nothing(&fresh().await).await;
    jobs_are_found_as_they_were_accepted(&fresh().await).await;
    unknown_jobs_are_unknown(&fresh().await).await;
    a_lease_is_granted_once(&fresh().await).await;
    progress_is_remembered(&fresh().await).await;
    a_released_job_is_claimed_again_at_once(&fresh().await).await;
    a_ready_job_has_ended(&fresh().await).await;
    a_failed_job_has_ended(&fresh().await).await;
    nothing_is_written_without_a_lease(&fresh().await).await;
    the_requester_is_told_once(&fresh().await).await;
    the_right_to_tell_can_be_given_back(&fresh().await).await;
    the_latest_come_first(&fresh().await).await;
    a_checkpoint_is_where_the_next_attempt_goes_on(&fresh().await).await;
    a_pause_gives_the_job_to_the_next_run(&fresh().await).await;
    progress_gives_all_tries_again(&fresh().await).await;
    what_nobody_works_on_is_cancelled_at_once(&fresh().await).await;
    whoever_works_on_it_hears_of_a_wish_to_cancel(&fresh().await).await;
    what_was_left_is_known_until_it_is_cleared(&fresh().await).await;
    the_same_request_is_the_same_job_while_it_runs(&fresh().await).await;
    a_file_past_its_time_expires(&fresh().await).await;
    let ledger = fresh().await;
    a_fresh_file_is_used_again(&ledger, &pass).await;
    let ledger = fresh().await;
    what_nobody_does_is_due(&ledger, &pass).await;
    let ledger = fresh().await;
    a_lease_runs_out(&ledger, &pass).await;
    let ledger = fresh().await;
    progress_renews_a_lease(&ledger, &pass).await;
}

async fn accepting_twice_changes_nothing<L: Ledger>(ledger: &L) {
    let job = new_job("twice");
    accept(ledger, "twice").await;
    let before = find(ledger, "twice").await;
    let lease = granted(ledger, "twice", LONG).await;
    let mut other = job.clone();
    other.requested_by = "somebody else".to_owned();
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

async fn jobs_are_found_as_they_were_accepted<L: Ledger>(ledger: &L) {
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
        "an accepted job is queued and was never begun"
    );
    assert_eq!((job.rows, job.bytes), (0, 0), "an accepted job has no rows");
    assert!(
        job.failure.is_none() && job.receipt.is_none(),
        "an accepted job has neither failure nor receipt"
    );
    assert_eq!(
        (job.started_at, job.finished_at, job.notified_at),
        (None, None, None),
        "an accepted job has not begun, not ended and nobody was told"
    );
}

async fn unknown_jobs_are_unknown<L: Ledger>(ledger: &L) {
    let id = job_id("nobody");
    let claim = worked(ledger.claim(&id, "worker", LONG).await, "claiming");
    assert_eq!(claim, Claim::Unknown, "a job that was never accepted is unknown");
    assert_eq!(worked(ledger.find(&id).await, "finding"), None, "a job that was never accepted is not found");
}

async fn a_lease_is_granted_once<L: Ledger>(ledger: &L) {
    accept(ledger, "once").await;
    let claim = worked(ledger.claim(&job_id("once"), "worker", LONG).await, "claiming");
    let Claim::Granted(lease, job) = claim else { panic!("a queued job is granted, got {claim:?}") };
    assert_eq!(
        lease,
        Lease { job: job_id("once"), attempt: 1, duration: LONG },
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
        left > Duration::ZERO && left <= LONG,
        "the time until a lease runs out is within its duration: {left:?}"
    );
}

async fn progress_is_remembered<L: Ledger>(ledger: &L) {
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

async fn a_released_job_is_claimed_again_at_once<L: Ledger>(ledger: &L) {
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
    assert_eq!(second.attempt, 2, "every lease raises the attempt by one");
    let job = find(ledger, "released").await;
    assert_eq!(job.started_at, started_at, "a job was begun when its first attempt was");
    lost(ledger, &first, "an older attempt cannot write while a newer one works").await;
}

async fn a_ready_job_has_ended<L: Ledger>(ledger: &L) {
    accept(ledger, "ready").await;
    let lease = granted(ledger, "ready", LONG).await;
    worked(ledger.release(&lease, &failure("storage")).await, "releasing under a lease");
    let lease = granted(ledger, "ready", LONG).await;
    let proof = receipt(&lease.job, lease.attempt);
    worked(ledger.ready(&lease, &proof).await, "making ready under a lease");
    let claim = worked(ledger.claim(&lease.job, "another", LONG).await, "claiming");
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

async fn a_failed_job_has_ended<L: Ledger>(ledger: &L) {
    accept(ledger, "failed").await;
    let lease = granted(ledger, "failed", LONG).await;
    worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    let claim = worked(ledger.claim(&lease.job, "another", LONG).await, "claiming");
    let Claim::Ended(job) = claim else { panic!("a failed job has ended, got {claim:?}") };
    assert_eq!(job.state, JobState::Failed, "a failed job has failed");
    assert_eq!(job.failure, Some(failure("query_failed")), "a failed job has its failure, field for field");
    assert_eq!(job.receipt, None, "a failed job has no receipt");
    assert!(job.finished_at.is_some(), "a failed job has ended at some time");
    lost(ledger, &lease, "the lease of a failed job is over").await;
    assert_eq!(find(ledger, "failed").await, *job, "nothing changes a failed job");
}

async fn nothing_is_written_without_a_lease<L: Ledger>(ledger: &L) {
    accept(ledger, "guess").await;
    let guess = |attempt| Lease { job: job_id("guess"), attempt, duration: LONG };
    lost(ledger, &guess(1), "nothing is written to a job that nobody has claimed").await;
    lost(ledger, &guess(0), "nothing is written to a job that nobody has claimed").await;
    granted(ledger, "guess", LONG).await;
    lost(ledger, &guess(2), "nothing is written under an attempt that was never granted").await;
    let nobody = Lease { job: job_id("nobody"), attempt: 1, duration: LONG };
    lost(ledger, &nobody, "nothing is written to a job that does not exist").await;
}

async fn the_requester_is_told_once<L: Ledger>(ledger: &L) {
    accept(ledger, "told").await;
    let id = &job_id("told");
    let lease = granted(ledger, "told", LONG).await;
    worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    let rule = "the right to tell the requester is taken";
    assert!(worked(ledger.claim_notice(id).await, rule), "the first who asks may tell the requester");
    assert!(!worked(ledger.claim_notice(id).await, rule), "nobody else may tell while somebody does");
    worked(ledger.notified(id).await, "the requester has been told");
    assert!(find(ledger, "told").await.notified_at.is_some(), "that the requester was told is remembered");
    assert!(!worked(ledger.claim_notice(id).await, rule), "a requester who has been told is not told again");
    worked(ledger.release_notice(id).await, "giving back a right");
    assert!(
        !worked(ledger.claim_notice(id).await, rule),
        "giving back a right does not make the told untold"
    );
}

async fn the_right_to_tell_can_be_given_back<L: Ledger>(ledger: &L) {
    accept(ledger, "untold").await;
    let id = &job_id("untold");
    let lease = granted(ledger, "untold", LONG).await;
    worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    let rule = "the right to tell the requester is taken";
    assert!(worked(ledger.claim_notice(id).await, rule), "the first who asks may tell the requester");
    worked(ledger.release_notice(id).await, "giving back a right");
    assert_eq!(find(ledger, "untold").await.notified_at, None, "who could not be told has not been told");
    assert!(worked(ledger.claim_notice(id).await, rule), "a right given back is there to be taken at once");
}

async fn the_latest_come_first<L: Ledger>(ledger: &L) {
    for name in ["one", "two", "three"] {
        accept(ledger, name).await;
    }
    let ids = |jobs: Vec<Job>| jobs.into_iter().map(|job| job.id).collect::<Vec<_>>();
    let latest = ids(worked(ledger.latest(2).await, "listing the latest"));
    assert_eq!(
        latest,
        [job_id("three"), job_id("two")],
        "the latest jobs come newest first, and no more than asked"
    );
    let all = ids(worked(ledger.latest(100).await, "listing the latest"));
    assert_eq!(all.len(), 3, "all jobs are listed when there are fewer than asked");
}

async fn a_lease_runs_out<L: Ledger>(ledger: &L, pass: &impl AsyncFn(&L, Duration)) {
    let brief = Duration::from_millis(200);
    accept(ledger, "lapsed").await;
    let first = granted(ledger, "lapsed", brief).await;
    worked(ledger.advance(&first, 5, 50).await, "advancing under a lease");
    pass(ledger, brief * 2).await;
    worked(
        ledger.advance(&first, 6, 60).await,
        "a lease that nobody else has taken is renewed, late as it is",
    );
    pass(ledger, brief * 2).await;
    let second = granted(ledger, "lapsed", LONG).await;
    assert_eq!(second.attempt, 2, "a lease that has run out is granted anew, as the next attempt");
    lost(ledger, &first, "a worker taken for dead can do no harm when it wakes").await;
    let job = find(ledger, "lapsed").await;
    assert_eq!((job.state, job.rows), (JobState::Running, 0), "a worker taken for dead changes nothing");
    worked(
        ledger.advance(&second, 1, 1).await,
        "the newer attempt keeps its lease whatever the older one tries",
    );
}

async fn progress_renews_a_lease<L: Ledger>(ledger: &L, pass: &impl AsyncFn(&L, Duration)) {
    accept(ledger, "renewed").await;
    let lease = granted(ledger, "renewed", SHORT).await;
    pass(ledger, SHORT * 2 / 3).await;
    worked(ledger.advance(&lease, 1, 1).await, "advancing under a lease");
    pass(ledger, SHORT * 2 / 3).await;
    let claim = worked(ledger.claim(&lease.job, "another", LONG).await, "claiming");
    assert!(
        matches!(claim, Claim::Busy(..)),
        "progress renews the lease for its whole duration, got {claim:?}"
    );
}

async fn a_checkpoint_is_where_the_next_attempt_goes_on<L: Ledger>(ledger: &L) {
    accept(ledger, "checkpoint").await;
    let first = granted(ledger, "checkpoint", LONG).await;
    worked(ledger.checkpoint(&first, &checkpoint(10)).await, "a checkpoint under a lease");
    let job = find(ledger, "checkpoint").await;
    assert_eq!((job.rows, job.bytes), (10, checkpoint(10).bytes), "a checkpoint is a sign of life as well");
    worked(ledger.advance(&first, 15, 150).await, "advancing beyond a checkpoint");
    worked(ledger.release(&first, &failure("storage")).await, "releasing under a lease");
    let claim = worked(ledger.claim(&first.job, "worker", LONG).await, "claiming");
    let Claim::Granted(second, job) = claim else { panic!("a released job is granted, got {claim:?}") };
    assert_eq!(job.checkpoint, Some(checkpoint(10)), "the next attempt has the checkpoint, field for field");
    assert_eq!(job.rows, 10, "the next attempt begins with the rows of the checkpoint");
    let late = ledger.checkpoint(&first, &checkpoint(20)).await;
    assert!(
        matches!(late, Err(LedgerError::LeaseLost { .. })),
        "a fenced attempt leaves no checkpoint: {late:?}"
    );
    worked(ledger.ready(&second, &receipt(&second.job, 2)).await, "making ready under a lease");
    assert_eq!(find(ledger, "checkpoint").await.checkpoint, None, "a ready job has nothing to go on with");
}

async fn a_pause_gives_the_job_to_the_next_run<L: Ledger>(ledger: &L) {
    accept(ledger, "paused").await;
    let first = granted(ledger, "paused", LONG).await;
    worked(ledger.pause(&first, &checkpoint(10)).await, "pausing under a lease");
    let job = find(ledger, "paused").await;
    assert_eq!((job.state, job.continuations, job.rows), (JobState::Waiting, 1, 10), "a paused job waits");
    lost(ledger, &first, "the lease of a paused job is over").await;
    let claim = worked(ledger.claim(&first.job, "worker", LONG).await, "claiming");
    let Claim::Granted(second, job) = claim else {
        panic!("a waiting job is granted at once, got {claim:?}")
    };
    assert_eq!((second.attempt, job.tries), (2, 1), "the next run is another attempt, and its first try");
    assert_eq!(job.checkpoint, Some(checkpoint(10)), "the next run has the checkpoint");
    assert_eq!(job.owner.as_deref(), Some("worker"), "a running job knows who works on it");
}

async fn progress_gives_all_tries_again<L: Ledger>(ledger: &L) {
    accept(ledger, "tries").await;
    for (rows, expected) in [(0, 1), (0, 2), (10, 1), (10, 2), (20, 1)] {
        let lease = granted(ledger, "tries", LONG).await;
        if rows > 0 {
            worked(ledger.checkpoint(&lease, &checkpoint(rows)).await, "a checkpoint under a lease");
        }
        let rule = "tries are counted from the last checkpoint with more rows than the one before";
        assert_eq!(find(ledger, "tries").await.tries, expected, "{rule}");
        worked(ledger.release(&lease, &failure("storage")).await, "releasing under a lease");
    }
    assert_eq!(find(ledger, "tries").await.attempt, 5, "attempts are counted whatever comes of them");
}

async fn what_nobody_works_on_is_cancelled_at_once<L: Ledger>(ledger: &L) {
    let unknown = worked(ledger.cancel(&job_id("nobody")).await, "cancelling");
    assert_eq!(unknown, Cancel::Unknown, "a job that was never accepted is unknown");
    accept(ledger, "queued").await;
    accept(ledger, "waiting").await;
    let lease = granted(ledger, "waiting", LONG).await;
    worked(ledger.pause(&lease, &checkpoint(10)).await, "pausing under a lease");
    for name in ["queued", "waiting"] {
        let cancelled = worked(ledger.cancel(&job_id(name)).await, "cancelling");
        let Cancel::Done(job) = cancelled else { panic!("nobody works on it: {name}, got {cancelled:?}") };
        assert_eq!(job.state, JobState::Cancelled, "a cancelled job is cancelled");
        assert!(find(ledger, name).await.finished_at.is_some(), "a cancelled job has ended at some time");
        let claim = worked(ledger.claim(&job_id(name), "worker", LONG).await, "claiming");
        assert!(matches!(claim, Claim::Ended(_)), "a cancelled job has ended, got {claim:?}");
        let again = worked(ledger.cancel(&job_id(name)).await, "cancelling");
        assert!(matches!(again, Cancel::Ended(_)), "a job that has ended cannot be cancelled, got {again:?}");
    }
}

async fn whoever_works_on_it_hears_of_a_wish_to_cancel<L: Ledger>(ledger: &L) {
    accept(ledger, "wanted").await;
    let lease = granted(ledger, "wanted", LONG).await;
    assert_eq!(worked(ledger.watch(&lease).await, "watching"), Watch::GoOn, "there is nothing new at first");
    let cancel = worked(ledger.cancel(&lease.job).await, "cancelling");
    assert_eq!(cancel, Cancel::Wanted, "a running job is its worker's to stop");
    assert_eq!(find(ledger, "wanted").await.state, JobState::Running, "it runs until its worker stops");
    assert_eq!(worked(ledger.watch(&lease).await, "watching"), Watch::Cancel, "its worker hears of it");
    worked(ledger.advance(&lease, 1, 1).await, "a wish takes nobody's lease");
    worked(ledger.cancelled(&lease).await, "cancelling under a lease");
    assert_eq!(
        find(ledger, "wanted").await.state,
        JobState::Cancelled,
        "a worker that stops has cancelled it"
    );
    assert_eq!(worked(ledger.watch(&lease).await, "watching"), Watch::Lost, "then the lease is over");
    lost(ledger, &lease, "the lease of a cancelled job is over").await;
    let nobody = Lease { job: job_id("nobody"), attempt: 1, duration: LONG };
    assert_eq!(
        worked(ledger.watch(&nobody).await, "watching"),
        Watch::Lost,
        "nobody has a job that is not there"
    );
}

async fn what_was_left_is_known_until_it_is_cleared<L: Ledger>(ledger: &L) {
    accept(ledger, "left").await;
    let lease = granted(ledger, "left", LONG).await;
    worked(ledger.checkpoint(&lease, &checkpoint(10)).await, "a checkpoint under a lease");
    worked(ledger.cleared(&lease.job).await, "clearing");
    assert!(
        find(ledger, "left").await.checkpoint.is_some(),
        "a job that has not ended keeps what it goes on with"
    );
    worked(ledger.fail(&lease, &failure("timed_out")).await, "failing under a lease");
    assert!(find(ledger, "left").await.checkpoint.is_some(), "a failed job says what is to be cleared away");
    worked(ledger.cleared(&lease.job).await, "clearing");
    assert_eq!(find(ledger, "left").await.checkpoint, None, "what is cleared away is forgotten");
}

async fn the_same_request_is_the_same_job_while_it_runs<L: Ledger>(ledger: &L) {
    let of = |name: &str, sameness: &str| NewJob { sameness: Some(sameness.repeat(64)), ..new_job(name) };
    let first = worked(ledger.accept(&of("click", "a")).await, "accepting");
    assert_eq!(first, job_id("click"), "the first is itself");
    let second = worked(ledger.accept(&of("double click", "a")).await, "accepting");
    assert_eq!(second, first, "the same request while the first has not ended is the first");
    let other = worked(ledger.accept(&of("another", "b")).await, "accepting");
    assert_eq!(other, job_id("another"), "another request is another job");
    assert_eq!(find(ledger, "double click").await.id, first, "a job is found by its other name");
    assert_eq!(worked(ledger.latest(10).await, "listing").len(), 2, "another name is no job");
    let claim = worked(ledger.claim(&job_id("double click"), "worker", LONG).await, "claiming");
    let Claim::Granted(lease, _) = claim else { panic!("a job is claimed by its other name, got {claim:?}") };
    assert_eq!(lease.job, first, "a lease is on the job, whatever name it was claimed by");
    worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    let again = worked(ledger.accept(&of("double click", "a")).await, "accepting");
    assert_eq!(again, first, "another name stays one, delivered again after the end");
    let third = worked(ledger.accept(&of("later", "a")).await, "accepting");
    assert_eq!(third, job_id("later"), "when it has ended, the same request is a job of its own");
}

async fn a_fresh_file_is_used_again<L: Ledger>(ledger: &L, pass: &impl AsyncFn(&L, Duration)) {
    let brief = Duration::from_millis(200);
    let of = |name: &str, reuse| NewJob { sameness: Some("c".repeat(64)), reuse, ..new_job(name) };
    worked(ledger.accept(&of("made", Some(LONG))).await, "accepting");
    let lease = granted(ledger, "made", LONG).await;
    let proof = Receipt { expires_at: FAR_OFF, ..receipt(&lease.job, 1) };
    worked(ledger.ready(&lease, &proof).await, "making ready under a lease");
    pass(ledger, brief * 2).await;
    let soon = worked(ledger.accept(&of("soon", Some(LONG))).await, "accepting");
    assert_eq!(soon, job_id("soon"), "who asks after the end has a job of their own");
    let job = find(ledger, "soon").await;
    assert_eq!(
        (job.state, job.receipt.as_ref()),
        (JobState::Ready, Some(&proof)),
        "with the file that is there"
    );
    assert_eq!(
        (job.attempt, job.notified_at),
        (0, None),
        "nobody worked for it, and its requester is still to be told"
    );
    let rule = "a file is as old as its making, not as its last use";
    let moment = worked(ledger.accept(&of("late", Some(brief))).await, "accepting");
    assert_eq!(find(ledger, "late").await.state, JobState::Queued, "{rule}");
    worked(ledger.cancel(&moment).await, "cancelling");
    worked(ledger.accept(&of("fresh", None)).await, "accepting");
    assert_eq!(find(ledger, "fresh").await.state, JobState::Queued, "without reuse the work is done anew");
}

async fn a_file_past_its_time_expires<L: Ledger>(ledger: &L) {
    for name in ["kept", "old", "failed"] {
        accept(ledger, name).await;
    }
    for (name, expires_at) in [("kept", FAR_OFF), ("old", LONG_AGO)] {
        let lease = granted(ledger, name, LONG).await;
        let proof = Receipt { expires_at, ..receipt(&lease.job, 1) };
        worked(ledger.ready(&lease, &proof).await, "making ready under a lease");
    }
    let lease = granted(ledger, "failed", LONG).await;
    worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    assert_eq!(due(ledger, Due::PastRetention).await, [job_id("old")], "a file past its retention is due");
    for name in ["old", "failed"] {
        worked(ledger.expire(&job_id(name)).await, "expiring");
    }
    assert_eq!(find(ledger, "old").await.state, JobState::Expired, "a ready job expires");
    assert_eq!(find(ledger, "failed").await.state, JobState::Failed, "a failed job has nothing that could");
    assert_eq!(due(ledger, Due::PastRetention).await, [], "what has expired is not due");
}

async fn what_nobody_does_is_due<L: Ledger>(ledger: &L, pass: &impl AsyncFn(&L, Duration)) {
    let brief = Duration::from_millis(200);
    for name in ["queued", "touched", "running", "untold", "told", "left"] {
        accept(ledger, name).await;
    }
    granted(ledger, "running", brief).await;
    for name in ["untold", "told", "left"] {
        let lease = granted(ledger, name, LONG).await;
        if name == "left" {
            worked(ledger.checkpoint(&lease, &checkpoint(10)).await, "a checkpoint under a lease");
        }
        worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    }
    for name in ["told", "left"] {
        worked(ledger.claim_notice(&job_id(name)).await, "the right to tell");
        worked(ledger.notified(&job_id(name)).await, "telling");
    }
    for kind in [Due::Untold(brief), Due::LeaseOver(brief), Due::Idle(brief), Due::PastRetention] {
        assert_eq!(due(ledger, kind).await, [], "nothing is due at once: {kind:?}");
    }
    pass(ledger, brief * 2).await;
    worked(ledger.touch(&job_id("touched")).await, "touching");
    let untold = due(ledger, Due::Untold(brief)).await;
    assert_eq!(
        untold,
        [job_id("untold"), job_id("left")],
        "who was not told is due, and what was not cleared away"
    );
    assert_eq!(due(ledger, Due::LeaseOver(brief)).await, [job_id("running")], "a lease that is over is due");
    assert_eq!(
        due(ledger, Due::Idle(brief)).await,
        [job_id("queued")],
        "a job that nothing happens to is due"
    );
    assert_eq!(due(ledger, Due::LeaseOver(LONG)).await, [], "what is not long over is not due");
    worked(ledger.claim_notice(&job_id("untold")).await, "the right to tell");
    pass(ledger, brief * 2).await;
    assert_eq!(due(ledger, Due::Untold(brief)).await, [job_id("left")], "who is being told is not due");
    assert_eq!(worked(ledger.due(Due::Idle(brief), 1).await, "looking").len(), 1, "no more than asked");
}

async fn due<L: Ledger>(ledger: &L, due: Due) -> Vec<JobId> {
    worked(ledger.due(due, 100).await, "looking for what is due").into_iter().map(|job| job.id).collect()
}

async fn accept<L: Ledger>(ledger: &L, name: &str) {
    worked(ledger.accept(&new_job(name)).await, "accepting a new job");
}

async fn find<L: Ledger>(ledger: &L, name: &str) -> Job {
    let job = worked(ledger.find(&job_id(name)).await, "finding a job");
    job.unwrap_or_else(|| panic!("a job that was accepted is found: {name}"))
}

async fn granted<L: Ledger>(ledger: &L, name: &str, duration: Duration) -> Lease {
    match worked(ledger.claim(&job_id(name), "worker", duration).await, "claiming a job") {
        Claim::Granted(lease, _) => lease,
        other => panic!("a job that nobody works on is granted: {name}, got {other:?}"),
    }
}

/// Tries every write under this lease. All must be refused.
async fn lost<L: Ledger>(ledger: &L, lease: &Lease, rule: &str) {
    let writes = [
        ("advance", ledger.advance(lease, 9, 9).await),
        ("ready", ledger.ready(lease, &receipt(&lease.job, lease.attempt)).await),
        ("fail", ledger.fail(lease, &failure("late")).await),
        ("checkpoint", ledger.checkpoint(lease, &checkpoint(9)).await),
        ("pause", ledger.pause(lease, &checkpoint(9)).await),
        ("cancelled", ledger.cancelled(lease).await),
        ("release", ledger.release(lease, &failure("late")).await),
    ];
    for (write, result) in writes {
        match result {
            Err(LedgerError::LeaseLost { job, attempt }) => {
                assert_eq!(
                    (&job, attempt),
                    (&lease.job, lease.attempt),
                    "{rule}: {write} names the lease it refuses"
                );
            }
            other => panic!("{rule}: expected {write} to be refused as LeaseLost, got {other:?}"),
        }
    }
}

fn worked<T>(result: Result<T, LedgerError>, rule: &str) -> T {
    result.unwrap_or_else(|error| panic!("expected to work: {rule}, got {}", crate::failure::chain(&error)))
}
