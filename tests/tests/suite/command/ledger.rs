//! Tests `downpipe migrate`, `status` and `list`.

use std::process::Stdio;
use std::time::Duration;

use downpipe_core::job::{Failure, JobId, NewJob, Via};
use downpipe_core::ledger::{Claim, Download, DownloadVia};
use downpipe_core::message::Message;
use downpipe_tests::database::TestDatabase;
use serde_json::{Value, json};

use super::{Shell, masked};

const BODY: &str = r#"{"export":"orders","requested_by":"alice@example.com","request_id":"a-click"}"#;

/// Creates a job that has failed.
async fn failed_job(database: &TestDatabase) -> JobId {
    let ledger = downpipe_mysql::ledger(database.database());
    let job = NewJob::of(&Message::parse(BODY), "m-1", BODY).unwrap();
    ledger.accept(&job).await.unwrap();
    let claim = ledger.claim(&job.id, "m-1", Duration::from_secs(60)).await.unwrap();
    let Claim::Granted(lease, _) = claim else { panic!("{claim:?}") };
    let failure = Failure {
        detail: Some("Table 'orders' doesn't exist".to_owned()),
        ..Failure::new("query_failed").with("error", 1146)
    };
    ledger.fail(&lease, &failure).await.unwrap();
    job.id
}

#[tokio::test]
async fn migrate_run_twice_creates_the_tables_once() {
    let database = TestDatabase::create().await;
    let shell = Shell::on(&database);
    let before = shell.run(&["list"]).refused(1);
    assert!(before.contains("`downpipe migrate` creates"), "{before}");
    let up_to_date = "the ledger's tables are up to date: downpipe_jobs, downpipe_job_aliases, downpipe_downloads, downpipe_ended_sessions, \
         downpipe_migrations\n";
    for done in ["applied migration 1 (jobs)\n", ""] {
        let ran = shell.run(&["migrate"]);
        assert_eq!(ran.stderr, format!("{done}{up_to_date}"));
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
                  Asking again will not help. Tell the people who run this export the job number.
    detail        Table 'orders' doesn't exist
    ");
    let mut json = shell.run(&["status", id.as_str(), "--json"]).json();
    let others = json.as_object_mut().unwrap();
    assert_eq!((others.remove("ahead"), others.remove("downloads")), (Some(Value::Null), Some(json!([]))));
    assert_eq!((&json["id"], &json["state"]), (&id.as_str().into(), &"failed".into()));
    assert_eq!(json["failure"]["code"], "query_failed");
    assert_eq!(json["failure"]["args"], json!({ "error": 1146 }));
    assert_eq!(json["failure"]["message"], "The database could not answer the query (error 1146).");

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
async fn status_shows_the_place_in_the_queue_and_downloads() {
    let database = TestDatabase::migrated().await;
    let (shell, ledger) = (Shell::on(&database), downpipe_mysql::ledger(database.database()));
    let job = |key: &str, via| {
        let body = BODY.replace("a-click", key);
        NewJob { via, ..NewJob::of(&Message::parse(&body), "m-1", &body).unwrap() }
    };
    ledger.accept(&job("first", Via::Queue)).await.unwrap();
    let clicked = NewJob { app: Some("shop".to_owned()), ..job("second", Via::App) };
    ledger.accept(&clicked).await.unwrap();
    let queued = ledger.note_sent(&clicked.id).await.unwrap().unwrap();
    for requester in [None, Some("alice@example.com".parse().unwrap())] {
        let download = Download {
            job: clicked.id.clone(),
            export: "orders".to_owned(),
            title: "Orders".to_owned(),
            file: 1,
            via: if requester.is_none() { DownloadVia::Link } else { DownloadVia::Page },
            requester,
            app: None,
            address: Some("192.0.2.1".to_owned()),
            at: queued.created_at,
        };
        ledger.record_download(&download).await.unwrap();
    }
    let mut shown = shell.run(&["status", clicked.id.as_str()]).printed();
    for at in [queued.created_at, queued.sent_at.unwrap()] {
        shown = shown.replace(&at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(), "…");
    }
    insta::assert_snapshot!(shown, @"
    job           bca380c50e042579d7bfb34a
    state         queued
    export        orders
    requested by  alice@example.com
    request id    second
    attempt       0
    rows          0
    size          0 bytes
    created       …
    started       -
    finished      -
    notified      -
    via           app shop
    sent          …
    ahead         1
    download      … file 1, holder of the link, via link
    download      … file 1, alice@example.com, via page
    ");
    let json = shell.run(&["status", clicked.id.as_str(), "--json"]).json();
    assert_eq!((&json["ahead"], &json["via"], &json["app"]), (&json!(1), &json!("app"), &json!("shop")));
    assert_eq!(json["downloads"][1]["requester"], "alice@example.com");
}

#[tokio::test]
async fn list_shows_the_jobs_that_its_options_select() {
    let database = TestDatabase::migrated().await;
    let (shell, failed) = (Shell::on(&database), failed_job(&database).await);
    let ledger = downpipe_mysql::ledger(database.database());
    let body = r#"{"export":"items","requested_by":"bob@example.com"}"#;
    let queued = NewJob::of(&Message::parse(body), "m-2", body).unwrap();
    ledger.accept(&queued).await.unwrap();
    let listed = |options: &[&str]| {
        let jobs = shell.run(&[&["list", "--json"], options].concat()).json();
        let ids = jobs.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    let (failed, queued) = (failed.to_string(), queued.id.to_string());
    assert_eq!(listed(&["--since", "1h"]), [queued.clone(), failed.clone()]);
    assert_eq!(listed(&["--since", "2999-01-01T00:00:00Z"]), [""; 0]);
    assert_eq!(listed(&["--state", "failed"]), std::slice::from_ref(&failed));
    assert_eq!(listed(&["--requested-by", "bob@example.com"]), std::slice::from_ref(&queued));
    assert_eq!(listed(&["--export", "orders"]), [failed]);
    assert_eq!(listed(&["--export", "orders", "--requested-by", "bob@example.com"]), [""; 0]);
    let wrong = shell.run(&["list", "--state", "done"]).refused(2);
    assert!(wrong.contains("expected a job state, got \"done\""), "{wrong}");
}

#[tokio::test]
async fn status_of_an_unknown_job_fails() {
    let database = TestDatabase::migrated().await;
    let stderr = Shell::on(&database).run(&["status", "0123456789abcdef01234567"]).refused(1);
    assert_eq!(
        stderr,
        "downpipe: no job 0123456789abcdef01234567 in the ledger; it may still be in the queue\n"
    );
}

#[tokio::test]
async fn list_into_a_closed_pipe_succeeds() {
    let database = TestDatabase::migrated().await;
    failed_job(&database).await;
    let shell = Shell::on(&database);
    let mut child = shell.command(&["list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}
