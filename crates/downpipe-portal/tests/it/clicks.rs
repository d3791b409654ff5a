//! `POST exports/NAME/jobs`: a job is recorded, and then its message is sent.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use downpipe_core::job::{JobId, Via};
use serde_json::{Value, json};

use crate::support::{ALICE, Answer, BOB, TestPortal};

const CLICK: &str = "/api/v1/exports/orders/jobs";

fn body(from: &str) -> Value {
    json!({ "params": { "from": from } })
}

async fn with_key(portal: &TestPortal, key: &str, body: &Value) -> Answer {
    let request = portal.json(ALICE, CLICK).header("idempotency-key", key);
    portal.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn with_token(portal: &TestPortal, token: &str, body: &Value) -> Answer {
    portal.post_with(token, CLICK, body).await
}

#[tokio::test]
async fn click_is_recorded_and_sent() {
    let portal = TestPortal::new();
    let answer =
        portal.post(ALICE, CLICK, &json!({ "params": { "from": "2026-01-01" }, "format": "xlsx" })).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    let job = answer.json();
    let id: JobId = job["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(answer.header("location"), format!("/api/v1/jobs/{id}"));
    assert_eq!(answer.header("retry-after"), job["poll_after_seconds"].to_string());
    assert_eq!(
        (&job["state"], &job["repeated"], &job["format"]),
        (&json!("queued"), &json!(false), &json!("xlsx"))
    );
    let recorded = portal.portal.ledger.find(&id).await.unwrap().unwrap();
    assert_eq!((recorded.via, recorded.app.as_deref()), (Via::App, Some("shop")));
    assert!(recorded.sent_at.is_some());
    assert_eq!(portal.portal.queue.sent().len(), 1);
}

#[tokio::test]
async fn second_click_is_the_same_job() {
    let portal = TestPortal::new();
    let first = portal.post(ALICE, CLICK, &body("2026-01-01")).await;
    let second = portal.post(ALICE, CLICK, &body("2026-01-01")).await;
    assert_eq!((second.status, &second.json()["repeated"]), (StatusCode::OK, &json!(true)), "{second:?}");
    assert_eq!(second.json()["id"], first.json()["id"]);
    assert_eq!(portal.portal.queue.sent().len(), 1);
    assert_ne!(portal.post(BOB, CLICK, &body("2026-01-01")).await.json()["id"], first.json()["id"]);
    assert_ne!(portal.post(ALICE, CLICK, &body("2026-01-02")).await.json()["id"], first.json()["id"]);
}

#[tokio::test]
async fn queue_that_takes_nothing_leaves_the_click_recorded_for_the_next() {
    let portal = TestPortal::new();
    portal.portal.queue.fail_next(1);
    let first = portal.post(ALICE, CLICK, &body("2026-01-01")).await;
    assert_eq!((first.status, &first.json()["state"]), (StatusCode::ACCEPTED, &json!("queued")), "{first:?}");
    let id: JobId = first.json()["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(portal.portal.ledger.find(&id).await.unwrap().unwrap().sent_at, None);
    let second = portal.post(ALICE, CLICK, &body("2026-01-01")).await;
    assert_eq!((second.status, &second.json()["id"]), (StatusCode::OK, &json!(id)));
    assert!(portal.portal.ledger.find(&id).await.unwrap().unwrap().sent_at.is_some());
    assert_eq!(portal.portal.queue.sent().len(), 1);
}

#[tokio::test]
async fn ledger_that_cannot_record_is_a_503_and_nothing_is_sent() {
    let portal = TestPortal::new();
    // The first is the question for an estimate.
    portal.portal.ledger.table().fail_next(2);
    let answer = portal.post(ALICE, CLICK, &body("2026-01-01")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert_eq!(portal.portal.queue.sent(), [""; 0]);
}

#[tokio::test]
async fn idempotency_key_stands_for_one_request() {
    let portal = TestPortal::new();
    let first = with_key(&portal, "order-7", &body("2026-01-01")).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{first:?}");
    portal.make_ready(first.json()["id"].as_str().unwrap()).await;
    let again = with_key(&portal, "order-7", &body("2026-01-01")).await;
    assert_eq!(
        (again.status, &again.json()["id"]),
        (StatusCode::OK, &first.json()["id"]),
        "also after its end"
    );
    let other = with_key(&portal, "order-7", &body("2026-01-02")).await;
    assert_eq!((other.status, other.problem().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "key-used"));
    for key in ["", "x".repeat(129).as_str(), "注"] {
        assert_eq!(
            with_key(&portal, key, &body("2026-01-01")).await.wrong_fields(),
            ["Idempotency-Key"],
            "{key}"
        );
    }
}

#[tokio::test]
async fn values_that_are_wrong_are_refused_naming_all() {
    let portal = TestPortal::new();
    let wrong = json!({
        "params": { "from": "yesterday", "status": "lost", "day": 1, "customer": 5 },
        "format": "doc", "requested_by": "bob@example.com", "export": "payroll", "request_id": "1",
    });
    let mut fields = portal.post(ALICE, CLICK, &wrong).await.wrong_fields();
    fields.sort();
    assert_eq!(
        fields,
        [
            "export",
            "format",
            "params.customer",
            "params.day",
            "params.from",
            "params.status",
            "request_id",
            "requested_by"
        ]
    );
    for (wrong, field) in [
        (json!({}), "params.from"),
        (json!({ "params": [] }), "params"),
        (json!({ "params": { "from": "2026-01-01" }, "profile": 7 }), "profile"),
        (json!({ "params": { "from": ["2026-01-01"] } }), "params.from"),
        (json!({ "params": { "from": "2026-01-01" }, "language": "fr" }), "language"),
    ] {
        let fields = portal.post(ALICE, CLICK, &wrong).await.wrong_fields();
        assert!(fields.contains(&field.to_owned()), "{wrong}: {fields:?}");
    }
    assert_eq!(portal.portal.ledger.table().entries(), []);
}

#[tokio::test]
async fn parameter_of_the_token_cannot_be_changed() {
    let portal = TestPortal::new();
    let token = portal.token(json!({ "params": { "customer": 7, "status": "open" } }));
    for params in [
        json!({ "from": "2026-01-01", "customer": 8 }),
        json!({ "from": "2026-01-01", "status": "closed" }),
        json!({ "from": "2026-01-01", "customer": "7" }),
    ] {
        let answer = with_token(&portal, &token, &json!({ "params": params })).await;
        assert_eq!(answer.wrong_fields().len(), 1, "{params}");
    }
    let answer =
        with_token(&portal, &token, &json!({ "params": { "from": "2026-01-01", "customer": 7 } })).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    assert_eq!(answer.json()["params"], json!({ "from": "2026-01-01", "status": "open", "customer": 7 }));
    // Without a parameter of that name the token's limit would mean nothing.
    let token = portal.token(json!({ "params": { "shop": 7 } }));
    assert_eq!(with_token(&portal, &token, &body("2026-01-01")).await.wrong_fields(), ["params.shop"]);
}

#[tokio::test]
async fn person_with_too_many_jobs_under_way_waits() {
    let portal = TestPortal::new();
    for day in 1..=3 {
        portal.job_of(ALICE, &format!("2026-01-0{day}")).await;
    }
    let answer = portal.post(ALICE, CLICK, &body("2026-01-04")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::TOO_MANY_REQUESTS, "too-many-jobs"));
    assert_eq!(answer.header("retry-after"), "30");
    assert_eq!(
        portal.post(ALICE, CLICK, &body("2026-01-03")).await.status,
        StatusCode::OK,
        "it is no new job"
    );
    portal.job_of(BOB, "2026-01-04").await;
}

#[tokio::test(start_paused = true)]
async fn estimate_is_of_earlier_jobs_and_kept_with_the_job() {
    let portal = TestPortal::new();
    let path = "/api/v1/exports/orders/estimate";
    let unknown = portal.post(ALICE, path, &body("2026-01-01")).await;
    assert_eq!(
        unknown.json(),
        json!({ "rows": null, "bytes": null, "seconds": null, "from_jobs": 0 }),
        "{unknown:?}"
    );
    assert_eq!(portal.post(ALICE, path, &json!({})).await.wrong_fields(), ["params.from"]);

    let id = portal.job_of(BOB, "2026-01-01").await;
    portal.make_ready(&id).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    let estimate = portal.post(ALICE, path, &body("2026-01-02")).await.json();
    let three = json!({ "low": 3, "likely": 3, "high": 3 });
    assert_eq!((&estimate["rows"], &estimate["from_jobs"]), (&three, &json!(1)), "{estimate}");
    assert_eq!(estimate["bytes"], json!({ "low": 30, "likely": 30, "high": 30 }));
    let job = portal.post(ALICE, CLICK, &body("2026-01-02")).await.json();
    assert_eq!(job["progress"], json!({ "rows": 0, "bytes": 0, "percent": 0, "of_rows": 3 }));
}
