//! What a person may ask for, with its form.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::json;

use crate::support::{ALICE, OPERATOR, TestPortal};

#[tokio::test]
async fn exports_are_those_that_app_token_and_definition_allow() {
    let portal = TestPortal::new();
    let names = async |token: String| {
        let request =
            Request::builder().uri("/api/v1/exports").header("authorization", format!("Bearer {token}"));
        let answer = portal.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let exports = answer.json()["exports"].as_array().unwrap().clone();
        exports.iter().map(|export| export["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(portal.token(json!({}))).await, ["orders"]);
    assert_eq!(names(portal.token(json!({ "sub": OPERATOR }))).await, ["orders", "payroll"]);
    assert_eq!(
        names(portal.token(json!({ "sub": OPERATOR, "exports": ["payroll", "stock"] }))).await,
        ["payroll"]
    );
}

#[tokio::test]
async fn export_has_all_that_a_form_needs_and_no_locked_parameter() {
    let portal = TestPortal::new();
    let export = portal.get(ALICE, "/api/v1/exports/orders").await.json();
    let names = |params: &serde_json::Value| {
        params.as_array().unwrap().iter().map(|param| param["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&export["params"]), ["from", "status"]);
    assert_eq!(
        export["params"][0],
        json!({ "name": "from", "type": "date", "required": true, "default": null, "one_of": [], "label": "From",
            "help": "The first day.", "max_length": null })
    );
    assert_eq!(export["params"][1]["one_of"], json!(["open", "closed"]));
    assert_eq!(
        (&export["title"], &export["description"], &export["time_zone"], &export["kept_days"]),
        (&json!("Orders"), &json!("Every order of a period."), &json!("Asia/Tokyo"), &json!(7))
    );
    assert_eq!(export["profiles"], json!(["plain", "excel", "excel-cp932", "lossless"]));
    assert_eq!(export["formats"][4], json!({ "format": "parquet", "compressions": ["none"] }));
    assert_eq!((&export["profile"], &export["format"]), (&json!("plain"), &json!("csv")));

    let token = portal.token(json!({ "params": { "status": "open" } }));
    let request = Request::builder()
        .method(Method::GET)
        .uri("/api/v1/exports/orders")
        .header("authorization", format!("Bearer {token}"));
    let export = portal.send(request.body(Body::empty()).unwrap()).await.json();
    assert_eq!(names(&export["params"]), ["from"], "a parameter that the token fixes is in no form");
}
