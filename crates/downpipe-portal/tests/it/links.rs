//! The links of e-mails: what their pages show, and what a download by them leaves.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use downpipe_core::job::JobState;
use downpipe_core::ledger::DownloadVia;
use downpipe_core::link::{LINK_RETENTION, Link, LinkKey, LinkKeys};
use jiff::Timestamp;
use serde_json::json;

use crate::support::{ALICE, Answer, MALLORY, TestPortal, link_keys, receipt};

/// Returns a token for this job that is good for a day.
fn token(id: &str) -> String {
    link_keys().sign(&link(id, Timestamp::now() + Duration::from_secs(24 * 3600)))
}

fn link(id: &str, until: Timestamp) -> Link {
    Link { job: id.parse().unwrap(), until }
}

async fn open(portal: &TestPortal, path: &str, language: &str) -> Answer {
    let request =
        Request::builder().uri(path).header("accept", "text/html").header("accept-language", language);
    portal.send(request.body(Body::empty()).unwrap()).await
}

async fn press(portal: &TestPortal, path: &str, form: &str) -> Answer {
    let request = Request::builder().method(Method::POST).uri(path).header("accept", "text/html");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    portal.send(request.body(Body::from(form.to_owned())).unwrap()).await
}

#[tokio::test]
async fn page_of_a_ready_file_changes_nothing_however_often_it_is_opened() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    let receipt = portal.make_ready(&id).await;
    let path = format!("/l/{}", token(&id));
    for _ in 0..20 {
        let page = open(&portal, &path, "en").await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        for expected in [
            "<html lang=\"en\">",
            "<h1>Orders</h1>",
            "注文-1.csv",
            "注文-2.csv",
            &receipt.files[0].sha256,
            "JST",
        ] {
            assert!(page.text.contains(expected), "{expected}: {}", page.text);
        }
        assert!(!page.text.contains(ALICE), "a holder need not learn whose it is");
    }
    let before = portal.portal.ledger.find(&id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(before.receipt, Some(receipt));
    assert_eq!(portal.portal.ledger.downloads(&id.parse().unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn download_is_a_post_that_leads_to_the_bucket_and_is_recorded_without_a_person() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_ready(&id).await;
    let path = format!("/l/{}", token(&id));
    let answer = press(&portal, &path, "file=2").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    assert!(answer.header("location").contains(&format!("files/orders/{id}/2.csv")), "{answer:?}");
    let downloads = portal.portal.ledger.downloads(&id.parse().unwrap()).await.unwrap();
    let [download] = downloads.as_slice() else { panic!("expected one, got {downloads:?}") };
    assert_eq!((download.file, &download.requester, download.via), (2, &None, DownloadVia::Link));
    for (form, status) in [("file=3", 404), ("file=0", 404), ("file=x", 400), ("", 400)] {
        assert_eq!(press(&portal, &path, form).await.status, status, "{form}");
    }
}

#[tokio::test]
async fn forged_ended_foreign_and_retired_links_get_the_same_page() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_ready(&id).await;
    let good = token(&id);
    let forged = format!("{}{}", &good[..45], if good.ends_with('A') { "E" } else { "A" });
    let retired = LinkKeys::new(LinkKey { id: 7, key: [7; 32] }, Vec::new()).unwrap();
    let unknown = retired.sign(&link(&id, Timestamp::now() + LINK_RETENTION));
    let ended = link_keys().sign(&link(&id, Timestamp::now() - Duration::from_secs(1)));
    let no_job = token("0123456789abcdef01234567");
    let shop = portal.token(json!({ "iss": "warehouse" }));
    let requesters = portal.post_with(&shop, "/api/v1/exports/stock/jobs", &json!({})).await;
    let asks_for_login = token(requesters.json()["id"].as_str().unwrap());
    let expected = open(&portal, "/l/nonsense", "en").await;
    assert_eq!(expected.status, StatusCode::NOT_FOUND);
    assert!(expected.text.contains("This link does not lead to a file of yours"), "{}", expected.text);
    for other in [forged, unknown, ended, no_job, asks_for_login] {
        let page = open(&portal, &format!("/l/{other}"), "en").await;
        assert_eq!((page.status, &page.text), (expected.status, &expected.text));
        let pressed = press(&portal, &format!("/l/{other}"), "file=1").await;
        assert_eq!((pressed.status, &pressed.text), (expected.status, &expected.text));
        let retried = press(&portal, &format!("/l/{other}/retry"), "").await;
        assert_eq!((retried.status, &retried.text), (expected.status, &expected.text));
    }
    assert_eq!(portal.portal.ledger.downloads(&id.parse().unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn replaced_key_still_leads_to_the_file() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_ready(&id).await;
    let old = LinkKeys::new(LinkKey { id: 1, key: [1; 32] }, Vec::new()).unwrap();
    let old = old.sign(&link(&id, Timestamp::now() + LINK_RETENTION));
    assert_eq!(open(&portal, &format!("/l/{old}"), "en").await.status, StatusCode::OK);
}

#[tokio::test]
async fn deleted_file_is_named_as_such_and_prepared_again() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    let lease = portal.claim(&id).await;
    let receipt = receipt(&id, Timestamp::now() - Duration::from_secs(1));
    portal.portal.ledger.ready(&lease, &receipt).await.unwrap();
    let path = format!("/l/{}", token(&id));
    let page = open(&portal, &path, "ja-JP,ja;q=0.9").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text.contains("<html lang=\"ja\">") && page.text.contains("に削除しました"),
        "{}",
        page.text
    );
    assert!(
        page.text.contains("もう一度作成") && !page.text.contains("ダウンロード</button>"),
        "{}",
        page.text
    );
    let pressed = press(&portal, &path, "file=1").await;
    assert_eq!((pressed.status, pressed.header("location")), (StatusCode::SEE_OTHER, path.as_str()));
    // The sweep has not come by yet.
    assert_eq!(
        portal.portal.ledger.find(&id.parse().unwrap()).await.unwrap().unwrap().state,
        JobState::Ready
    );
    let again = press(&portal, &format!("{path}/retry"), "").await;
    assert_eq!((again.status, again.header("location")), (StatusCode::SEE_OTHER, &*format!("{path}?again")));
}

#[tokio::test]
async fn file_that_its_requester_deletes_loses_its_links() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_ready(&id).await;
    let path = format!("/l/{}", token(&id));
    assert_eq!(open(&portal, &path, "en").await.status, StatusCode::OK);
    let delete = portal.request(Method::DELETE, &format!("/api/v1/jobs/{id}"), ALICE);
    let deleted = portal.send(delete.body(Body::empty()).unwrap()).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{deleted:?}");
    assert_eq!(open(&portal, &path, "en").await.status, StatusCode::NOT_FOUND);
    assert_eq!(press(&portal, &format!("{path}/retry"), "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn failed_job_is_prepared_again_in_the_name_of_its_requester() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_fail(&id).await;
    let page = open(&portal, &format!("/l/{}", token(&id)), "en").await;
    assert!(page.text.contains("Could not be prepared"), "{}", page.text);
    assert!(!page.text.contains("SELECT secret"), "what the database said is the operator's");
    let pressed = press(&portal, &format!("/l/{}/retry", token(&id)), "").await;
    assert_eq!(pressed.status, StatusCode::SEE_OTHER, "{pressed:?}");
    let page = open(&portal, pressed.header("location"), "en").await;
    assert!(page.text.contains("<h1>Preparing</h1>"), "{}", page.text);
    let jobs = portal.get(ALICE, "/api/v1/jobs").await.json();
    // Both may be of one moment, and then either comes first.
    let mut states: Vec<&str> =
        jobs["jobs"].as_array().unwrap().iter().map(|job| job["state"].as_str().unwrap()).collect();
    states.sort_unstable();
    assert_eq!(states, ["failed", "queued"]);
    assert!(!page.text.contains("/l/"), "the new job's link is for its requester's e-mail");
}

#[tokio::test]
async fn ready_file_is_not_prepared_again_by_its_link() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_ready(&id).await;
    let pressed = press(&portal, &format!("/l/{}/retry", token(&id)), "").await;
    assert_eq!(pressed.status, StatusCode::CONFLICT, "{pressed:?}");
    assert!(pressed.text.starts_with("<!doctype html>"), "{pressed:?}");
    assert!(pressed.text.contains(pressed.header("x-request-id")), "{pressed:?}");
}

#[tokio::test]
async fn requester_who_lost_access_loses_the_link() {
    let portal = TestPortal::new();
    let id = portal.recorded_job_of(MALLORY).await;
    let page = open(&portal, &format!("/l/{}", token(&id)), "en").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_have_a_policy_without_exceptions_and_only_what_it_allows() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_ready(&id).await;
    let page = open(&portal, &format!("/l/{}", token(&id)), "en").await;
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!((page.header("cache-control"), page.header("referrer-policy")), ("no-store", "no-referrer"));
    assert!(
        !page.text.contains("<script") && !page.text.contains("style=\"") && !page.text.contains(" on"),
        "{}",
        page.text
    );
    let style = page.text.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let style = open(&portal, style, "en").await;
    assert_eq!((style.status, style.header("content-type")), (StatusCode::OK, "text/css"));
    assert!(style.header("cache-control").contains("immutable"));
    assert!(page.text.len() + style.text.len() < 40_000);
}

#[tokio::test]
async fn requests_of_one_address_are_counted() {
    let portal = TestPortal::with_requests_per_second(std::num::NonZeroU32::MIN);
    assert_eq!(open(&portal, "/l/nonsense", "en").await.status, StatusCode::NOT_FOUND);
    let refused = open(&portal, "/l/nonsense", "en").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "1");
}
