//! Tests the portal as an app uses it: `downpipe serve`, a worker, MySQL, SQS and S3.

mod deployed;
mod example;
mod recipes;
mod support;

use downpipe_core::job::JobState;
use downpipe_core::ledger::DownloadVia;
use downpipe_tests::mailbox::{mails_to, verified};
use downpipe_tests::sha256::hex as sha256;
use downpipe_tests::test_stack::{TestStack, WorkerProcess};
use downpipe_tests::{STACK, aws};
use serde_json::json;

use self::support::{ALICE, BOB, KEY, PortalProcess, orders, token};

const CLICK: &str = "/api/v1/exports/orders/jobs";

#[tokio::test]
async fn click_becomes_a_file_with_the_receipts_checksum() {
    let test_stack = orders().await;
    let portal = PortalProcess::start(&test_stack).await;
    let body = json!({ "params": { "from": "2026-01-01", "to": "2026-02-01" } });
    let first = portal.post(ALICE, CLICK, &body).await;
    assert_eq!((first.status, &first.json()["state"]), (202, &json!("queued")), "{first:?}");
    let second = portal.post(ALICE, CLICK, &body).await;
    assert_eq!((second.status, &second.json()["repeated"]), (200, &json!(true)), "{second:?}");
    assert_eq!(second.json()["id"], first.json()["id"]);
    let path = first.header("location").to_owned();
    let others = portal.get(BOB, &path).await;
    assert_eq!(others.status, 404, "{others:?}");

    let _worker = test_stack.worker(&[]);
    let id = first.json()["id"].as_str().unwrap().parse().unwrap();
    test_stack.job_in_state(&id, JobState::Ready).await;
    let ready = portal.get(ALICE, &path).await;
    let job = ready.json();
    assert_eq!((&job["state"], &job["progress"]["percent"]), (&json!("ready"), &json!(100)), "{job}");
    let unchanged = portal.get_if_changed(ALICE, &path, ready.header("etag")).await;
    assert_eq!((unchanged.status, unchanged.text.as_str()), (304, ""));

    let redirect = portal.get(ALICE, &format!("{path}/files/1")).await;
    assert_eq!((redirect.status, redirect.text.as_str()), (303, ""), "{redirect:?}");
    let file = support::fetch(redirect.header("location")).await;
    assert_eq!(file.status, 200, "{file:?}");
    assert_eq!(file.text, "id,day,customer\n1,2026-01-01,山田 太郎\n2,2026-01-02,\n");
    let name = "filename*=UTF-8''%E6%B3%A8%E6%96%87-2026-01-01.csv";
    assert!(file.header("content-disposition").contains(name), "{file:?}");
    let receipt = portal.get(ALICE, &format!("{path}/receipt")).await.json();
    assert_eq!(receipt["files"][0]["sha256"], sha256(file.text.as_bytes()));
    assert_eq!(receipt["files"][0]["sha256"], job["files"][0]["sha256"]);

    let downloads = test_stack.ledger().downloads(&id).await.unwrap();
    assert_eq!((downloads.len(), downloads[0].address.as_deref()), (1, Some("127.0.0.1")));
    assert_eq!(test_stack.notified(&id).await.state, JobState::Ready);
    portal.log_names_none_of(&[ALICE, BOB, KEY, "eyJ", "2026-01-01", "X-Amz-Signature", id.as_str()]);
}

#[tokio::test]
async fn click_while_the_queue_is_away_is_sent_by_the_next() {
    let test_stack = orders().await;
    let gone = format!("{}-gone", test_stack.queue);
    let without_queue = PortalProcess::start_with(&test_stack, &[("DOWNPIPE_QUEUE_URL", &gone)]).await;
    let body = json!({ "params": { "from": "2026-01-02", "to": "2026-01-03" } });
    let first = without_queue.post(ALICE, CLICK, &body).await;
    assert_eq!((first.status, &first.json()["state"]), (202, &json!("queued")), "{first:?}");
    let id = first.json()["id"].as_str().unwrap().parse().unwrap();
    let recorded = test_stack.ledger().find(&id).await.unwrap().unwrap();
    assert_eq!((recorded.state, recorded.sent_at), (JobState::Queued, None));

    let portal = PortalProcess::start(&test_stack).await;
    let second = portal.post(ALICE, CLICK, &body).await;
    assert_eq!((second.status, &second.json()["id"]), (200, &json!(id)), "{second:?}");
    let _worker = test_stack.worker(&[]);
    let job = test_stack.job_in_state(&id, JobState::Ready).await;
    assert!(job.sent_at.is_some());
    assert_eq!(test_stack.file(&job).await, "id,day,customer\n2,2026-01-02,\n".as_bytes());
}

#[tokio::test]
async fn job_is_cancelled_and_its_requester_notified() {
    let test_stack = orders().await;
    let portal = PortalProcess::start(&test_stack).await;
    let body = json!({ "params": { "from": "2026-01-01", "to": "2026-02-01" } });
    let job = portal.post(ALICE, CLICK, &body).await.json();
    let id = job["id"].as_str().unwrap().parse().unwrap();
    let cancelled = portal.post(ALICE, &format!("/api/v1/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &json!("cancelled")), "{cancelled:?}");
    let _worker = test_stack.worker(&[]);
    assert_eq!(test_stack.notified(&id).await.state, JobState::Cancelled);
    let list = portal.get(ALICE, "/api/v1/jobs?state=cancelled").await.json();
    assert_eq!(list["jobs"][0]["id"], id.as_str());
}

#[tokio::test]
async fn link_of_the_mail_leads_to_the_file_without_a_login() {
    let test_stack = orders().await;
    let portal = PortalProcess::start(&test_stack).await;
    let body = json!({ "params": { "from": "2026-01-01", "to": "2026-02-01" } });
    let ministack = aws::ministack().await;
    let (from, reader) = (verified(&ministack, "from").await, verified(&ministack, "reader").await);
    let job = portal.post(reader.as_str(), CLICK, &body).await.json();
    let id = job["id"].as_str().unwrap().parse().unwrap();
    let links = support::link_secret();
    let mut worker = test_stack.command(&["worker"]);
    worker.env("DOWNPIPE_PORTAL_URL", &portal.url);
    worker.env("DOWNPIPE_LINK_SECRET", format!("file:{}", links.path().display()));
    worker.env("DOWNPIPE_NOTICE", "ses").env("DOWNPIPE_MAIL_FROM", from.as_str());
    worker.env("AWS_ENDPOINT_URL_SESV2", &STACK.aws_endpoint_url);
    let _worker = WorkerProcess::start(&mut worker);
    test_stack.notified(&id).await;
    let [mail] = <[_; 1]>::try_from(mails_to(&reader).await).unwrap();
    let body = mail["BodyText"].as_str().unwrap();
    let link = body.split_whitespace().find(|word| word.starts_with(&format!("{}/l/", portal.url)));
    let link = link.unwrap_or_else(|| panic!("expected a link, got {body}"));
    assert!(mail["BodyHtml"].as_str().unwrap().contains(link), "{mail}");

    // Below the requests a second that one address may make.
    for _ in 0..5 {
        let page = support::fetch(link).await;
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.text.contains("注文-2026-01-01.csv"), "{page:?}");
    }
    assert_eq!(test_stack.ledger().downloads(&id).await.unwrap(), []);
    let redirect = support::press(link, "file=1").await;
    assert_eq!(redirect.status, 303, "{redirect:?}");
    let file = support::fetch(redirect.header("location")).await;
    assert_eq!(
        (file.status, file.text.as_str()),
        (200, "id,day,customer\n1,2026-01-01,山田 太郎\n2,2026-01-02,\n")
    );
    let downloads = test_stack.ledger().downloads(&id).await.unwrap();
    assert_eq!((downloads.len(), &downloads[0].requester, downloads[0].via), (1, &None, DownloadVia::Link));
    let token = link.rsplit('/').next().unwrap();
    assert!(!portal.process.log().contains(token), "a link stands in no log");
}

#[tokio::test]
async fn portal_whose_links_would_ask_for_a_login_does_not_start_without_one() {
    let test_stack = TestStack::new(
        "CREATE TABLE orders (id INT)",
        &[("orders", "title = \"a\"\nsql = \"SELECT id FROM orders\"\n")],
    )
    .await;
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), r#"{"apps":{}}"#).unwrap();
    let links = support::link_secret();
    let mut command = test_stack.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("DOWNPIPE_PORTAL_URL", "http://localhost").env("DOWNPIPE_LOGIN", "none");
    command.env("DOWNPIPE_PORTAL_SECRET", format!("file:{}", secret.path().display()));
    command.env("DOWNPIPE_LINK_SECRET", format!("file:{}", links.path().display()));
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("because of DOWNPIPE_LOGIN=none, got \"requester\" in orders"), "{stderr}");
}

#[tokio::test]
async fn portal_ends_at_once_when_it_is_terminated() {
    let test_stack = orders().await;
    let mut portal = PortalProcess::start(&test_stack).await;
    assert_eq!(portal.get(ALICE, "/healthz").await.status, 200);
    let began = std::time::Instant::now();
    portal.process.terminate();
    assert_eq!(portal.process.exit_code().await, Some(0), "{}", portal.process.log());
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[tokio::test]
async fn portal_without_variables_or_with_a_wrong_secret_ends_naming_all() {
    let output = downpipe_tests::test_stack::downpipe("http://127.0.0.1:1").arg("serve").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    for name in ["PORTAL_URL", "PORTAL_SECRET", "LINK_SECRET", "LOGIN", "CATALOG", "BUCKET", "QUEUE_URL"] {
        assert!(stderr.contains(&format!("DOWNPIPE_{name}: expected ")), "{stderr}");
    }
    let test_stack = orders().await;
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        secret.path(),
        r#"{"apps":{"shop":{"exports":[],"keys":[{"kid":"a","alg":"HS256","key":"hunter2"}]}}}"#,
    )
    .unwrap();
    let mut command = test_stack.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("DOWNPIPE_PORTAL_URL", "http://localhost").env("DOWNPIPE_LOGIN", "none");
    command.env("DOWNPIPE_PORTAL_SECRET", format!("file:{}", secret.path().display()));
    let links = support::link_secret();
    command.env("DOWNPIPE_LINK_SECRET", format!("file:{}", links.path().display()));
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("DOWNPIPE_PORTAL_SECRET: apps.shop.exports: expected the names"), "{stderr}");
    assert!(
        stderr.contains("apps.shop.keys[0].key: expected base64") && !stderr.contains("hunter2"),
        "{stderr}"
    );
}

#[tokio::test]
async fn token_of_another_key_or_portal_is_refused() {
    let test_stack = orders().await;
    let portal = PortalProcess::start(&test_stack).await;
    for token in [
        token(ALICE, &portal.url, "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="),
        token(ALICE, "https://other.example.com", KEY),
    ] {
        let answer = portal.get_with(&token, "/api/v1/jobs").await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(answer.header("www-authenticate").contains("invalid_token"), "{answer:?}");
    }
}

#[tokio::test]
async fn many_requests_at_once_share_four_connections() {
    let test_stack = orders().await;
    let portal = PortalProcess::start(&test_stack).await;
    let people: Vec<String> = (0..24).map(|number| format!("{number}@example.com")).collect();
    let answers = people.iter().map(|person| portal.get(person, "/api/v1/jobs"));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"jobs":[],"next":null}"#), "{answer:?}");
    }
    let connections = test_stack.database.opened_by().await.len();
    assert!((1..=4).contains(&connections), "{connections} connections");
}

#[tokio::test]
async fn person_who_asks_too_often_waits_for_a_second() {
    let test_stack = orders().await;
    let portal = PortalProcess::start(&test_stack).await;
    let answers = (0..20).map(|_| portal.get(ALICE, "/api/v1/exports"));
    let answers = futures_util::future::join_all(answers).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(
        !refused.is_empty() && answers.iter().filter(|answer| answer.status == 200).count() >= 10,
        "{answers:?}"
    );
    assert_eq!(refused[0].header("retry-after"), "1");
    assert_eq!(portal.get(BOB, "/api/v1/exports").await.status, 200);
}
