//! What the portal and the commands ask: pages of jobs, places in the queue, histories.

use std::time::Duration;

use super::{FAR_OFF, LONG, accept, find, granted, worked};
use crate::job::{Job, JobId, JobState, NewJob, Receipt, Via};
use crate::language::Language;
use crate::ledger::{Cursor, JobFilter, JobQueries, JobTable, Ledger, StaleFilter};
use crate::testing::contracts::samples::{checkpoint, failure, job_id, new_job, receipt, requester};

/// Long enough for two writes to have different times by a table's clock.
const BRIEF: Duration = Duration::from_millis(50);

const HANAKO: &str = "hanako@example.com";
const TARO: &str = "taro@example.com";

pub(super) async fn job_from_the_portal_is_found_as_it_was<T: JobTable>(ledger: &Ledger<T>) {
    let new = NewJob {
        language: Some(Language::Ja),
        via: Via::App,
        app: Some("shop 花".to_owned()),
        definition_sha256: Some("ab".repeat(32)),
        expected_rows: Some(u64::MAX >> 1),
        ..new_job("click")
    };
    worked(ledger.accept(&new).await, "accepting");
    accept(ledger, "message").await;
    let job = find(ledger, "click").await;
    assert_eq!(
        (job.language, job.via, &job.app, &job.definition_sha256, job.expected_rows, job.sent_at),
        (new.language, new.via, &new.app, &new.definition_sha256, new.expected_rows, None),
        "a job is found as it was accepted"
    );
    let job = find(ledger, "message").await;
    assert_eq!(
        (job.language, job.via, job.app, job.definition_sha256, job.expected_rows, job.sent_at),
        (None, Via::Queue, None, None, None, None),
        "a job from the queue has nothing of them"
    );
    let lease = granted(ledger, "click", LONG).await;
    let proof = receipt(lease.job(), 1);
    worked(ledger.ready(&lease, &proof).await, "making ready under a lease");
    assert_eq!(
        find(ledger, "click").await.definition_sha256,
        Some(proof.definition_sha256),
        "a ready job names the version that its file was made with"
    );
}

pub(super) async fn job_that_no_queue_took_is_stale_until_it_is_sent<T: JobTable>(
    ledger: &Ledger<T>,
    pass: &impl AsyncFn(&T, Duration),
) {
    let brief = Duration::from_secs(2);
    for name in ["unsent", "sent", "claimed", "cancelled"] {
        worked(ledger.accept(&NewJob { via: Via::Page, ..new_job(name) }).await, "accepting");
    }
    accept(ledger, "message").await;
    let job = worked(ledger.note_sent(&job_id("sent")).await, "noting that a message is sent");
    let sent_at = job.and_then(|job| job.sent_at);
    assert!(sent_at.is_some(), "the time of the note is the time of sending");
    assert_eq!(find(ledger, "sent").await.sent_at, sent_at, "a job knows when its message was sent");
    let lease = granted(ledger, "claimed", LONG).await;
    worked(ledger.release(&lease, &failure("storage")).await, "releasing under a lease");
    worked(ledger.cancel(&job_id("cancelled")).await, "cancelling");
    assert_eq!(stale(ledger, LONG).await, [], "no message is late at once");
    pass(ledger.table(), brief * 2).await;
    assert_eq!(stale(ledger, brief).await, [job_id("unsent")], "a click without a message is stale");
    let idle = worked(ledger.stale_jobs(StaleFilter::Idle(brief), 100).await, "listing stale jobs");
    assert_eq!(idle.len(), 4, "it is idle like any other queued job");
    worked(ledger.note_sent(&job_id("unsent")).await, "noting that a message is sent");
    worked(ledger.note_sent(&job_id("sent")).await, "noting that a message is sent again");
    assert_eq!(stale(ledger, Duration::ZERO).await, [], "a job whose message is sent is not");
    assert_eq!(find(ledger, "sent").await.sent_at, sent_at, "the first message counts");
    let none = worked(ledger.note_sent(&job_id("unknown")).await, "noting that a message is sent");
    assert_eq!(none, None, "a job that does not exist has no message");
}

pub(super) async fn jobs_are_listed_newest_first_by_page<T: JobTable + JobQueries>(
    ledger: &Ledger<T>,
    pass: &impl AsyncFn(&T, Duration),
) {
    let names = ["one", "two", "three", "four", "five"];
    for name in names {
        let requested_by = requester(if name == "two" { TARO } else { HANAKO });
        let export = if name == "four" { "items" } else { "orders" }.to_owned();
        worked(ledger.accept(&NewJob { requested_by, export, ..new_job(name) }).await, "accepting");
        pass(ledger.table(), BRIEF).await;
    }
    worked(ledger.cancel(&job_id("three")).await, "cancelling");
    let (hanako, taro, another) = (requester(HANAKO), requester(TARO), requester("jiro@example.com"));
    let since = find(ledger, "three").await.created_at;
    let all = JobFilter::default();
    let of = |requester| JobFilter { requester: Some(requester), ..all };
    let queued = JobFilter { state: Some(JobState::Queued), ..all };
    let cases: [(&str, JobFilter<'_>, &[&str]); 9] = [
        ("all", all, &["five", "four", "three", "two", "one"]),
        ("a requester's", of(&hanako), &["five", "four", "three", "one"]),
        ("another's", of(&taro), &["two"]),
        ("a stranger's", of(&another), &[]),
        ("in a state", queued, &["five", "four", "two", "one"]),
        ("of a definition", JobFilter { export: Some("orders"), ..all }, &["five", "three", "two", "one"]),
        ("since a time", JobFilter { since: Some(since), ..all }, &["five", "four", "three"]),
        (
            "a requester's since a time",
            JobFilter { since: Some(since), ..of(&hanako) },
            &["five", "four", "three"],
        ),
        (
            "a requester's of a definition in a state",
            JobFilter { export: Some("orders"), state: Some(JobState::Queued), ..of(&hanako) },
            &["five", "one"],
        ),
    ];
    for (what, filter, expected) in cases {
        let expected: Vec<JobId> = expected.iter().map(|name| job_id(name)).collect();
        for size in [1, 2, 100] {
            assert_eq!(pages(ledger, &filter, size).await, expected, "jobs {what}, {size} a page");
        }
    }
    assert_eq!(pages(ledger, &all, 0).await, [], "a page of no jobs has none");
}

pub(super) async fn page_is_the_same_after_newer_jobs_came<T: JobTable + JobQueries>(
    ledger: &Ledger<T>,
    pass: &impl AsyncFn(&T, Duration),
) {
    for name in ["one", "two", "three"] {
        accept(ledger, name).await;
        pass(ledger.table(), BRIEF).await;
    }
    let (first, next) = page(ledger, &JobFilter::default(), None, 2).await;
    assert_eq!(first, ["three", "two"].map(job_id), "the newest jobs come first");
    let next = next.unwrap_or_else(|| panic!("a page with more behind it says where they begin"));
    accept(ledger, "four").await;
    worked(ledger.cancel(&job_id("two")).await, "cancelling");
    let text: Cursor = next.to_string().parse().unwrap_or_else(|error| panic!("{next}: expected {error}"));
    let (second, end) = page(ledger, &JobFilter::default(), Some(&text), 2).await;
    assert_eq!((second, end), (vec![job_id("one")], None), "no job is listed twice, and none is missing");
}

pub(super) async fn several_jobs_are_found_in_the_order_asked<T: JobTable + JobQueries>(ledger: &Ledger<T>) {
    for name in ["one", "two", "three"] {
        accept(ledger, name).await;
    }
    let several = async |names: &[&str]| {
        let ids: Vec<JobId> = names.iter().map(|name| job_id(name)).collect();
        let jobs = worked(ledger.several(&ids).await, "finding several jobs");
        jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!(several(&[]).await, [], "no ids are no jobs");
    let found = several(&["three", "unknown", "one", "three"]).await;
    assert_eq!(found, ["three", "one"].map(job_id), "each job once, in the order asked, and no unknown one");
    let one = worked(ledger.several(&[job_id("one")]).await, "finding several jobs");
    assert_eq!(one, [find(ledger, "one").await], "a job is found as it is");
}

pub(super) async fn jobs_queued_before_are_ahead<T: JobTable + JobQueries>(
    ledger: &Ledger<T>,
    pass: &impl AsyncFn(&T, Duration),
) {
    for name in ["paused", "runs", "cancelled", "first", "second", "third"] {
        accept(ledger, name).await;
        pass(ledger.table(), BRIEF).await;
    }
    let ahead = async |name: &str| {
        let job = find(ledger, name).await;
        worked(ledger.ahead(&job).await, "counting the jobs ahead")
    };
    assert_eq!(ahead("third").await, 5, "every queued job before is ahead");
    assert_eq!(ahead("paused").await, 0, "none is ahead of the first");
    granted(ledger, "runs", LONG).await;
    worked(ledger.cancel(&job_id("cancelled")).await, "cancelling");
    assert_eq!(ahead("runs").await, 0, "none is ahead of a job that runs");
    assert_eq!(ahead("third").await, 3, "a job that runs or has ended is not ahead");
    let lease = granted(ledger, "paused", LONG).await;
    worked(ledger.pause(&lease, &checkpoint(10)).await, "pausing under a lease");
    assert_eq!(ahead("third").await, 2, "a job that paused later is behind");
    pass(ledger.table(), BRIEF).await;
    accept(ledger, "last").await;
    assert_eq!(ahead("last").await, 4, "a job that waits for its next run is ahead of later ones");
    pass(ledger.table(), BRIEF).await;
    worked(ledger.note_sent(&job_id("first")).await, "noting that a message is sent");
    assert_eq!(ahead("second").await, 0, "a job whose message was sent later is behind");
    assert_eq!(ahead("first").await, 4, "and the others are ahead of it");
}

pub(super) async fn history_of_a_definition_has_files_that_were_made<T: JobTable + JobQueries>(
    ledger: &Ledger<T>,
    pass: &impl AsyncFn(&T, Duration),
) {
    let version = |letter: &str| letter.repeat(64);
    for (name, letter) in [("old", "a"), ("other", "b"), ("new", "a"), ("given", "a"), ("expired", "a")] {
        accept(ledger, name).await;
        let lease = granted(ledger, name, LONG).await;
        let made_by = if name == "given" { job_id("new") } else { lease.job().clone() };
        let proof =
            Receipt { definition_sha256: version(letter), expires_at: FAR_OFF, ..receipt(&made_by, 1) };
        worked(ledger.ready(&lease, &proof).await, "making ready under a lease");
        pass(ledger.table(), BRIEF).await;
    }
    worked(ledger.expire(&job_id("expired")).await, "expiring");
    let failed = NewJob { definition_sha256: Some(version("a")), ..new_job("failed") };
    worked(ledger.accept(&failed).await, "accepting");
    let lease = granted(ledger, "failed", LONG).await;
    worked(ledger.fail(&lease, &failure("query_failed")).await, "failing under a lease");
    let last = async |letter: &str, limit| {
        let jobs = worked(ledger.last_of_definition(&version(letter), limit).await, "listing the last");
        jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!(
        last("a", 9).await,
        ["expired", "new", "old"].map(job_id),
        "the files that jobs of this version made themselves, the newest first"
    );
    assert_eq!(last("a", 2).await, ["expired", "new"].map(job_id), "and no more than asked");
    assert_eq!(last("b", 9).await, [job_id("other")], "another version has its own history");
    assert_eq!(last("c", 9).await, [], "a new version has none");
}

pub(super) async fn requesters_unended_jobs_are_found<T: JobTable + JobQueries>(ledger: &Ledger<T>) {
    for name in ["queued", "runs", "waits", "ready", "failed", "cancelled"] {
        accept(ledger, name).await;
    }
    let others = NewJob { requested_by: requester(TARO), ..new_job("another's") };
    worked(ledger.accept(&others).await, "accepting");
    for name in ["runs", "waits", "ready", "failed"] {
        let lease = granted(ledger, name, LONG).await;
        match name {
            "waits" => drop(worked(ledger.pause(&lease, &checkpoint(10)).await, "pausing")),
            "ready" => drop(worked(ledger.ready(&lease, &receipt(lease.job(), 1)).await, "making ready")),
            "failed" => drop(worked(ledger.fail(&lease, &failure("query_failed")).await, "failing")),
            _ => {}
        }
    }
    worked(ledger.cancel(&job_id("cancelled")).await, "cancelling");
    let unended = async |limit| {
        let jobs = worked(ledger.unended_of(&requester(HANAKO), limit).await, "listing unended jobs");
        ids(jobs)
    };
    let mut expected = ["queued", "runs", "waits"].map(job_id);
    expected.sort();
    let mut all = unended(9).await;
    all.sort();
    assert_eq!(all, expected, "a requester's jobs that have not ended");
    assert_eq!(unended(2).await.len(), 2, "no more than asked");
}

async fn pages<T: JobQueries>(ledger: &Ledger<T>, filter: &JobFilter<'_>, size: u32) -> Vec<JobId> {
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let (jobs, after) = page(ledger, filter, next.as_ref(), size).await;
        assert!(jobs.len() <= size as usize, "no more than asked, got {jobs:?}");
        all.extend(jobs);
        match after {
            Some(after) => next = Some(after),
            None => return all,
        }
    }
}

async fn page<T: JobQueries>(
    ledger: &Ledger<T>,
    filter: &JobFilter<'_>,
    after: Option<&Cursor>,
    size: u32,
) -> (Vec<JobId>, Option<Cursor>) {
    let page = worked(ledger.jobs_of(filter, after, size).await, "listing jobs");
    (ids(page.jobs), page.next)
}

fn ids(jobs: Vec<Job>) -> Vec<JobId> {
    jobs.into_iter().map(|job| job.id).collect()
}

async fn stale<T: JobTable>(ledger: &Ledger<T>, after: Duration) -> Vec<JobId> {
    ids(worked(ledger.stale_jobs(StaleFilter::Unsent(after), 100).await, "listing stale jobs"))
}
