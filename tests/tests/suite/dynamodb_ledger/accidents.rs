//! Tests what happens when DynamoDB throttles, fails, or its answers are lost.

use std::time::Duration;

use downpipe_aws::DynamoJobTable;
use downpipe_core::job::JobState;
use downpipe_core::ledger::{Claim, Ledger, LedgerError};
use downpipe_tests::STACK;
use downpipe_tests::dynamodb::LedgerTable;
use downpipe_tests::faults::http_proxy::{Action, HttpProxy, Rule};

use super::{new_job, receipt};

const LEASE: Duration = Duration::from_secs(60);

/// A table behind a proxy.
struct Scene {
    table: LedgerTable,
    proxy: HttpProxy,
    ledger: Ledger<DynamoJobTable>,
}

impl Scene {
    async fn new() -> Self {
        let table = LedgerTable::new().await;
        let proxy = HttpProxy::start(&STACK.aws_endpoint_url).await;
        let ledger = Ledger::new(table.adapter_at(&proxy.endpoint()).await);
        Self { table, proxy, ledger }
    }

    /// Takes a job from its acceptance to its end, and checks that everything took place once.
    async fn run_a_job(&self, name: &str) {
        let job = new_job(name, Some("a"));
        let claim = self.ledger.accept_and_claim(&job, None, "worker", LEASE).await.unwrap();
        let Claim::Granted(lease, claimed) = claim else { panic!("{name}: {claim:?}") };
        assert_eq!((lease.attempt(), &claimed.id), (1, &job.id), "{name}");
        self.ledger.advance(&lease, 5, 50).await.unwrap();
        let right = self.ledger.ready(&lease, &receipt(&job.id.to_string())).await.unwrap();
        self.ledger.notified(right).await.unwrap();
        let found = Ledger::new(self.table.adapter()).find(&job.id).await.unwrap().unwrap();
        assert_eq!((found.state, found.attempt, found.rows), (JobState::Ready, 1, 7), "{name}");
        assert!(found.notified_at.is_some(), "{name}");
        assert_eq!(self.table.keys("active#").await, [] as [String; 0], "{name}");
        assert_eq!(self.table.keys("ready#").await.len(), 1, "{name}");
    }
}

/// The write takes place, and its answer is lost once: the second attempt must not count as another write.
#[tokio::test]
async fn answer_that_is_lost_once_changes_nothing() {
    for operation in ["TransactWriteItems", "UpdateItem", "GetItem"] {
        let scene = Scene::new().await;
        for lost in 1..=2 {
            scene.proxy.add_rule(Rule::on(operation, Action::LoseAnswer).starting_at(lost));
        }
        scene.run_a_job(operation).await;
        assert!(scene.proxy.injected() >= 1, "{operation}");
    }
}

/// All answers to one write are lost: the item itself says that the write took place.
#[tokio::test]
async fn answer_that_stays_lost_is_found_in_the_item() {
    for operation in ["TransactWriteItems", "UpdateItem"] {
        let scene = Scene::new().await;
        let job = new_job("before", None);
        scene.ledger.accept(&job).await.unwrap();
        scene.proxy.add_rule(Rule::on(operation, Action::LoseAnswer).always());
        scene.run_a_job(operation).await;
        assert!(scene.proxy.injected() >= 4, "{operation}: {}", scene.proxy.injected());
    }
}

#[tokio::test]
async fn insertion_of_a_job_without_a_fingerprint_survives_a_lost_answer() {
    let scene = Scene::new().await;
    scene.proxy.add_rule(Rule::on("PutItem", Action::LoseAnswer));
    let claim = scene.ledger.accept_and_claim(&new_job("single", None), None, "worker", LEASE).await.unwrap();
    assert!(matches!(claim, Claim::Granted(..)), "{claim:?}");
    assert_eq!(scene.proxy.injected(), 1);
}

#[tokio::test]
async fn throttled_and_failed_requests_are_sent_again() {
    for (status, code) in [
        (400, "ProvisionedThroughputExceededException"),
        (400, "ThrottlingException"),
        (400, "TransactionConflictException"),
        (400, "TransactionInProgressException"),
        (500, "InternalServerError"),
        (503, ""),
    ] {
        let scene = Scene::new().await;
        for operation in ["TransactWriteItems", "UpdateItem", "GetItem"] {
            let is_of_writes = operation != "GetItem" || !code.starts_with("Transaction");
            if is_of_writes {
                scene.proxy.add_rule(Rule::on(operation, Action::Answer(status, code)));
            }
        }
        scene.run_a_job(code).await;
        assert!(scene.proxy.injected() >= 2, "{code}");
    }
}

#[tokio::test]
async fn table_that_throttles_without_end_is_unavailable() {
    let scene = Scene::new().await;
    let throttled = Action::Answer(400, "ProvisionedThroughputExceededException");
    scene.proxy.add_rule(Rule::any(throttled).always());
    let began = tokio::time::Instant::now();
    let error = scene.ledger.accept(&new_job("refused", Some("a"))).await.unwrap_err();
    assert!(matches!(error, LedgerError::Unavailable(_)), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(scene.table.items().await.len(), 0);
}
