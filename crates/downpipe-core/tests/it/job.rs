//! Tests that a job's identity follows from its request.

use downpipe_core::job::{JobId, JobState, NewJob};
use downpipe_core::message::{MAX_BODY_BYTES, Message};
use insta::assert_snapshot;

use crate::samples::message;

const REQUEST: &str =
    r#"{"export":"orders","params":{"from":"2026-01-01","limit":5},"requested_by":"alice@example.com"}"#;

fn id(body: &str, message_id: &str) -> JobId {
    JobId::of_request(&message(body), message_id)
}

/// A release that changed the ids would deliver every file in progress twice during its rollout.
#[test]
fn job_id_of_a_request_never_changes() {
    assert_snapshot!(id(REQUEST, "m-1"), @"ee3d9164b6b5f6e99a42f5a3");
    assert_snapshot!(id(r#"{"export":"orders","request_id":"r-1"}"#, "m-1"), @"08f5db07595592aaa999cdaf");
    assert_snapshot!(JobId::of_unreadable("m-1", "test"), @"6d1b1c3ca78d662fb304bc1f");
}

#[test]
fn equal_requests_have_the_same_job_id() {
    let reordered = r#" {"requested_by":"alice@example.com", "profile":null,
        "params":{"limit":5,"from":"2026-01-01"}, "export":"orders"} "#;
    assert_eq!(id(REQUEST, "m-1"), id(reordered, "m-1"));
    let keyed = r#"{"export":"orders","request_id":"r-1"}"#;
    assert_eq!(id(keyed, "m-1"), id(keyed, "m-2"), "the sender's key counts, not the delivery");
    let in_japanese = r#"{"export":"orders","request_id":"r-1","language":"ja"}"#;
    assert_eq!(
        id(keyed, "m-1"),
        id(in_japanese, "m-1"),
        "the language of the e-mails is no part of a request"
    );
    assert_eq!(
        id(r#"{"export":"orders"}"#, "r-1"),
        id(keyed, "m-1"),
        "the message id is a key like any other"
    );
}

#[test]
fn different_requests_have_different_job_ids() {
    let others = [
        REQUEST.replace("alice", "bob"),
        REQUEST.replace("orders", "order"),
        REQUEST.replace("2026-01-01", "2026-01-02"),
        REQUEST.replace("5", "\"5\""),
        REQUEST.replace("\"export\"", "\"profile\":\"excel\",\"export\""),
        REQUEST.replace("\"export\"", "\"request_id\":\"r-1\",\"export\""),
    ];
    let mut ids: Vec<JobId> = others.iter().map(|body| id(body, "m-1")).collect();
    ids.push(id(REQUEST, "m-1"));
    ids.push(id(REQUEST, "m-2"));
    ids.push(JobId::of_unreadable("m-1", REQUEST));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), others.len() + 3);
}

#[test]
fn job_id_of_other_than_24_hexadecimal_digits_is_refused() {
    assert_eq!(
        "0123456789abcdef01234567".parse::<JobId>().map(|id| id.to_string()),
        Ok("0123456789abcdef01234567".into())
    );
    for wrong in [
        "",
        "0123456789abcdef0123456",
        "0123456789abcdef012345678",
        "0123456789ABCDEF01234567",
        "0123456789abcdef0123456g",
        "../../../../../etc/passwd",
    ] {
        assert!(wrong.parse::<JobId>().is_err(), "{wrong}");
    }
}

#[test]
fn job_state_is_parsed_by_its_name() {
    let names = ["queued", "running", "waiting", "ready", "failed", "cancelled", "expired"];
    assert_eq!(JobState::ALL.map(JobState::as_str), names);
    for state in JobState::ALL {
        let name = state.as_str();
        assert_eq!(name.parse(), Ok(state));
        assert_eq!(serde_json::to_value(state).unwrap(), name);
    }
    assert_snapshot!("done".parse::<JobState>().unwrap_err(), @r#"expected a job state, got "done""#);
    let terminal: Vec<&str> =
        JobState::ALL.into_iter().filter(|state| state.is_terminal()).map(JobState::as_str).collect();
    assert_eq!(terminal, ["ready", "failed", "cancelled", "expired"]);
}

fn new_job(body: &str) -> Option<NewJob> {
    NewJob::of(&Message::parse(body), "m-1", body)
}

#[test]
fn message_other_than_a_continuation_is_a_job() {
    assert_eq!(new_job(r#"{"continue":"0123456789abcdef01234567"}"#), None);
    let job = new_job(REQUEST).unwrap();
    assert_eq!(job.id, id(REQUEST, "m-1"));
    assert_eq!((job.requested_by.as_str(), job.export.as_str()), ("alice@example.com", "orders"));
    assert_eq!(
        (job.request_id.as_str(), job.message_id.as_str(), job.message.as_str()),
        ("m-1", "m-1", REQUEST)
    );
}

#[test]
fn unreadable_message_keeps_its_readable_fields() {
    let job = new_job("test").unwrap();
    assert_eq!(
        (job.requested_by.as_str(), job.export.as_str(), job.request_id.as_str()),
        ("operator", "", "m-1")
    );
    let body = r#"{"export":"orders","requested_by":"alice@example.com","request_id":"r-1","what":1}"#;
    let job = new_job(body).unwrap();
    assert_eq!(
        (job.requested_by.as_str(), job.export.as_str(), job.request_id.as_str()),
        ("alice@example.com", "orders", "r-1")
    );
    assert_eq!(job.id, JobId::of_unreadable("r-1", body));
    let body = r#"{"export":5,"requested_by":"a\r\nb","request_id":""}"#;
    let job = new_job(body).unwrap();
    assert_eq!(
        (job.requested_by.as_str(), job.export.as_str(), job.request_id.as_str()),
        ("operator", "", "m-1")
    );
}

#[test]
fn message_of_the_largest_size_fits_the_ledger() {
    let body = format!(r#"{{"export":"{}"}}"#, "x".repeat(MAX_BODY_BYTES));
    let job = new_job(&body).unwrap();
    assert_eq!((job.export.as_str(), job.message), ("", body));
}
