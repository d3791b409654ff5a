//! Single flight: of the jobs that share results, one leads and the others follow.

use std::time::Duration;

use super::accept::take;
use super::{FAR_OFF, LONG, find, worked};
use crate::job::{Failure, Job, JobId, JobState, NewJob, Receipt};
use crate::ledger::{CancelOutcome, Claim, JobTable, Lease, Ledger, SharedResult};
use crate::testing::contracts::samples::{checkpoint, failure, job_id, new_job, receipt, requester};

/// A job of a requester of its own, for a request that all share.
fn shared(name: &str) -> NewJob {
    NewJob {
        requested_by: requester(&format!("{name}@example.com")),
        fingerprint: Some(format!("{:0>64}", job_id(name).as_str())),
        shared_fingerprint: Some("5".repeat(64)),
        ..new_job(name)
    }
}

pub(super) async fn shared_request_is_led_by_one_job_and_followed_by_others<T: JobTable>(ledger: &Ledger<T>) {
    let lease = led(ledger, "leader").await;
    for name in ["one", "two", "three"] {
        let job = follows(take(ledger, &shared(name)).await, "a leader works for all");
        assert_eq!(find(ledger, name).await, job, "a follower is a job of its own");
        assert_eq!(
            (job.state, job.attempt),
            (JobState::Queued, 0),
            "a follower is queued and has no attempt"
        );
    }
    follows(claim(ledger, "one").await, "a follower is not claimed while its leader works");
    assert_eq!(followers(ledger, "leader", 9).await, [], "a leader that works calls no followers");
    worked(ledger.advance(&lease, 1, 10).await, "advancing under a lease");
    let again = NewJob { id: job_id("again"), request_id: "again".to_owned(), ..shared("one") };
    let job = follows(take(ledger, &again).await, "the same request of the same requester is the same job");
    assert_eq!(job.id, job_id("one"), "it is an alias of the follower");
    let other = NewJob { shared_fingerprint: Some("6".repeat(64)), ..shared("other") };
    let claim = take(ledger, &other).await;
    assert!(matches!(claim, Claim::Granted(..)), "another request is led by another job, got {claim:?}");
    let alone = NewJob { shared_fingerprint: None, ..shared("alone") };
    let claim = take(ledger, &alone).await;
    assert!(
        matches!(claim, Claim::Granted(..)),
        "a request that is not shared waits for none, got {claim:?}"
    );
    ready(ledger, &lease).await;
    let waiting = ["one", "two", "three"].map(job_id);
    assert_eq!(followers(ledger, "leader", 9).await, waiting, "a leader that has ended calls its followers");
    assert_eq!(
        followers(ledger, "leader", 2).await,
        waiting[..2],
        "the oldest first, and no more than asked"
    );
    assert_eq!(followers(ledger, "two", 9).await, [], "a follower has no followers");
}

pub(super) async fn follower_of_a_ready_job_is_given_its_file<T: JobTable>(ledger: &Ledger<T>) {
    let lease = led(ledger, "leader").await;
    for name in ["one", "two", "cancelled"] {
        follows(take(ledger, &shared(name)).await, "a leader works for all");
    }
    let cancelled = worked(ledger.cancel(&job_id("cancelled")).await, "cancelling");
    assert!(
        matches!(cancelled, CancelOutcome::Done(_)),
        "a follower is cancelled at once, got {cancelled:?}"
    );
    let proof = ready(ledger, &lease).await;
    let (one, result) = answered(claim(ledger, "one").await);
    assert_eq!(result, Ok(proof.clone()), "with the receipt of the leader");
    let (two, _) = answered(claim(ledger, "two").await);
    for (lease, name) in [(one, "one"), (two, "two")] {
        worked(ledger.ready(&lease, &proof).await, "making ready under a lease");
        let job = find(ledger, name).await;
        let expected = Receipt { requested_by: format!("{name}@example.com"), ..proof.clone() };
        assert_eq!(
            (job.state, job.receipt),
            (JobState::Ready, Some(expected)),
            "a follower ends with the leader's file, and learns of no other requester"
        );
    }
    assert_eq!(followers(ledger, "leader", 9).await, [], "no follower waits any more");
    assert_eq!(find(ledger, "cancelled").await.state, JobState::Cancelled, "each follower has its own end");
    let claim = claim(ledger, "cancelled").await;
    assert!(matches!(claim, Claim::Ended(_)), "a cancelled follower has ended, got {claim:?}");
}

pub(super) async fn follower_of_a_failed_job_is_given_its_failure<T: JobTable>(
    ledger: &Ledger<T>,
    pass: &impl AsyncFn(&T, Duration),
) {
    let lease = led(ledger, "leader").await;
    follows(take(ledger, &shared("follower")).await, "a leader works for all");
    worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    assert_eq!(followers(ledger, "leader", 9).await, [job_id("follower")], "a failed leader calls as well");
    let (_, result) = answered(claim(ledger, "follower").await);
    assert_eq!(result, Err(failure("query_failed")), "the same query would fail as well");
    pass(ledger.table(), Duration::from_millis(200)).await;
    led(ledger, "later").await;
}

pub(super) async fn follower_of_a_cancelled_job_takes_the_lead<T: JobTable>(ledger: &Ledger<T>) {
    let first = led(ledger, "first").await;
    for name in ["second", "third"] {
        follows(take(ledger, &shared(name)).await, "a leader works for all");
    }
    worked(ledger.cancel(first.job()).await, "cancelling");
    assert_eq!(
        followers(ledger, "first", 9).await,
        ["second", "third"].map(job_id),
        "a leader that is to be cancelled keeps none waiting"
    );
    let Claim::Granted(second, job) = claim(ledger, "second").await else { panic!("the next job leads") };
    assert_eq!(job.attempt, 1, "it works as if it had been the first");
    follows(claim(ledger, "third").await, "the other one follows the new leader");
    worked(ledger.advance(&first, 1, 1).await, "the cancelled job's worker has its lease until it stops");
    worked(ledger.cancelled(&first).await, "ending a cancelled job");
    follows(claim(ledger, "third").await, "a cancelled job has no result");
    worked(ledger.cancelled(&second).await, "ending a job as cancelled");
    let claim = claim(ledger, "third").await;
    assert!(matches!(claim, Claim::Granted(..)), "the last one works itself, got {claim:?}");
}

pub(super) async fn leader_keeps_the_lead_between_its_attempts<T: JobTable>(ledger: &Ledger<T>) {
    let lease = led(ledger, "leader").await;
    follows(take(ledger, &shared("follower")).await, "a leader works for all");
    worked(ledger.release(&lease, &failure("storage")).await, "releasing under a lease");
    follows(claim(ledger, "follower").await, "a leader that waits for another attempt leads");
    let Claim::Granted(lease, _) = claim(ledger, "leader").await else { panic!("the leader is claimed") };
    worked(ledger.pause(&lease, &checkpoint(10)).await, "pausing under a lease");
    follows(claim(ledger, "follower").await, "a leader that waits for its next run leads");
    assert_eq!(followers(ledger, "leader", 9).await, [], "a leader that waits calls no followers");
    let Claim::Granted(lease, _) = claim(ledger, "leader").await else { panic!("the leader is claimed") };
    worked(ledger.hand_over(&lease).await, "handing over");
    follows(claim(ledger, "follower").await, "a leader that was handed over leads");
}

pub(super) async fn result_that_came_before_the_lead_is_found_with_it<T: JobTable>(
    ledger: &Ledger<T>,
    pass: &impl AsyncFn(&T, Duration),
) {
    let lease = led(ledger, "leader").await;
    let proof = ready(ledger, &lease).await;
    pass(ledger.table(), Duration::from_millis(200)).await;
    // Its worker looked for a file before there was one.
    let late = NewJob { reuse: Some(LONG), ..shared("late") };
    let claim = worked(ledger.accept_and_claim(&late, None, "worker", LONG).await, "accepting and claiming");
    let (lease, result) = answered(claim);
    assert_eq!(result, Ok(proof.clone()), "with the receipt that may be reused");
    worked(ledger.ready(&lease, &proof).await, "making ready under a lease");
    let reusable = worked(ledger.reusable_receipt(&late).await, "looking for a file");
    assert_eq!(reusable, Some(proof.clone()), "any requester may reuse the file");
    let claim = take(ledger, &NewJob { reuse: Some(LONG), ..shared("hit") }).await;
    assert!(matches!(claim, Claim::Ended(_)), "a file that may be reused is reused at once, got {claim:?}");
    pass(ledger.table(), Duration::from_millis(200)).await;
    led(ledger, "anew").await;
}

pub(super) async fn follower_that_cannot_use_the_result_takes_the_lead<T: JobTable>(ledger: &Ledger<T>) {
    let lease = led(ledger, "leader").await;
    for name in ["one", "two"] {
        follows(take(ledger, &shared(name)).await, "a leader works for all");
    }
    ready(ledger, &lease).await;
    let (one, _) = answered(claim(ledger, "one").await);
    let (two, _) = answered(claim(ledger, "two").await);
    assert!(worked(ledger.take_lead(&one).await, "taking the lead"), "the lead is free");
    assert!(worked(ledger.take_lead(&one).await, "taking the lead"), "a leader has the lead");
    assert!(!worked(ledger.take_lead(&two).await, "taking the lead"), "the lead is taken");
    let job = worked(ledger.hand_over(&two).await, "handing over");
    assert_eq!(job.state, JobState::Queued, "a follower goes back to the queue");
    worked(ledger.advance(&one, 1, 10).await, "advancing under a lease");
    let fresh = Receipt { expires_at: FAR_OFF, rows: 8, ..receipt(one.job(), 1) };
    worked(ledger.ready(&one, &fresh).await, "making ready under a lease");
    assert_eq!(followers(ledger, "one", 9).await, [job_id("two")], "the new leader calls its follower");
    let (_, result) = answered(claim(ledger, "two").await);
    assert_eq!(result, Ok(find_receipt(ledger, "one").await), "the latest result");
    let refused = ledger.take_lead(&lease).await;
    assert!(refused.is_err(), "a lease that is over takes no lead, got {refused:?}");
}

/// Accepts and claims a job that leads.
async fn led<T: JobTable>(ledger: &Ledger<T>, name: &str) -> Lease {
    match take(ledger, &shared(name)).await {
        Claim::Granted(lease, _) => lease,
        other => panic!("a job leads while no other does: {name}, got {other:?}"),
    }
}

async fn claim<T: JobTable>(ledger: &Ledger<T>, name: &str) -> Claim {
    worked(ledger.claim(&job_id(name), "worker", LONG).await, "claiming")
}

/// Makes a job ready with a file of its own, and returns its receipt.
async fn ready<T: JobTable>(ledger: &Ledger<T>, lease: &Lease) -> Receipt {
    let proof = Receipt { expires_at: FAR_OFF, ..receipt(lease.job(), lease.attempt()) };
    worked(ledger.ready(lease, &proof).await, "making ready under a lease");
    let job = worked(ledger.find(lease.job()).await, "finding a job");
    job.and_then(|job| job.receipt).unwrap_or_else(|| panic!("a ready job has a receipt"))
}

async fn find_receipt<T: JobTable>(ledger: &Ledger<T>, name: &str) -> Receipt {
    find(ledger, name).await.receipt.unwrap_or_else(|| panic!("a ready job has a receipt: {name}"))
}

async fn followers<T: JobTable>(ledger: &Ledger<T>, name: &str, limit: u32) -> Vec<JobId> {
    worked(ledger.followers(&job_id(name), limit).await, "looking for followers")
}

fn follows(claim: Claim, rule: &str) -> Job {
    match claim {
        Claim::Follows(job) => *job,
        other => panic!("{rule}: expected Follows, got {other:?}"),
    }
}

fn answered(claim: Claim) -> (Lease, Result<Receipt, Failure>) {
    match claim {
        Claim::Answered(lease, _, SharedResult { shared_fingerprint, outcome }) => {
            assert_eq!(Some(shared_fingerprint), shared("any").shared_fingerprint, "it names the requests");
            (lease, outcome.map(|receipt| *receipt))
        }
        other => panic!("a follower of a job that has ended is given its result, got {other:?}"),
    }
}
