//! Tests that text of strangers and databases cannot control a terminal.

use std::time::Duration;

use downpipe_core::job::{Failure, NewJob};
use downpipe_core::ledger::Claim;
use downpipe_core::message::Message;
use downpipe_core::untrusted_text::is_hidden;
use downpipe_tests::database::TestDatabase;

use super::Shell;

/// A text that clears the screen and reverses the direction of text.
const HOSTILE: &str = "\u{1b}[2J\u{9b}2J\u{202e}gpj\u{7f}";

fn assert_tame(text: &str) {
    assert!(!text.replace('\n', "").contains(is_hidden), "{text:?}");
}

#[tokio::test]
async fn text_of_a_job_is_escaped_in_status_and_list() {
    let database = TestDatabase::migrated().await;
    let ledger = downpipe_mysql::ledger(database.database());
    let body = serde_json::json!({ "export": "a\u{202e}b", "request_id": "r\u{2066}\u{ffff}" }).to_string();
    let job = NewJob::of(&Message::parse(&body), "m-1", &body).unwrap();
    ledger.accept(&job).await.unwrap();
    let claim = ledger.claim(&job.id, "m-1", Duration::from_secs(60)).await.unwrap();
    let Claim::Granted(lease, _) = claim else { panic!("{claim:?}") };
    let failure = Failure {
        for_operator: true,
        detail: Some(format!("Table '{HOSTILE}\nstate         ready' doesn't exist")),
        ..Failure::new("definition").in_case("query").with("reason", HOSTILE)
    };
    ledger.fail(&lease, &failure).await.unwrap();
    let shell = Shell::on(&database);
    let status = shell.run(&["status", job.id.as_str()]).printed();
    assert!(status.contains(r"a\u{202e}b") && status.contains(r"\u{1b}[2J"), "{status}");
    assert!(!status.contains("\nstate         ready"), "a line of the database's own: {status}");
    let list = shell.run(&["list"]).printed();
    assert!(list.contains(r"a\u{202e}b"), "{list}");
    let json = shell.run(&["status", job.id.as_str(), "--json"]).printed();
    for printed in [&status, &list, &json] {
        assert_tame(printed);
    }
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["failure"]["detail"], failure.detail.unwrap(), "it says the same");
}

#[tokio::test]
async fn database_message_is_escaped_when_a_run_fails() {
    let database = TestDatabase::create().await;
    let shell = Shell::on(&database);
    let toml = "title = \"T\"\nsql = \"SELECT * FROM `no\\u001b[2J\\u202esuch`\"\n";
    std::fs::write(shell.path("exports/hostile.toml"), toml).unwrap();
    let said = shell.run(&["run", "hostile"]).refused(1);
    assert!(said.contains(r"no\u{1b}[2J\u{202e}such"), "{said}");
    assert_tame(&said);
}

#[tokio::test]
async fn headings_of_a_definition_are_escaped() {
    let database = TestDatabase::create().await;
    let shell = Shell::on(&database);
    let toml = "title = \"T\"\nsql = \"SELECT '=1' AS `a\\u001b[2J`\"\n";
    std::fs::write(shell.path("exports/heading.toml"), toml).unwrap();
    let ran = shell.run(&["run", "heading", "--profile", "excel", "--to", "out.csv"]);
    assert!(ran.stderr.contains(r"changed in a\u{1b}[2J: "), "{}", ran.stderr);
    assert_tame(&ran.stderr);
}
