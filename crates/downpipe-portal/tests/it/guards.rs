//! What goes for every request: headers, limits, and refusals that the framework makes.

use std::num::NonZeroU32;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::json;

use crate::support::{ALICE, BOB, ORIGIN, TestPortal};

const CLICK: &str = "/api/v1/exports/orders/jobs";

#[tokio::test]
async fn every_answer_has_the_headers_that_protect() {
    let portal = TestPortal::new();
    for path in ["/api/v1/jobs", "/healthz", "/nothing", "/openapi.json"] {
        let answer = portal.get(ALICE, path).await;
        for (name, value) in [
            ("cache-control", "no-store"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
            ),
            ("cross-origin-opener-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age=31536000"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
    }
}

#[tokio::test]
async fn path_or_method_that_is_not_there_is_a_problem() {
    let portal = TestPortal::new();
    for path in ["/", "/api/v1", "/api/v1/nothing", "/api/v2/jobs"] {
        let answer = portal.get(ALICE, path).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::NOT_FOUND, "not-found"),
            "{path}"
        );
    }
    for (method, path, allowed) in [
        (Method::PUT, "/api/v1/jobs", "GET,HEAD"),
        (Method::GET, CLICK, "POST"),
        (Method::DELETE, "/healthz", "GET,HEAD"),
    ] {
        let request = portal.request(method, path, ALICE).body(Body::empty()).unwrap();
        let answer = portal.send(request).await;
        assert_eq!(answer.problem(), "method-not-allowed");
        assert_eq!((answer.status, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, allowed));
    }
}

#[tokio::test]
async fn answer_that_the_caller_does_not_take_is_refused() {
    let portal = TestPortal::new();
    for path in ["/api/v1/exports", "/api/v1/exports/orders", "/api/v1/jobs"] {
        let request = portal.request(Method::GET, path, ALICE).header("accept", "text/csv");
        let answer = portal.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::NOT_ACCEPTABLE, "not-acceptable")
        );
    }
}

#[tokio::test]
async fn body_that_is_no_small_object_of_json_is_refused() {
    let portal = TestPortal::new();
    let send = async |request: axum::http::request::Builder, body: String| {
        let answer = portal.send(request.body(Body::from(body)).unwrap()).await;
        (answer.status, answer.problem())
    };
    let refused = |status, code: &str| (status, code.to_owned());
    for body in ["[]", "{", "\"text\"", "{\"params\":{}}x", &"[".repeat(5000)] {
        let answer = send(portal.json(ALICE, CLICK), body.to_owned()).await;
        assert_eq!(answer, refused(StatusCode::BAD_REQUEST, "malformed"), "{body}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request = portal.request(Method::POST, CLICK, ALICE).header("content-type", kind);
        let answer = send(request, "{}".to_owned()).await;
        assert_eq!(answer, refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"), "{kind}");
    }
    let compressed = portal.json(ALICE, CLICK).header("content-encoding", "gzip");
    let answer = send(compressed, "{}".to_owned()).await;
    assert_eq!(answer, refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"));
    let large = format!("{{\"params\":{{\"status\":\"{}\"}}}}", "x".repeat(64 * 1024));
    let answer = send(portal.json(ALICE, CLICK), large).await;
    assert_eq!(answer, refused(StatusCode::PAYLOAD_TOO_LARGE, "too-large"));
}

#[tokio::test]
async fn person_who_asks_too_often_waits_and_others_do_not() {
    let portal = TestPortal::with_requests_per_second(NonZeroU32::new(2).unwrap());
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(portal.get(ALICE, "/api/v1/exports").await);
    }
    assert_eq!((answers[0].status, answers[1].status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(answers[2].status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!((answers[2].problem().as_str(), answers[2].header("retry-after")), ("too-many-requests", "1"));
    assert_eq!(portal.get(BOB, "/api/v1/exports").await.status, StatusCode::OK);
}

#[tokio::test]
async fn page_of_a_listed_origin_may_call_the_api_without_credentials() {
    let portal = TestPortal::new();
    let preflight = async |origin: &str| {
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri(CLICK)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,idempotency-key");
        portal.send(request.body(Body::empty()).unwrap()).await
    };
    let answer = preflight(ORIGIN).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert!(answer.header("access-control-allow-headers").contains("authorization"), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    for origin in ["https://evil.example", "https://shop.example.com.evil.example", "null"] {
        let answer = preflight(origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
}

#[tokio::test]
async fn token_from_a_page_of_another_origin_is_refused() {
    let portal = TestPortal::new();
    let get = async |origin: &str| {
        let request = portal.request(Method::GET, "/api/v1/jobs", ALICE).header("origin", origin);
        portal.send(request.body(Body::empty()).unwrap()).await
    };
    let answer = get(ORIGIN).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (StatusCode::OK, ORIGIN));
    // Another app's origin is listed, and not for the app of this token.
    for origin in ["https://warehouse.example.com", "https://evil.example", "null"] {
        let answer = get(origin).await;
        assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::FORBIDDEN, "foreign-origin"));
    }
}

#[tokio::test]
async fn problem_quotes_nothing_of_the_token() {
    let portal = TestPortal::new();
    let token = portal.token(json!({ "aud": "https://other.example.com" }));
    let request = Request::builder().uri("/api/v1/jobs").header("authorization", format!("Bearer {token}"));
    let answer = portal.send(request.body(Body::empty()).unwrap()).await;
    assert!(!answer.text.contains("other.example") && !answer.text.contains(&token[..20]), "{answer:?}");
}
