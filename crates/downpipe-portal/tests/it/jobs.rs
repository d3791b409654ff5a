//! Jobs: lists, pages, several by id, one with its tag, cancelling.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{ALICE, BOB, OPERATOR, TestPortal};

fn ids(list: &Value) -> Vec<String> {
    list["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn jobs_are_listed_newest_first_by_page() {
    let portal = TestPortal::new();
    let mut made = Vec::new();
    for day in 1..=3 {
        made.push(portal.job_of(ALICE, &format!("2026-01-0{day}")).await);
        portal.portal.ledger.table().pass(Duration::from_secs(1));
    }
    portal.job_of(BOB, "2026-01-01").await;
    made.reverse();
    let first = portal.get(ALICE, "/api/v1/jobs?limit=2&state=queued").await;
    assert_eq!(ids(&first.json()), made[..2]);
    let next = first.json()["next"].as_str().unwrap().to_owned();
    let link =
        format!("<https://exports.example.com/api/v1/jobs?limit=2&state=queued&cursor={next}>; rel=\"next\"");
    assert_eq!(first.header("link"), link);
    let path = link.strip_prefix("<https://exports.example.com").unwrap().split('>').next().unwrap();
    let second = portal.get(ALICE, path).await;
    assert_eq!((ids(&second.json()), &second.json()["next"]), (made[2..].to_vec(), &Value::Null));
    assert_eq!(second.header("link"), "");
    assert_eq!(ids(&portal.get(ALICE, "/api/v1/jobs?state=ready").await.json()), [""; 0]);
    assert_eq!(ids(&portal.get(ALICE, "/api/v1/jobs?export=orders").await.json()), made);
    assert_eq!(ids(&portal.get(ALICE, "/api/v1/jobs?export=other").await.json()), [""; 0]);
}

#[tokio::test]
async fn operator_sees_and_cancels_the_jobs_of_all() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    assert_eq!(ids(&portal.get(OPERATOR, "/api/v1/jobs").await.json()), [""; 0]);
    let all = portal.get(OPERATOR, "/api/v1/jobs?everyone=true").await.json();
    assert_eq!((ids(&all), &all["jobs"][0]["requested_by"]), (vec![id.clone()], &json!(ALICE)));
    assert_eq!(portal.get(ALICE, "/api/v1/jobs?everyone=true").await.wrong_fields(), ["everyone"]);
    let cancelled = portal.post(OPERATOR, &format!("/api/v1/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (StatusCode::OK, &json!("cancelled")));
}

#[tokio::test]
async fn query_that_is_wrong_is_refused_naming_all() {
    let portal = TestPortal::new();
    let path = "/api/v1/jobs?limit=0&state=done&cursor=x&everyone=true&page=2&export=&export=a";
    let mut wrong = portal.get(ALICE, path).await.wrong_fields();
    wrong.sort();
    assert_eq!(wrong, ["cursor", "everyone", "export", "limit", "page", "state"]);
    for path in ["/api/v1/jobs?ids=", "/api/v1/jobs?ids=abc", "/api/v1/jobs?ids=0123456789abcdef01234567,"] {
        assert_eq!(portal.get(ALICE, path).await.wrong_fields(), ["ids"], "{path}");
    }
    let many = vec!["0123456789abcdef01234567"; 101].join(",");
    assert_eq!(portal.get(ALICE, &format!("/api/v1/jobs?ids={many}")).await.wrong_fields(), ["ids"]);
    let both = "/api/v1/jobs?ids=0123456789abcdef01234567&limit=2";
    assert_eq!(portal.get(ALICE, both).await.wrong_fields(), ["limit"]);
}

#[tokio::test]
async fn several_jobs_leave_out_those_of_others() {
    let portal = TestPortal::new();
    let (mine, others) = (portal.job_of(ALICE, "2026-01-01").await, portal.job_of(BOB, "2026-01-01").await);
    let path = format!("/api/v1/jobs?ids={others},{mine},0123456789abcdef01234567");
    let list = portal.get(ALICE, &path).await;
    assert_eq!(ids(&list.json()), [mine]);
    let request = portal.request(Method::GET, &path, ALICE).header("if-none-match", list.header("etag"));
    let again = portal.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

#[tokio::test]
async fn job_has_a_tag_that_changes_with_it() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    let path = format!("/api/v1/jobs/{id}");
    let poll = async |tag: &str| {
        let request =
            portal.request(Method::GET, &path, ALICE).header("if-none-match", format!("W/\"x\", {tag}"));
        portal.send(request.body(Body::empty()).unwrap()).await
    };
    let queued = portal.get(ALICE, &path).await;
    let job = queued.json();
    assert_eq!(
        (&job["state"], &job["queue"], &job["params"]),
        (
            &json!("queued"),
            &json!({ "ahead": 0, "starts_in_seconds": null }),
            &json!({ "from": "2026-01-01", "status": null, "customer": null })
        )
    );
    assert_eq!(
        (&job["profile"], &job["format"], &job["compression"]),
        (&json!("plain"), &json!("csv"), &json!("none"))
    );
    let seconds = job["poll_after_seconds"].as_u64().unwrap().to_string();
    assert_eq!(queued.header("retry-after"), seconds);
    let same = poll(queued.header("etag")).await;
    assert_eq!((same.status, same.header("etag")), (StatusCode::NOT_MODIFIED, queued.header("etag")));

    portal.make_ready(&id).await;
    let ready = poll(queued.header("etag")).await;
    assert_eq!(ready.status, StatusCode::OK);
    let job = ready.json();
    assert_eq!(
        (&job["state"], &job["progress"]["percent"], &job["queue"]),
        (&json!("ready"), &json!(100), &Value::Null)
    );
    assert_eq!((ready.header("retry-after"), &job["poll_after_seconds"]), ("", &Value::Null));
    assert_eq!(job["files"][1]["file_name"], "注文-2.csv");
    assert_eq!(job["files"][1]["sha256"], "2".repeat(64));
}

#[tokio::test]
async fn failed_job_says_what_its_requester_may_read() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_fail(&id).await;
    let job = portal.get(ALICE, &format!("/api/v1/jobs/{id}")).await;
    assert_eq!(
        job.json()["failure"],
        json!({
            "code": "query_failed",
            "message": "The database could not answer the query (error 1054).",
            "advice": "Asking again will not help. Tell the people who run this export the job number.",
        })
    );
    assert!(!job.text.contains("SELECT"), "{}", job.text);
    let message = "データベースでクエリを実行できませんでした（エラー 1054）。";
    for path in [format!("/api/v1/jobs/{id}?lang=ja"), format!("/api/v1/jobs?lang=ja&ids={id}")] {
        let answer = portal.get(ALICE, &path).await;
        assert!(answer.text.contains(message), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn job_is_cancelled_once() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    let path = format!("/api/v1/jobs/{id}/cancel");
    portal.claim(&id).await;
    let asked = portal.post(ALICE, &path, &json!({})).await;
    assert_eq!((asked.status, &asked.json()["state"]), (StatusCode::ACCEPTED, &json!("running")));

    let other = portal.job_of(ALICE, "2026-01-02").await;
    let path = format!("/api/v1/jobs/{other}/cancel");
    let cancelled = portal.post(ALICE, &path, &json!({})).await;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (StatusCode::OK, &json!("cancelled")));
    // Two that ask for the jobs, and one by which a worker notifies the requester.
    let sent = portal.portal.queue.sent();
    assert_eq!((sent.len(), sent[2].as_str()), (3, format!("{{\"continue\":\"{other}\"}}").as_str()));
    let again = portal.post(ALICE, &path, &json!({})).await;
    assert_eq!((again.status, again.problem().as_str()), (StatusCode::CONFLICT, "job-has-ended"));
}

#[tokio::test]
async fn ledger_that_does_not_answer_is_a_503() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    for path in ["/api/v1/jobs".to_owned(), format!("/api/v1/jobs/{id}")] {
        portal.portal.ledger.table().fail_next(1);
        let answer = portal.get(ALICE, &path).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        );
        assert_eq!(answer.header("retry-after"), "5");
    }
}

#[tokio::test]
async fn job_that_ended_without_a_file_is_asked_for_again() {
    let portal = TestPortal::new();
    let retry = async |person: &str, id: &str| {
        portal.post(person, &format!("/api/v1/jobs/{id}/retry"), &json!({})).await
    };
    let failed = portal.job_of(ALICE, "2026-01-01").await;
    let early = retry(ALICE, &failed).await;
    assert_eq!((early.status, early.problem().as_str()), (StatusCode::CONFLICT, "job-has-not-ended"));
    portal.make_fail(&failed).await;
    assert_eq!(retry(OPERATOR, &failed).await.status, StatusCode::NOT_FOUND, "in the name of no other");
    let again = retry(ALICE, &failed).await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{again:?}");
    let id = again.json()["id"].as_str().unwrap().to_owned();
    assert_ne!(id, failed);
    assert_eq!(again.json()["params"]["from"], "2026-01-01");
    portal.make_ready(&id).await;
    let ready = retry(ALICE, &id).await;
    assert_eq!((ready.status, ready.problem().as_str()), (StatusCode::CONFLICT, "file-is-there"));
    portal.portal.ledger.expire(&id.parse().unwrap()).await.unwrap();
    assert_eq!(retry(ALICE, &id).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn job_with_other_parameters_than_the_token_fixes_is_not_asked_for_again() {
    let portal = TestPortal::new();
    let id = portal.job_of(ALICE, "2026-01-01").await;
    portal.make_fail(&id).await;
    let token = portal.token(json!({ "params": { "customer": 7 } }));
    let answer = portal.post_with(&token, &format!("/api/v1/jobs/{id}/retry"), &json!({})).await;
    assert_eq!(answer.wrong_fields(), ["params.customer"]);
}

#[tokio::test]
async fn job_with_a_locked_parameter_is_asked_for_again_only_under_a_token_that_gives_it() {
    let portal = TestPortal::new();
    let of_customer = |customer: u32| portal.token(json!({ "params": { "customer": customer } }));
    let body = json!({ "params": { "from": "2026-01-01" } });
    let job = portal.post_with(&of_customer(7), "/api/v1/exports/orders/jobs", &body).await.json();
    let id = job["id"].as_str().unwrap();
    portal.make_fail(id).await;
    let retry = format!("/api/v1/jobs/{id}/retry");
    for token in [portal.token(json!({})), of_customer(8)] {
        assert_eq!(portal.post_with(&token, &retry, &json!({})).await.wrong_fields(), ["params.customer"]);
    }
    let again = portal.post_with(&of_customer(7), &retry, &json!({})).await;
    assert_eq!((again.status, &again.json()["params"]["customer"]), (StatusCode::ACCEPTED, &json!(7)));
}

#[tokio::test(start_paused = true)]
async fn polls_of_one_second_are_one_question_to_the_ledger() {
    let portal = TestPortal::new();
    let (mine, others) = (portal.job_of(ALICE, "2026-01-01").await, portal.job_of(BOB, "2026-01-01").await);
    let poll = async |person: &str, id: &str| portal.get(person, &format!("/api/v1/jobs?ids={id}")).await;
    assert_eq!(ids(&poll(ALICE, &mine).await.json()), [mine.as_str()]);
    assert_eq!(ids(&poll(BOB, &others).await.json()), [others.as_str()]);
    portal.portal.ledger.table().fail_next(1);
    assert_eq!(ids(&poll(ALICE, &mine).await.json()), [mine.as_str()], "the ledger is not asked");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(poll(ALICE, &mine).await.status, StatusCode::SERVICE_UNAVAILABLE);
    // One question is for all that are watched.
    assert_eq!(ids(&poll(ALICE, &mine).await.json()), [mine.as_str()]);
    portal.portal.ledger.table().fail_next(1);
    assert_eq!(ids(&poll(BOB, &others).await.json()), [others.as_str()]);
}
