//! `downpipe migrate`, `status` and `list`.

use std::process::Stdio;
use std::time::Duration;

use downpipe_core::job::{Failure, JobId, NewJob};
use downpipe_core::ledger::{Claim, Ledger as _};
use downpipe_core::message::Message;
use downpipe_mysql::MySqlLedger;
use downpipe_tests::database::TestDatabase;

use super::{Shell, masked};

const BODY: &str = r#"{"export":"orders","requested_by":"alice@example.com","request_id":"a-click"}"#;

/// A job that has failed.
async fn failed_job(database: &TestDatabase) -> JobId {
    let ledger = MySqlLedger::new(database.database());
    let job = NewJob::of(&Message::parse(BODY), "m-1", BODY).unwrap();
    ledger.accept(&job).await.unwrap();
    let claim = ledger.claim(&job.id, "m-1", Duration::from_secs(60)).await.unwrap();
    let Claim::Granted(lease, _) = claim else { panic!("{claim:?}") };
    let failure = Failure {
        code: "query_failed".to_owned(),
        message: "The database could not answer the query (error 1146).".to_owned(),
        advice: "Tell somebody.".to_owned(),
        for_operator: false,
        detail: Some("Table 'orders' doesn't exist".to_owned()),
    };
    ledger.fail(&lease, &failure).await.unwrap();
    job.id
}

#[tokio::test]
async fn migrate_makes_its_tables_and_may_be_run_again() {
    let database = TestDatabase::create().await;
    let shell = Shell::on(&database);
    let before = shell.run(&["list"]).refused(1);
    assert!(before.contains("`downpipe migrate` creates"), "{before}");
    for _ in 0..2 {
        let ran = shell.run(&["migrate"]);
        assert_eq!(ran.stderr, "the ledger's tables are up to date\n");
        assert_eq!(ran.printed(), "");
    }
    assert_eq!(shell.run(&["list", "--json"]).json(), serde_json::json!([]));
}

#[tokio::test]
async fn status_and_list_show_a_job() {
    let database = TestDatabase::migrated().await;
    let (shell, id) = (Shell::on(&database), failed_job(&database).await);
    let shown = shell.run(&["status", id.as_str()]).printed();
    let shown = ["created       ", "started       ", "finished      "]
        .into_iter()
        .fold(shown, |shown, name| masked(&shown, name, " UTC"));
    insta::assert_snapshot!(shown, @"
    job           cbd53f7451a20b4d9529bf4d
    state         failed
    export        orders
    requested by  alice@example.com
    request id    a-click
    attempt       1
    rows          0
    size          0 bytes
    created       … UTC
    started       … UTC
    finished      … UTC
    notified      -
    failure       query_failed
                  The database could not answer the query (error 1146).
                  Tell somebody.
    detail        Table 'orders' doesn't exist
    ");
    let json = shell.run(&["status", id.as_str(), "--json"]).json();
    assert_eq!((&json["id"], &json["state"]), (&id.as_str().into(), &"failed".into()));
    assert_eq!(json["failure"]["code"], "query_failed");

    let list = shell.run(&["list"]).printed();
    let (header, row) = list.trim_end().split_once('\n').unwrap();
    assert_eq!(
        header.split_whitespace().collect::<Vec<_>>().join(" "),
        "JOB STATE EXPORT REQUESTED BY ROWS SIZE CREATED"
    );
    assert!(row.starts_with(&format!("{id}  failed  orders  alice@example.com")), "{row}");
    assert_eq!(shell.run(&["list", "--limit", "1", "--json"]).json()[0], json);
}

#[tokio::test]
async fn a_job_that_is_not_there_is_a_failure() {
    let database = TestDatabase::migrated().await;
    let stderr = Shell::on(&database).run(&["status", "0123456789abcdef01234567"]).refused(1);
    assert_eq!(
        stderr,
        "downpipe: no job 0123456789abcdef01234567 in the ledger; it may still be in the queue\n"
    );
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let database = TestDatabase::migrated().await;
    failed_job(&database).await;
    let shell = Shell::on(&database);
    let mut child = shell.command(&["list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}
