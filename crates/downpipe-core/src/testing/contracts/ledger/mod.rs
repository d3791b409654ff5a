//! The rules of every ledger, tried on the table that it stands on.

mod accept;
mod access;
mod attempts;
mod end;
mod lease;
mod notify;
mod questions;
mod shared;
mod sweep;

use std::time::Duration;

use jiff::Timestamp;

use super::samples::{checkpoint, failure, job_id, new_job, receipt};
use crate::job::Job;
use crate::ledger::{AccessRecords, Claim, JobQueries, JobTable, Lease, Ledger, LedgerError};

/// A lease that does not run out while a rule is tried.
const LONG: Duration = Duration::from_secs(600);
/// A lease that is waited for.
const SHORT: Duration = Duration::from_secs(3);

/// How much longer a lease may be whose table has a clock of whole seconds. It must not be shorter.
const CLOCK_RESOLUTION: Duration = Duration::from_secs(2);

/// Times that no ledger's clock is beyond.
const LONG_AGO: Timestamp = Timestamp::constant(1_577_836_800, 0);
const FAR_OFF: Timestamp = Timestamp::constant(32_503_680_000, 0);

/// Tries every rule, each on an empty table from `fresh`. `pass` lets at least this much time pass on the table's own clock: it moves
/// the clock of a fake and waits for a real one, some twenty seconds in all.
///
/// That a notify lease runs out is not tried here, because it takes a minute.
///
/// # Panics
/// When a rule is broken.
pub async fn ledger_contract<T>(fresh: impl AsyncFn() -> T, pass: impl AsyncFn(&T, Duration))
where
    T: JobTable + JobQueries + AccessRecords,
{
    let fresh = async || Ledger::new(fresh().await);
    // Boxed: all rules in one future are too deep for a test's stack.
    Box::pin(accept_rules(&fresh, &pass)).await;
    Box::pin(lease_rules(&fresh, &pass)).await;
    Box::pin(attempts_rules(&fresh)).await;
    Box::pin(end_rules(&fresh)).await;
    Box::pin(notify_rules(&fresh)).await;
    Box::pin(shared_rules(&fresh, &pass)).await;
    Box::pin(sweep_rules(&fresh, &pass)).await;
    Box::pin(questions_rules(&fresh, &pass)).await;
    Box::pin(access_rules(&fresh)).await;
}

async fn accept_rules<T>(fresh: &impl AsyncFn() -> Ledger<T>, pass: &impl AsyncFn(&T, Duration))
where
    T: JobTable + JobQueries,
{
    accept::job_accepted_twice_changes_nothing(&fresh().await).await;
    accept::job_accepted_is_found_as_it_was(&fresh().await).await;
    accept::job_never_accepted_is_unknown(&fresh().await).await;
    accept::request_repeated_before_the_end_is_the_same_job(&fresh().await).await;
    accept::request_after_a_cancellation_is_a_job_of_its_own(&fresh().await).await;
    accept::job_accepted_and_claimed_is_granted_as_by_two_calls(&fresh().await).await;
    accept::request_accepted_and_claimed_again_is_the_same_job(&fresh().await).await;
    accept::file_fresh_enough_is_reused(&fresh().await, pass).await;
}

async fn lease_rules<T: JobTable>(fresh: &impl AsyncFn() -> Ledger<T>, pass: &impl AsyncFn(&T, Duration)) {
    lease::lease_is_granted_once(&fresh().await).await;
    lease::progress_is_recorded(&fresh().await).await;
    lease::write_without_a_lease_is_refused(&fresh().await).await;
    lease::write_under_a_lease_returns_the_job_as_it_is(&fresh().await).await;
    lease::write_overtaken_by_another_keeps_both(&fresh().await).await;
    lease::lease_that_ran_out_is_granted_anew(&fresh().await, pass).await;
    lease::progress_renews_the_lease(&fresh().await, pass).await;
}

async fn attempts_rules<T: JobTable>(fresh: &impl AsyncFn() -> Ledger<T>) {
    attempts::job_released_is_claimed_again_at_once(&fresh().await).await;
    attempts::checkpoint_is_where_the_next_attempt_resumes(&fresh().await).await;
    attempts::job_paused_is_claimed_by_the_next_run(&fresh().await).await;
    attempts::progress_renews_the_attempts(&fresh().await).await;
    attempts::job_handed_over_counts_no_attempt(&fresh().await).await;
}

async fn end_rules<T: JobTable>(fresh: &impl AsyncFn() -> Ledger<T>) {
    end::job_ready_has_ended(&fresh().await).await;
    end::job_failed_has_ended(&fresh().await).await;
    end::job_without_a_worker_is_cancelled_at_once(&fresh().await).await;
    end::worker_sees_that_cancellation_is_requested(&fresh().await).await;
    end::checkpoint_of_an_ended_job_stays_until_cleared(&fresh().await).await;
}

async fn notify_rules<T: JobTable>(fresh: &impl AsyncFn() -> Ledger<T>) {
    notify::requester_is_notified_once(&fresh().await).await;
    notify::notify_lease_released_is_granted_again(&fresh().await).await;
    notify::job_made_ready_is_its_workers_to_notify(&fresh().await).await;
}

async fn shared_rules<T: JobTable>(fresh: &impl AsyncFn() -> Ledger<T>, pass: &impl AsyncFn(&T, Duration)) {
    shared::shared_request_is_led_by_one_job_and_followed_by_others(&fresh().await).await;
    shared::follower_of_a_ready_job_is_given_its_file(&fresh().await).await;
    shared::follower_of_a_failed_job_is_given_its_failure(&fresh().await, pass).await;
    shared::follower_of_a_cancelled_job_takes_the_lead(&fresh().await).await;
    shared::leader_keeps_the_lead_between_its_attempts(&fresh().await).await;
    shared::result_that_came_before_the_lead_is_found_with_it(&fresh().await, pass).await;
    shared::follower_that_cannot_use_the_result_takes_the_lead(&fresh().await).await;
}

async fn sweep_rules<T: JobTable>(fresh: &impl AsyncFn() -> Ledger<T>, pass: &impl AsyncFn(&T, Duration)) {
    sweep::file_past_its_retention_expires(&fresh().await).await;
    sweep::job_left_alone_is_stale(&fresh().await, pass).await;
    sweep::job_past_the_ledgers_retention_is_deleted_with_its_aliases(&fresh().await, pass).await;
}

async fn questions_rules<T>(fresh: &impl AsyncFn() -> Ledger<T>, pass: &impl AsyncFn(&T, Duration))
where
    T: JobTable + JobQueries,
{
    questions::job_from_the_portal_is_found_as_it_was(&fresh().await).await;
    questions::job_that_no_queue_took_is_stale_until_it_is_sent(&fresh().await, pass).await;
    questions::jobs_are_listed_newest_first_by_page(&fresh().await, pass).await;
    questions::page_is_the_same_after_newer_jobs_came(&fresh().await, pass).await;
    questions::several_jobs_are_found_in_the_order_asked(&fresh().await).await;
    questions::jobs_queued_before_are_ahead(&fresh().await, pass).await;
    questions::history_of_a_definition_has_files_that_were_made(&fresh().await, pass).await;
    questions::requesters_unended_jobs_are_found(&fresh().await).await;
}

async fn access_rules<T: JobTable + AccessRecords>(fresh: &impl AsyncFn() -> Ledger<T>) {
    access::download_is_remembered_for_a_year(&fresh().await).await;
    access::session_that_has_ended_stays_so_until_its_time(&fresh().await).await;
}

async fn accept<T: JobTable>(ledger: &Ledger<T>, name: &str) {
    worked(ledger.accept(&new_job(name)).await, "accepting a new job");
}

async fn find<T: JobTable>(ledger: &Ledger<T>, name: &str) -> Job {
    let job = worked(ledger.find(&job_id(name)).await, "finding a job");
    job.unwrap_or_else(|| panic!("a job that was accepted is found: {name}"))
}

/// Notifies the requester of a job that has ended.
async fn notify<T: JobTable>(ledger: &Ledger<T>, name: &str) {
    let right = worked(ledger.claim_notification(&job_id(name)).await, "claiming the notification");
    let right = right.unwrap_or_else(|| panic!("the requester can be notified: {name}"));
    worked(ledger.notified(right).await, "recording the notification");
}

async fn granted<T: JobTable>(ledger: &Ledger<T>, name: &str, duration: Duration) -> Lease {
    match worked(ledger.claim(&job_id(name), "worker", duration).await, "claiming a job") {
        Claim::Granted(lease, _) => lease,
        other => panic!("a job without a lease is granted: {name}, got {other:?}"),
    }
}

/// Tries every write under this lease. All must be refused.
async fn lost<T: JobTable>(ledger: &Ledger<T>, lease: &Lease, rule: &str) {
    let writes = [
        ("advance", ledger.advance(lease, 9, 9).await.map(drop)),
        ("ready", ledger.ready(lease, &receipt(lease.job(), lease.attempt())).await.map(drop)),
        ("fail", ledger.fail(lease, &failure("late")).await.map(drop)),
        ("checkpoint", ledger.checkpoint(lease, &checkpoint(9)).await.map(drop)),
        ("pause", ledger.pause(lease, &checkpoint(9)).await.map(drop)),
        ("cancelled", ledger.cancelled(lease).await.map(drop)),
        ("release", ledger.release(lease, &failure("late")).await.map(drop)),
        ("hand_over", ledger.hand_over(lease).await.map(drop)),
    ];
    for (write, result) in writes {
        match result {
            Err(LedgerError::LeaseLost { job, attempt }) => {
                assert_eq!(
                    (&job, attempt),
                    (lease.job(), lease.attempt()),
                    "{rule}: {write} names the lease it refuses"
                );
            }
            other => panic!("{rule}: expected {write} to be refused as LeaseLost, got {other:?}"),
        }
    }
}

fn worked<T>(result: Result<T, LedgerError>, rule: &str) -> T {
    result.unwrap_or_else(|error| {
        panic!("expected to work: {rule}, got {}", crate::error_chain::error_chain(&error))
    })
}
