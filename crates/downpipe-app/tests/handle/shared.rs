//! Requests that share a result: one job leads, the others follow and are given its file.

use std::time::Duration;

use downpipe_app::worker::Outcome;
use downpipe_core::catalog::{Catalog, DefinitionFile};
use downpipe_core::job::{Job, JobState};
use downpipe_core::ledger::CancelOutcome;
use downpipe_core::message::Rejection;
use downpipe_core::source::SourceError;
use downpipe_core::store::ResumableStore as _;

use crate::parts::{Scripts, query_failed};
use crate::test_worker::{TestWorker, VISIBILITY, continuation, delivery, retry_after};

/// Asks for an export as this person.
fn ask(export: &str, who: &str) -> String {
    format!(r#"{{"export":"{export}","requested_by":"{who}@example.com","request_id":"{who}"}}"#)
}

/// The job of this person.
async fn job_of(worker: &TestWorker, who: &str) -> Job {
    let jobs = worker.worker.ledger.latest(1000).await.unwrap();
    let address = format!("{who}@example.com");
    jobs.into_iter().find(|job| job.requested_by.as_str() == address).unwrap()
}

/// Delivers what the worker has sent to the queue since the first so many messages.
async fn deliver_sent(worker: &TestWorker, from: usize) {
    for (number, body) in worker.worker.queue.sent().iter().enumerate().skip(from) {
        assert_eq!(worker.deliver(&format!("sent-{number}"), body).await, Outcome::Done, "{body}");
    }
}

/// Has `leader` ask, and `others` 5 seconds later, while the query runs.
async fn ask_together(worker: &TestWorker, export: &str, leader: &str, others: &[String]) -> Outcome {
    let follow = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        for who in others {
            assert_eq!(worker.deliver(who, &ask(export, who)).await, Outcome::Done);
            assert_eq!(job_of(worker, who).await.state, JobState::Queued);
        }
    };
    let body = ask(export, leader);
    tokio::join!(worker.deliver(leader, &body), follow).0
}

fn people(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("p{number}")).collect()
}

#[tokio::test(start_paused = true)]
async fn crowd_on_a_shared_export_is_one_query_and_each_gets_the_file() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(30)));
    assert_eq!(ask_together(&worker, "shared", "leader", &people(99)).await, Outcome::Done);
    assert_eq!(worker.worker.queue.sent().len(), 99, "a message for each that waited");
    deliver_sent(&worker, 0).await;
    let jobs = worker.worker.ledger.latest(1000).await.unwrap();
    let (leader, mut told) = (job_of(&worker, "leader").await, worker.told());
    for job in &jobs {
        let receipt = job.receipt.as_ref().unwrap();
        assert_eq!((job.state, &receipt.job_id), (JobState::Ready, &leader.id.to_string()));
        assert_eq!(receipt.requested_by, job.requested_by.as_str(), "and learns of no other requester");
    }
    told.sort_by(|a, b| a.0.cmp(&b.0));
    told.dedup();
    assert_eq!((worker.worker.source.answered(), jobs.len(), told.len()), (1, 100, 100));
    assert_eq!((worker.worker.store.keys().len(), worker.told().len()), (2, 100), "one file and its receipt");
}

#[tokio::test(start_paused = true)]
async fn crowd_larger_than_a_batch_is_called_in_several() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(300)));
    ask_together(&worker, "shared", "leader", &people(120)).await;
    let sent = worker.worker.queue.sent();
    assert_eq!(sent.len(), 101, "a batch, and the leader's next delivery");
    assert_eq!(sent[100], continuation(&job_of(&worker, "leader").await));
    deliver_sent(&worker, 0).await;
    deliver_sent(&worker, 101).await;
    let jobs = worker.worker.ledger.latest(1000).await.unwrap();
    assert!(jobs.iter().all(|job| job.state == JobState::Ready), "{}", worker.worker.queue.sent().len());
    assert_eq!((jobs.len(), worker.worker.source.answered(), worker.told().len()), (121, 1, 121));
}

#[tokio::test(start_paused = true)]
async fn crowd_on_an_unshared_export_is_a_query_each() {
    let worker = TestWorker::new(Scripts::good());
    for who in people(100) {
        assert_eq!(worker.deliver(&who, &ask("all", &who)).await, Outcome::Done);
        let job = job_of(&worker, &who).await;
        let receipt = job.receipt.unwrap();
        assert_eq!(
            (receipt.job_id, receipt.requested_by),
            (job.id.to_string(), job.requested_by.to_string())
        );
    }
    assert_eq!((worker.worker.source.answered(), worker.told().len()), (100, 100));
    assert_eq!(worker.worker.store.keys().len(), 200, "a file and its receipt each");
}

#[tokio::test(start_paused = true)]
async fn follower_of_a_cancelled_leader_leads() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(30)));
    let cancel = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let leader = job_of(&worker, "leader").await;
        assert_eq!(worker.worker.ledger.cancel(&leader.id).await.unwrap(), CancelOutcome::Requested);
    };
    let others = ["one".to_owned(), "two".to_owned()];
    let (outcome, ()) = tokio::join!(ask_together(&worker, "shared", "leader", &others), cancel);
    assert_eq!(outcome, Outcome::Done);
    let [one, two] = [job_of(&worker, "one").await, job_of(&worker, "two").await];
    assert_eq!(worker.worker.queue.sent(), [continuation(&one), continuation(&two)]);
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(worker.deliver("sent-1", &continuation(&two)).await, Outcome::Done);
    };
    tokio::join!(
        async { assert_eq!(worker.deliver("sent-0", &continuation(&one)).await, Outcome::Done) },
        second
    );
    deliver_sent(&worker, 2).await;
    let states = [JobState::Cancelled, JobState::Ready, JobState::Ready];
    for (who, state) in ["leader", "one", "two"].into_iter().zip(states) {
        assert_eq!(job_of(&worker, who).await.state, state, "{who}");
    }
    assert_eq!((worker.worker.source.answered(), worker.told().len()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn follower_of_a_failed_leader_fails_alike_and_the_operator_is_told_once() {
    let worker = TestWorker::new(Scripts::thinking_and_failing(Duration::from_secs(30), query_failed));
    ask_together(&worker, "shared", "leader", &people(3)).await;
    deliver_sent(&worker, 0).await;
    for who in people(3) {
        let job = job_of(&worker, &who).await;
        assert_eq!((job.state, job.failure.unwrap().code.as_str()), (JobState::Failed, "query_failed"));
    }
    let told: Vec<String> = worker.told().into_iter().map(|(who, _)| who).collect();
    let people = ["leader", "p1", "p2", "p3"].map(|who| format!("{who}@example.com"));
    assert_eq!((told[0].as_str(), &told[1..]), ("operator", people.as_slice()));
    assert_eq!(worker.worker.source.answered(), 1);
    // A later click is tried anew.
    worker.pass(Duration::from_secs(1)).await;
    worker.deliver("later", &ask("shared", "later")).await;
    assert_eq!(worker.worker.source.answered(), 2);
}

#[tokio::test(start_paused = true)]
async fn follower_of_a_refused_leader_is_tried() {
    let refused = || SourceError::ParamRefused {
        rejection: Rejection {
            field: "params.region".to_owned(),
            expected: "another".to_owned(),
            actual: "this".to_owned(),
        },
        detail: String::new(),
    };
    let worker = TestWorker::new(Scripts::thinking_and_failing(Duration::from_secs(30), refused));
    ask_together(&worker, "shared", "leader", &people(1)).await;
    deliver_sent(&worker, 0).await;
    assert_eq!(worker.worker.source.answered(), 2, "what is refused to one may be given to another");
}

#[tokio::test(start_paused = true)]
async fn follower_of_a_leader_whose_worker_died_is_given_the_file_of_the_next_attempt() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(30)));
    let body = ask("shared", "leader");
    worker.handle_and_die(&delivery("leader", &body, 1), Duration::from_secs(10)).await;
    assert_eq!(worker.deliver("p1", &ask("shared", "p1")).await, Outcome::Done);
    assert_eq!(job_of(&worker, "p1").await.state, JobState::Queued);
    worker.pass(VISIBILITY).await;
    assert_eq!(worker.handle(&delivery("leader", &body, 2)).await, Outcome::Done);
    deliver_sent(&worker, 0).await;
    assert_eq!(job_of(&worker, "p1").await.state, JobState::Ready);
    assert_eq!((worker.worker.source.answered(), worker.told().len()), (2, 2));
}

/// The worker that made the leader ready died before it sent any message.
#[tokio::test(start_paused = true)]
async fn followers_are_called_when_the_message_of_their_leader_comes_again() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(30)));
    worker.worker.queue.fail_next(1);
    ask_together(&worker, "shared", "leader", &people(2)).await;
    assert_eq!(worker.worker.queue.sent(), [""; 0]);
    worker.handle(&delivery("leader", &ask("shared", "leader"), 2)).await;
    assert_eq!(worker.worker.queue.sent().len(), 2);
    deliver_sent(&worker, 0).await;
    assert_eq!((worker.worker.source.answered(), worker.told().len()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn follower_without_access_is_refused_and_the_next_is_given_the_file() {
    let mut worker = TestWorker::new(Scripts::thinking(Duration::from_secs(30)));
    ask_together(&worker, "shared", "leader", &people(2)).await;
    worker.worker.catalog = only_for(r#"["leader@example.com", "p2@example.com"]"#);
    deliver_sent(&worker, 0).await;
    let [one, two] = [job_of(&worker, "p1").await, job_of(&worker, "p2").await];
    assert_eq!((one.state, one.failure.unwrap().code.as_str()), (JobState::Failed, "rejected"));
    // The definition is another one now, and so is its result.
    assert_eq!((two.state, two.receipt.unwrap().job_id), (JobState::Ready, two.id.to_string()));
    assert_eq!(worker.worker.source.answered(), 2);
}

fn only_for(requesters: &str) -> Catalog {
    let text = format!(
        "title = \"Shared\"\nsql = \"SELECT id, memo FROM orders\"\naccess = {{ requesters = {requesters}, shared = true }}"
    );
    Catalog::parse(&[DefinitionFile { file: "shared.toml".to_owned(), text }]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn follower_whose_file_is_gone_makes_it_anew_for_all() {
    let worker = TestWorker::new(Scripts::thinking(Duration::from_secs(30)));
    ask_together(&worker, "shared", "leader", &people(2)).await;
    let receipt = job_of(&worker, "leader").await.receipt.unwrap();
    worker.worker.store.remove(&receipt).await.unwrap();
    let [one, two] = [job_of(&worker, "p1").await, job_of(&worker, "p2").await];
    let second = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        // It cannot use the result, and another job leads.
        assert_eq!(worker.deliver("sent-1", &continuation(&two)).await, retry_after(15));
    };
    let body = continuation(&one);
    let (outcome, ()) = tokio::join!(worker.deliver("sent-0", &body), second);
    assert_eq!(outcome, Outcome::Done);
    deliver_sent(&worker, 2).await;
    let two = job_of(&worker, "p2").await;
    assert_eq!((two.state, two.receipt.unwrap().job_id), (JobState::Ready, one.id.to_string()));
    assert_eq!((worker.worker.source.answered(), worker.told().len()), (2, 3));
}
