//! The button's script: what it is served with, its size, and its digest in the document.

use std::io::Write as _;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha384};

use crate::support::{Answer, ORIGIN, TestPortal};

const PATH: &str = "/embed/v1/downpipe-button.js";
const SCRIPT: &str = include_str!("../../assets/embed/downpipe-button.js");
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/embed.md");

/// The most bytes of the script, compressed as a proxy does it.
const MAX_BYTES: usize = 6 * 1024;

async fn get(headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(PATH);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    TestPortal::new().send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn script_is_served_to_pages_of_every_origin() {
    for origin in [ORIGIN, "https://other.example", "null"] {
        let answer = get(&[("origin", origin)]).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, SCRIPT));
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("cache-control", "public, max-age=3600, stale-while-revalidate=86400"),
            ("content-type", "text/javascript; charset=utf-8"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("x-content-type-options", "nosniff"),
            ("access-control-allow-credentials", ""),
            ("set-cookie", ""),
        ] {
            assert_eq!(answer.header(name), value, "{name}");
        }
    }
}

#[tokio::test]
async fn script_that_the_browser_has_is_not_sent_again() {
    let tag = get(&[]).await.header("etag").to_owned();
    let answer = get(&[("if-none-match", &tag)]).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!((answer.header("etag"), answer.header("access-control-allow-origin")), (tag.as_str(), "*"));
}

#[test]
fn script_is_small_and_has_nothing_that_a_strict_page_refuses() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(SCRIPT.as_bytes()).unwrap();
    let bytes = gzip.finish().unwrap().len();
    assert!(bytes < MAX_BYTES, "expected less than {MAX_BYTES} bytes, got {bytes}");
    for refused in
        ["innerHTML", "insertAdjacent", "eval(", "cookie", "localStorage", "createElement('style')"]
    {
        assert!(!SCRIPT.contains(refused), "{refused}");
    }
}

/// With `DOWNPIPE_UPDATE_DOCUMENTS=1` the digest is written anew.
#[test]
fn digest_in_the_document_is_that_of_the_script() {
    let digest = format!("sha384-{}", BASE64_STANDARD.encode(Sha384::digest(SCRIPT.as_bytes())));
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once("integrity=\"").unwrap();
    let (written, after) = rest.split_once('"').unwrap();
    if std::env::var_os("DOWNPIPE_UPDATE_DOCUMENTS").is_some() {
        std::fs::write(DOCUMENT, format!("{before}integrity=\"{digest}\"{after}")).unwrap();
        return;
    }
    assert_eq!(written, digest, "docs/embed.md: run this test with DOWNPIPE_UPDATE_DOCUMENTS=1");
}
