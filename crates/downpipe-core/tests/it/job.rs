//! A job's identity follows from the request.

use downpipe_core::job::{JobId, JobState, NewJob};
use downpipe_core::message::{MAX_BODY_BYTES, Message};
use insta::assert_snapshot;

use crate::samples::message;

const REQUEST: &str =
    r#"{"export":"orders","params":{"from":"2026-01-01","limit":5},"requested_by":"alice@example.com"}"#;

fn id(body: &str, message_id: &str) -> JobId {
    JobId::of_request(&message(body), message_id)
}

/// A release that changed these would deliver every file twice that is under way while it is rolled out.
#[test]
fn ids_never_change() {
    assert_snapshot!(id(REQUEST, "m-1"), @"ee3d9164b6b5f6e99a42f5a3");
    assert_snapshot!(id(r#"{"export":"orders","request_id":"r-1"}"#, "m-1"), @"08f5db07595592aaa999cdaf");
    assert_snapshot!(JobId::of_unreadable("m-1", "test"), @"6d1b1c3ca78d662fb304bc1f");
}

#[test]
fn the_same_request_is_the_same_job() {
    let reordered = r#" {"requested_by":"alice@example.com", "profile":null,
        "params":{"limit":5,"from":"2026-01-01"}, "export":"orders"} "#;
    assert_eq!(id(REQUEST, "m-1"), id(reordered, "m-1"));
    let keyed = r#"{"export":"orders","request_id":"r-1"}"#;
    assert_eq!(id(keyed, "m-1"), id(keyed, "m-2"), "the sender's key counts, not the delivery");
    assert_eq!(
        id(r#"{"export":"orders"}"#, "r-1"),
        id(keyed, "m-1"),
        "the message id is a key like any other"
    );
}

#[test]
fn another_request_is_another_job() {
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
fn an_id_is_24_hexadecimal_digits() {
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
fn states_are_found_by_name() {
    for (state, name) in JobState::ALL {
        assert_eq!((name.parse(), state.as_str()), (Ok(state), name));
        assert_eq!(serde_json::to_value(state).unwrap(), name);
    }
    assert_snapshot!("done".parse::<JobState>().unwrap_err(), @r#"expected a job state, got "done""#);
    let terminal: Vec<&str> =
        JobState::ALL.into_iter().filter(|(state, _)| state.is_terminal()).map(|(_, name)| name).collect();
    assert_eq!(terminal, ["ready", "failed", "cancelled", "expired"]);
}

fn new_job(body: &str) -> Option<NewJob> {
    NewJob::of(&Message::parse(body), "m-1", body)
}

#[test]
fn every_message_but_a_continuation_is_a_job() {
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
fn a_message_that_cannot_be_read_says_what_it_can() {
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
fn the_largest_message_fits_the_ledger() {
    let body = format!(r#"{{"export":"{}"}}"#, "x".repeat(MAX_BODY_BYTES));
    let job = new_job(&body).unwrap();
    assert_eq!((job.export.as_str(), job.message), ("", body));
}
