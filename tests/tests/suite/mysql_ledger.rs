//! Tests the ledger in MySQL: the contract of every ledger, and the rules of its own tables.

use std::time::Duration;

use downpipe_aws::SecretLogin;
use downpipe_core::error_chain::error_chain;
use downpipe_core::job::{JobState, NewJob, Via};
use downpipe_core::ledger::{CancelOutcome, Claim, Download, DownloadVia, Ledger};
use downpipe_core::message::Message;
use downpipe_core::testing::contracts::ledger_contract;
use downpipe_mysql::{Database, MySqlJobTable};
use downpipe_tests::database::TestDatabase;
use downpipe_tests::unique;

#[tokio::test]
async fn mysql_ledger_keeps_the_ledger_contract() {
    let database = TestDatabase::migrated().await;
    ledger_contract(
        async || {
            database.empty_ledger().await;
            MySqlJobTable::new(database.database())
        },
        // The database's clock cannot be moved, so the test waits for a lease to expire.
        async |_, time| tokio::time::sleep(time + Duration::from_millis(20)).await,
    )
    .await;
}

/// Reads the README and the reference pages.
fn documents() -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.chain([root.join("README.md")]).map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// Creates a user that has these grants on tables of the ledger, each of them documented, and no other. Returns its name and URL.
async fn user_with(database: &TestDatabase, grants: &[(&str, &str)]) -> (String, url::Url) {
    let documents = documents().replace('\n', " ");
    let user = unique("grants").replace('-', "_");
    database.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'")).await;
    for (table, grants) in grants {
        assert!(documents.contains(&format!("`{grants}` on `{table}`")), "{grants} on {table}");
        database.execute(&format!("GRANT {grants} ON {}.{table} TO '{user}'@'%'", database.name)).await;
    }
    let mut url = url::Url::parse(&database.url).unwrap();
    url.set_username(&user).unwrap();
    url.set_password(Some("secret")).unwrap();
    (user, url)
}

fn table_at(url: &url::Url) -> MySqlJobTable<SecretLogin> {
    MySqlJobTable::new(Database::at_url(url.as_str()).unwrap())
}

#[tokio::test]
async fn ledger_with_the_documented_grants_keeps_the_contract() {
    let database = TestDatabase::migrated().await;
    let grants = [
        ("downpipe_jobs", "SELECT, INSERT, UPDATE, DELETE"),
        ("downpipe_job_aliases", "SELECT, INSERT, DELETE"),
        ("downpipe_downloads", "SELECT, INSERT, DELETE"),
        ("downpipe_ended_sessions", "SELECT, INSERT, DELETE"),
    ];
    let (user, url) = user_with(&database, &grants).await;
    ledger_contract(
        async || {
            database.empty_ledger().await;
            table_at(&url)
        },
        async |_, time| tokio::time::sleep(time + Duration::from_millis(20)).await,
    )
    .await;
    database.execute(&format!("DROP USER '{user}'@'%'")).await;
}

/// The portal records requests and downloads, and deletes nothing.
#[tokio::test]
async fn ledger_with_the_portals_grants_answers_the_portal() {
    let database = TestDatabase::migrated().await;
    let grants = [
        ("downpipe_jobs", "SELECT, INSERT, UPDATE"),
        ("downpipe_job_aliases", "SELECT, INSERT"),
        ("downpipe_downloads", "SELECT, INSERT"),
        ("downpipe_ended_sessions", "SELECT, INSERT"),
    ];
    let (user, url) = user_with(&database, &grants).await;
    let ledger = Ledger::new(table_at(&url));
    let job = |key: &str| {
        let body = format!(r#"{{"export":"orders","request_id":"{key}"}}"#);
        let job = NewJob::of(&Message::parse(&body), "message", &body).unwrap();
        NewJob { fingerprint: Some("a".repeat(64)), via: Via::Page, ..job }
    };
    let first = job("first");
    assert_eq!(ledger.accept(&first).await.unwrap(), first.id);
    assert_eq!(ledger.accept(&job("second")).await.unwrap(), first.id, "an alias");
    let sent = ledger.note_sent(&first.id).await.unwrap().unwrap();
    assert_eq!(ledger.latest(9).await.unwrap(), std::slice::from_ref(&sent));
    assert_eq!(ledger.several(std::slice::from_ref(&first.id)).await.unwrap(), std::slice::from_ref(&sent));
    assert_eq!(ledger.unended_of(&sent.requested_by, 9).await.unwrap(), std::slice::from_ref(&sent));
    assert_eq!(ledger.ahead(&sent).await.unwrap(), 0);
    assert_eq!(ledger.last_of_definition(&"b".repeat(64), 9).await.unwrap(), []);
    assert!(matches!(ledger.cancel(&first.id).await.unwrap(), CancelOutcome::Done(_)));
    let download = Download {
        job: first.id.clone(),
        export: "orders".to_owned(),
        title: "Orders".to_owned(),
        file: 1,
        requester: None,
        via: DownloadVia::Link,
        app: None,
        address: None,
        at: sent.created_at,
    };
    ledger.record_download(&download).await.unwrap();
    assert_eq!(ledger.downloads(&first.id).await.unwrap(), [download]);
    let (digest, until) = ("c".repeat(64), sent.created_at + Duration::from_secs(3600));
    for _ in 0..2 {
        ledger.end_session(&digest, until).await.unwrap();
    }
    assert!(ledger.is_session_ended(&digest).await.unwrap());
    let error = error_chain(&ledger.forget_access(9).await.unwrap_err());
    assert!(error.contains("1142"), "it may not delete: {error}");
    database.execute(&format!("DROP USER '{user}'@'%'")).await;
}

/// A year is too long to wait, so the download is dated back.
#[tokio::test]
async fn access_past_its_time_is_deleted_by_the_sweep() {
    let database = TestDatabase::migrated().await;
    let ledger = downpipe_mysql::ledger(database.database());
    for days in [366, 364] {
        let insert = "INSERT INTO downpipe_downloads SET job_id = REPEAT('0', 24), export = 'orders', title = '', file = 1, via = 'link'";
        let at = format!("downloaded_at = UTC_TIMESTAMP(6) - INTERVAL {days} DAY");
        database.execute(&format!("{insert}, {at}")).await;
    }
    for (digest, seconds) in [("a", -1), ("b", 3600)] {
        let until = format!("good_until = UTC_TIMESTAMP(6) + INTERVAL {seconds} SECOND");
        let digest = digest.repeat(64);
        database
            .execute(&format!("INSERT INTO downpipe_ended_sessions SET digest = '{digest}', {until}"))
            .await;
    }
    assert_eq!(ledger.forget_access(100).await.unwrap(), 2);
    assert_eq!(ledger.forget_access(100).await.unwrap(), 0);
    assert_eq!(ledger.downloads(&"0".repeat(24).parse().unwrap()).await.unwrap().len(), 1);
    assert!(ledger.is_session_ended(&"b".repeat(64)).await.unwrap());
}

/// Eight workers claim a job at the same time, and exactly one gets it.
#[tokio::test]
async fn claim_by_eight_workers_is_granted_once() {
    let database = TestDatabase::migrated().await;
    let body = r#"{"export":"orders"}"#;
    let job = NewJob::of(&Message::parse(body), "message", body).unwrap();
    let claims = (0..8).map(|worker| {
        let ledger = downpipe_mysql::ledger(database.database());
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
                assert_eq!(lease.attempt(), 1);
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

/// A Lambda environment may sleep for longer than the server keeps an idle connection.
#[tokio::test]
async fn idle_connection_killed_by_the_server_is_replaced() {
    let database = TestDatabase::migrated().await;
    let ledger = downpipe_mysql::ledger(database.database());
    assert_eq!(ledger.latest(1).await.unwrap(), []);
    let id = database.opened_by().await[0];
    database.execute(&format!("KILL CONNECTION {id}")).await;
    // The first use may fail; the next must succeed.
    drop(ledger.latest(1).await);
    assert_eq!(ledger.latest(1).await.unwrap(), []);
}
