//! The ledger in MySQL: the rules of every ledger, and those of its own tables.

use std::time::Duration;

use downpipe_core::job::{JobState, NewJob};
use downpipe_core::ledger::{Claim, Ledger as _};
use downpipe_core::message::Message;
use downpipe_core::testing::contracts::ledger_contract;
use downpipe_mysql::{MySqlLedger, migrate};
use downpipe_tests::database::TestDatabase;
use sqlx::Row as _;

#[tokio::test]
async fn it_keeps_the_rules_of_every_ledger() {
    let database = TestDatabase::migrated().await;
    ledger_contract(
        async || {
            database.execute("DELETE FROM downpipe_jobs; DELETE FROM downpipe_other_names").await;
            MySqlLedger::new(database.database())
        },
        // The database's own clock cannot be moved: what must run out is waited for.
        async |_, time| tokio::time::sleep(time + Duration::from_millis(20)).await,
    )
    .await;
}

#[tokio::test]
async fn migrations_may_run_again_and_at_once() {
    let database = TestDatabase::create().await;
    let (a, b) = tokio::join!(async { migrate(&database.database()).await }, async {
        migrate(&database.database()).await
    });
    a.unwrap();
    b.unwrap();
    migrate(&database.database()).await.unwrap();
    let tables: Vec<String> = database.query("SHOW TABLES").await.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        tables,
        ["downpipe_jobs", "downpipe_migrations", "downpipe_other_names"],
        "the application's own tables stay apart"
    );
}

/// Two workers that want the same job at the same time: exactly one gets it.
#[tokio::test]
async fn one_of_many_gets_the_job() {
    let database = TestDatabase::migrated().await;
    let body = r#"{"export":"orders"}"#;
    let job = NewJob::of(&Message::parse(body), "message", body).unwrap();
    let claims = (0..8).map(|worker| {
        let ledger = MySqlLedger::new(database.database());
        let job = job.clone();
        tokio::spawn(async move {
            ledger.accept(&job).await.unwrap();
            ledger.claim(&job.id, &format!("worker {worker}"), Duration::from_secs(60)).await.unwrap()
        })
    });
    let mut granted = 0;
    for claim in claims.collect::<Vec<_>>() {
        match claim.await.unwrap() {
            Claim::Granted(lease, _) => {
                granted += 1;
                assert_eq!(lease.attempt, 1);
            }
            Claim::Busy(job, left) => {
                assert_eq!(job.state, JobState::Running);
                assert!(left > Duration::from_secs(50), "{left:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(granted, 1);
}

/// A Lambda's environment may sleep for longer than the server keeps an idle connection.
#[tokio::test]
async fn a_connection_that_died_in_its_sleep_is_replaced() {
    let database = TestDatabase::migrated().await;
    let ledger = MySqlLedger::new(database.database());
    assert_eq!(ledger.latest(1).await.unwrap(), []);
    let id = database.opened_by().await[0];
    database.execute(&format!("KILL CONNECTION {id}")).await;
    // The first use may find out the hard way; it never stays broken.
    drop(ledger.latest(1).await);
    assert_eq!(ledger.latest(1).await.unwrap(), []);
}
