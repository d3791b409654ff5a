//! Tests jobs that share results, in a table that many workers write to at once.

use std::time::Duration;

use downpipe_aws::DynamoJobTable;
use downpipe_core::job::{JobId, JobState, NewJob};
use downpipe_core::ledger::{CancelOutcome, Claim, Lease, Ledger};
use downpipe_tests::STACK;
use downpipe_tests::dynamodb::LedgerTable;
use downpipe_tests::faults::http_proxy::{Action, HttpProxy, Rule};
use futures_util::future::join_all;

use super::{new_job, receipt, wait};

const LEASE: Duration = Duration::from_secs(60);

/// Returns a job of a requester of its own, for a request that all share.
fn shared(name: &str) -> NewJob {
    NewJob {
        requested_by: format!("{name}@example.com").parse().unwrap(),
        fingerprint: Some(format!("{:0>64}", new_job(name, None).id.as_str())),
        shared_fingerprint: Some("5".repeat(64)),
        ..new_job(name, None)
    }
}

async fn take(ledger: &Ledger<DynamoJobTable>, name: &str) -> Claim {
    ledger.accept_and_claim(&shared(name), None, "worker", LEASE).await.unwrap()
}

async fn led(ledger: &Ledger<DynamoJobTable>, name: &str) -> Lease {
    match take(ledger, name).await {
        Claim::Granted(lease, _) => lease,
        other => panic!("{name}: {other:?}"),
    }
}

/// Ends a job, notifies its requester, and has its file expire.
async fn end(ledger: &Ledger<DynamoJobTable>, lease: &Lease, made_by: &JobId) {
    let notice = ledger.ready(lease, &receipt(made_by.as_str())).await.unwrap();
    ledger.notified(notice).await.unwrap();
}

async fn forget(ledger: &Ledger<DynamoJobTable>, id: &JobId) {
    ledger.expire(id).await.unwrap();
    assert!(ledger.forget(id, Duration::ZERO).await.unwrap(), "{id}");
}

#[tokio::test]
async fn request_of_eight_at_once_is_led_by_one() {
    let table = LedgerTable::new().await;
    let claims = join_all((0..8).map(async |n| {
        let ledger = Ledger::new(table.adapter());
        take(&ledger, &format!("requester{n}")).await
    }))
    .await;
    let leads = claims.iter().filter(|claim| matches!(claim, Claim::Granted(..))).count();
    let follow = claims.iter().filter(|claim| matches!(claim, Claim::Follows(_))).count();
    assert_eq!((leads, follow), (1, 7), "{claims:?}");
    assert_eq!(table.keys("lead#").await.len(), 1);
    assert_eq!(table.keys("active#").await.len(), 8, "each is a job of its own");
}

#[tokio::test]
async fn followers_of_many_workers_are_all_listed_answered_and_deleted() {
    let table = LedgerTable::new().await;
    let ledger = Ledger::new(table.adapter());
    let leader = led(&ledger, "leader").await;
    let of_workers = join_all((0..8).map(async |worker| {
        let ledger = Ledger::new(table.adapter());
        let mut jobs = Vec::new();
        for n in 0..5 {
            match take(&ledger, &format!("follower{worker}-{n}")).await {
                Claim::Follows(job) => jobs.push(*job),
                other => panic!("{worker}: {other:?}"),
            }
        }
        jobs
    }))
    .await;
    let mut jobs = of_workers.concat();
    jobs.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    end(&ledger, &leader, leader.job()).await;
    let all = ledger.followers(leader.job(), 1000).await.unwrap();
    assert!(all.iter().eq(jobs.iter().map(|job| &job.id)), "the oldest first: {all:?}");
    assert_eq!(ledger.followers(leader.job(), 7).await.unwrap(), all[..7], "no more than asked");
    assert_eq!(ledger.followers(leader.job(), 0).await.unwrap(), []);
    // Two workers answer at once.
    let halves = all.chunks(20).map(async |half| {
        let ledger = Ledger::new(table.adapter());
        for id in half {
            let claim = ledger.claim(id, "worker", LEASE).await.unwrap();
            let Claim::Answered(lease, _, result) = claim else { panic!("{id}: {claim:?}") };
            assert_eq!(result.outcome.unwrap().job_id, leader.job().as_str());
            end(&ledger, &lease, leader.job()).await;
        }
    });
    join_all(halves).await;
    assert_eq!(ledger.followers(leader.job(), 1000).await.unwrap(), []);
    assert_eq!(table.keys("shared-ready#").await.len(), 1, "the leader alone has made a file");
    assert_eq!(table.keys("ready#").await.len(), 1, "the leader alone has made a file");
    for id in all.iter().chain([leader.job()]) {
        forget(&ledger, id).await;
    }
    assert_eq!(table.keys("").await, [] as [String; 0], "nothing is left of a job that is deleted");
}

#[tokio::test]
async fn follower_that_is_cancelled_is_listed_no_more() {
    let table = LedgerTable::new().await;
    let ledger = Ledger::new(table.adapter());
    let leader = led(&ledger, "leader").await;
    let Claim::Follows(follower) = take(&ledger, "follower").await else { panic!("a leader works") };
    let cancelled = ledger.cancel(&follower.id).await.unwrap();
    assert!(matches!(cancelled, CancelOutcome::Done(_)), "{cancelled:?}");
    end(&ledger, &leader, leader.job()).await;
    assert_eq!(ledger.followers(leader.job(), 10).await.unwrap(), []);
    let waiting = table.items().await.into_iter().filter(|item| item.contains_key("waiting")).count();
    assert_eq!(waiting, 0, "a set without members is no attribute");
}

/// A job that was deleted by hand stays in the list, and must not be called again and again.
#[tokio::test]
async fn list_that_names_a_job_that_is_gone_lists_the_others() {
    let table = LedgerTable::new().await;
    let ledger = Ledger::new(table.adapter());
    let leader = led(&ledger, "leader").await;
    for name in ["gone", "there"] {
        let claim = take(&ledger, name).await;
        assert!(matches!(claim, Claim::Follows(_)), "{name}: {claim:?}");
    }
    table.delete(&format!("job#{}", shared("gone").id)).await;
    end(&ledger, &leader, leader.job()).await;
    assert_eq!(ledger.followers(leader.job(), 10).await.unwrap(), [shared("there").id]);
}

/// A follower reads that a job leads before it writes, so many who follow do not meet in transactions on one item.
#[tokio::test]
async fn follower_sends_no_transaction_that_would_take_the_lead() {
    let table = LedgerTable::new().await;
    let proxy = HttpProxy::start(&STACK.aws_endpoint_url).await;
    let ledger = Ledger::new(table.adapter());
    led(&ledger, "leader").await;
    let follower = Ledger::new(table.adapter_at(&proxy.endpoint()).await);
    let claim = take(&follower, "follower").await;
    assert!(matches!(claim, Claim::Follows(_)), "{claim:?}");
    let requests = proxy.requests();
    let transactions = requests.iter().filter(|request| request.operation == "TransactWriteItems").count();
    assert_eq!(transactions, 1, "its insertion is the only transaction");
}

#[tokio::test]
async fn lead_and_result_whose_answers_are_lost_are_written_once() {
    let table = LedgerTable::new().await;
    let proxy = HttpProxy::start(&STACK.aws_endpoint_url).await;
    proxy.add_rule(Rule::on("TransactWriteItems", Action::LoseAnswer).always());
    let ledger = Ledger::new(table.adapter_at(&proxy.endpoint()).await);
    let leader = led(&ledger, "leader").await;
    let claim = take(&ledger, "follower").await;
    assert!(matches!(claim, Claim::Follows(_)), "{claim:?}");
    ledger.ready(&leader, &receipt(leader.job().as_str())).await.unwrap();
    assert_eq!(table.keys("lead#").await, [] as [String; 0]);
    assert_eq!(table.keys("led#").await.len(), 1);
    let follower = shared("follower").id;
    assert_eq!(ledger.followers(leader.job(), 10).await.unwrap(), std::slice::from_ref(&follower));
    let claim = ledger.claim(&follower, "worker", LEASE).await.unwrap();
    let Claim::Answered(lease, job, _) = claim else { panic!("{claim:?}") };
    assert_eq!((lease.attempt(), job.state), (1, JobState::Running));
    assert_eq!(ledger.followers(leader.job(), 10).await.unwrap(), []);
}

#[tokio::test]
async fn leader_whose_lease_ran_out_keeps_the_lead_for_its_next_worker() {
    let table = LedgerTable::new().await;
    let ledger = Ledger::new(table.settled_adapter().await);
    let brief = Duration::from_millis(100);
    let claim = ledger.accept_and_claim(&shared("leader"), None, "worker", brief).await.unwrap();
    assert!(matches!(claim, Claim::Granted(..)), "{claim:?}");
    let claim = take(&ledger, "follower").await;
    assert!(matches!(claim, Claim::Follows(_)), "{claim:?}");
    wait(Duration::from_secs(2)).await;
    let claim = ledger.claim(&shared("follower").id, "worker", LEASE).await.unwrap();
    assert!(matches!(claim, Claim::Follows(_)), "{claim:?}");
    let claim = ledger.claim(&shared("leader").id, "worker", LEASE).await.unwrap();
    let Claim::Granted(lease, _) = claim else { panic!("{claim:?}") };
    assert_eq!(lease.attempt(), 2);
}
