//! Every route of the document, called by those who may not.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::support::{ALICE, Answer, BOB, MALLORY, TestPortal, claims};

/// A route: its method, its path in the document, and what a person gets for a job of another: `None` for one without jobs.
type Line = (&'static str, &'static str, Option<StatusCode>);

const NOT_FOUND: Option<StatusCode> = Some(StatusCode::NOT_FOUND);

/// Routes that need no token.
const OPEN: [(&str, &str); 2] = [("get", "/healthz"), ("get", "/openapi.json")];

const TABLE: [Line; 11] = [
    ("get", "/api/v1/exports", None),
    ("get", "/api/v1/exports/{name}", None),
    ("post", "/api/v1/exports/{name}/estimate", None),
    ("post", "/api/v1/exports/{name}/jobs", None),
    ("get", "/api/v1/jobs", None),
    ("get", "/api/v1/jobs/{id}", NOT_FOUND),
    ("delete", "/api/v1/jobs/{id}", NOT_FOUND),
    ("get", "/api/v1/jobs/{id}/receipt", NOT_FOUND),
    ("post", "/api/v1/jobs/{id}/cancel", NOT_FOUND),
    ("post", "/api/v1/jobs/{id}/retry", NOT_FOUND),
    ("get", "/api/v1/jobs/{id}/files/{n}", NOT_FOUND),
];

/// An id that no job has.
const UNKNOWN: &str = "0123456789abcdef01234567";

fn path(template: &str, id: &str) -> String {
    template.replace("{name}", "orders").replace("{id}", id).replace("{n}", "1")
}

fn method(name: &str) -> Method {
    name.to_uppercase().parse().unwrap()
}

/// Calls a route with a body that would be right.
async fn call(portal: &TestPortal, line: &Line, id: &str, authorization: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method(line.0)).uri(path(line.1, id));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let body = match line.0 {
        "post" => {
            request = request.header("content-type", "application/json");
            Body::from(json!({ "params": { "from": "2026-01-01" } }).to_string())
        }
        _ => Body::empty(),
    };
    portal.send(request.body(body).unwrap()).await
}

#[test]
fn table_has_every_route_of_the_document() {
    let document: Value = serde_json::from_str(&downpipe_portal::document()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let mut documented: Vec<(String, String)> = paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone()))
        })
        .collect();
    let lines = TABLE.iter().map(|(method, path, _)| (*method, *path)).chain(OPEN);
    let mut tested: Vec<(String, String)> =
        lines.map(|(method, path)| (method.to_owned(), path.to_owned())).collect();
    documented.sort();
    tested.sort();
    assert_eq!(documented, tested);
}

#[tokio::test]
async fn route_without_a_token_is_refused() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    for line in &TABLE {
        for authorization in [None, Some("Basic YTpi"), Some("Bearer")] {
            let answer = call(&portal, line, &id, authorization).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{line:?}");
            assert_eq!(answer.problem(), "unauthenticated");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"downpipe\"");
        }
    }
    for (_, path) in OPEN {
        let answer = portal.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn route_with_a_token_that_is_no_good_is_refused() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    let now = jiff::Timestamp::now().as_second();
    let good = portal.token(json!({}));
    let unsigned = good.rsplit_once('.').unwrap().0.to_owned();
    let header = |alg: &str, kid: &str| json!({ "alg": alg, "kid": kid });
    let tokens = [
        ("expired", portal.token(json!({ "iat": now - 700, "exp": now - 100 }))),
        ("alg: none", portal.sign(&header("none", "h"), &claims(json!({})))),
        ("unsigned", format!("{unsigned}.")),
        ("signed with the public key", portal.signed_with_the_public_key()),
        ("of another audience", portal.token(json!({ "aud": "https://other.example.com" }))),
        ("of an unknown key", portal.sign(&header("HS256", "x"), &claims(json!({})))),
        ("of an unknown app", portal.token(json!({ "iss": "unlisted" }))),
        ("too long lived", portal.token(json!({ "exp": now + 3600 }))),
        ("from the future", portal.token(json!({ "iat": now + 100, "exp": now + 200 }))),
        ("of the operator's name", portal.token(json!({ "sub": "operator" }))),
    ];
    for line in &TABLE {
        for (name, token) in &tokens {
            let answer = call(&portal, line, &id, Some(&format!("Bearer {token}"))).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{line:?} {name}");
            assert_eq!(answer.problem(), "invalid-token");
            assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn job_of_another_person_is_as_one_that_is_not_there() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_ready(&id).await;
    for line in &TABLE {
        let Some(expected) = line.2 else { continue };
        for person in [BOB, MALLORY] {
            let authorization = format!("Bearer {}", portal.token(json!({ "sub": person })));
            let others = call(&portal, line, &id, Some(&authorization)).await;
            let missing = call(&portal, line, UNKNOWN, Some(&authorization)).await;
            let no_id = call(&portal, line, "latest", Some(&authorization)).await;
            assert_eq!((others.status, others.problem().as_str()), (expected, "not-found"), "{line:?}");
            assert_eq!(others.without_number(), missing.without_number(), "{line:?}");
            assert_eq!(others.without_number(), no_id.without_number(), "{line:?}");
        }
        // Alice herself sees nothing of it through an app that has not this export.
        let token =
            portal.sign(&json!({ "alg": "HS256", "kid": "h" }), &claims(json!({ "iss": "warehouse" })));
        let answer = call(&portal, line, &id, Some(&format!("Bearer {token}"))).await;
        assert_eq!(answer.status, expected, "{line:?}");
    }
    let job = portal.get(ALICE, &format!("/api/v1/jobs/{id}")).await.json();
    assert_eq!((&job["state"], &job["files"][0]["downloaded_at"]), (&json!("ready"), &Value::Null));
}

#[tokio::test]
async fn export_that_a_person_may_not_ask_for_is_as_one_that_is_not_there() {
    let portal = TestPortal::new();
    for (person, name) in [(MALLORY, "orders"), (ALICE, "payroll"), (ALICE, "stock")] {
        for (path, missing) in [
            (format!("/api/v1/exports/{name}"), "/api/v1/exports/nothing"),
            (format!("/api/v1/exports/{name}/jobs"), "/api/v1/exports/nothing/jobs"),
        ] {
            let [others, missing] = if path.ends_with("jobs") {
                let body = json!({ "params": {} });
                [portal.post(person, &path, &body).await, portal.post(person, missing, &body).await]
            } else {
                [portal.get(person, &path).await, portal.get(person, missing).await]
            };
            assert_eq!(others.status, StatusCode::NOT_FOUND, "{person} {path}");
            assert_eq!(others.without_number(), missing.without_number());
        }
    }
    let lists = [
        portal.get(MALLORY, "/api/v1/exports").await.json()["exports"].clone(),
        portal.get(MALLORY, "/api/v1/jobs").await.json()["jobs"].clone(),
    ];
    assert_eq!(lists, [json!([]), json!([])]);
}
