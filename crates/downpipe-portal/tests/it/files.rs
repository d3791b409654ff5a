//! Downloads: signed for those who may, recorded, and never passed on.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use downpipe_core::ledger::DownloadVia;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{ALICE, OPERATOR, TestPortal, receipt};

#[tokio::test]
async fn file_is_answered_with_a_signed_url_and_recorded() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_ready(&id).await;
    let path = format!("/api/v1/jobs/{id}/files/2");
    let answer = portal.get(ALICE, &path).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    let url = format!("memory://files/orders/{id}/2.csv?signed-for=300");
    assert_eq!((answer.header("location"), answer.text.as_str()), (url.as_str(), ""));

    let request = portal.request(Method::GET, &path, ALICE).header("accept", "application/json");
    let json = portal.send(request.body(Body::empty()).unwrap()).await.json();
    assert_eq!(
        (&json["url"], &json["file_name"], &json["bytes"], &json["sha256"]),
        (&json!(url), &json!("注文-2.csv"), &json!(20), &json!("2".repeat(64)))
    );
    let expires_at: Timestamp = json["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(expires_at > Timestamp::now() && expires_at <= Timestamp::now() + Duration::from_secs(300));

    let downloads = portal.portal.ledger.downloads(&id.parse().unwrap()).await.unwrap();
    assert_eq!(downloads.len(), 2);
    let download = &downloads[0];
    assert_eq!((download.file, download.via, download.app.as_deref()), (2, DownloadVia::App, Some("shop")));
    assert_eq!(download.requester.as_ref().map(ToString::to_string).as_deref(), Some(ALICE));
    let job = portal.get(ALICE, &format!("/api/v1/jobs/{id}")).await.json();
    assert_eq!(job["files"][0]["downloaded_at"], Value::Null);
    assert!(job["files"][1]["downloaded_at"].is_string(), "{job}");
}

#[tokio::test]
async fn head_of_a_file_records_no_download() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_ready(&id).await;
    let request = portal.request(Method::HEAD, &format!("/api/v1/jobs/{id}/files/1"), ALICE);
    assert_eq!(portal.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(portal.portal.ledger.downloads(&id.parse().unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn ledger_that_does_not_answer_signs_nothing() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_ready(&id).await;
    portal.portal.ledger.table().fail_next(1);
    let answer = portal.get(ALICE, &format!("/api/v1/jobs/{id}/files/1")).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SERVICE_UNAVAILABLE, ""));
}

#[tokio::test]
async fn file_that_is_not_there_says_why() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    let [file, proof] = ["files/1", "receipt"].map(|what| format!("/api/v1/jobs/{id}/{what}"));
    for path in [&file, &proof] {
        let answer = portal.get(ALICE, path).await;
        assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::CONFLICT, "no-file"), "{path}");
    }
    portal.make_ready(&id).await;
    for n in ["0", "3", "x", "-1", "99999999999"] {
        let answer = portal.get(ALICE, &format!("/api/v1/jobs/{id}/files/{n}")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::NOT_FOUND, "not-found"), "{n}");
    }
    portal.portal.ledger.expire(&id.parse().unwrap()).await.unwrap();
    let answer = portal.get(ALICE, &file).await;
    assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::GONE, "file-deleted"));
    assert_eq!(portal.get(ALICE, &proof).await.status, StatusCode::OK, "the proof stays");

    let past = portal.job_of(ALICE, "2026-01-02").await;
    let lease = portal.claim(&past).await;
    let ended = receipt(&past, Timestamp::now() - Duration::from_secs(1));
    portal.portal.ledger.ready(&lease, &ended).await.unwrap();
    let answer = portal.get(ALICE, &format!("/api/v1/jobs/{past}/files/1")).await;
    assert_eq!(answer.status, StatusCode::GONE, "the sweep may come later");
}

#[tokio::test]
async fn receipt_is_that_of_the_file() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    let receipt = portal.make_ready(&id).await;
    let answer = portal.get(ALICE, &format!("/api/v1/jobs/{id}/receipt")).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    assert_eq!(answer.text, receipt.to_json());
}

#[tokio::test]
async fn file_is_deleted_before_its_time_by_its_requester_only() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    let path = format!("/api/v1/jobs/{id}");
    let delete = async |person: &str| {
        portal.send(portal.request(Method::DELETE, &path, person).body(Body::empty()).unwrap()).await
    };
    let early = delete(ALICE).await;
    assert_eq!((early.status, early.problem().as_str()), (StatusCode::CONFLICT, "no-file"));
    portal.make_ready(&id).await;
    assert_eq!(
        delete(OPERATOR).await.status,
        StatusCode::NOT_FOUND,
        "an operator does nothing in another's name"
    );
    let deleted = delete(ALICE).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (StatusCode::NO_CONTENT, ""), "{deleted:?}");
    assert_eq!(portal.get(ALICE, &path).await.json()["state"], "expired");
    assert_eq!(portal.get(ALICE, &format!("{path}/files/1")).await.status, StatusCode::GONE);
}
