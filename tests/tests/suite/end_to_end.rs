//! Tests the deployed template from the queue to the e-mail: messages go through the real queue to
//! the real bootstrap.

use std::io::Write as _;

use downpipe_core::job::{Job, JobState, NewJob, Receipt};
use downpipe_core::language::Language;
use downpipe_core::message::Message;
use downpipe_tests::deployment::{Downpipe, job_in_state};
use downpipe_tests::sha256::sha256sum;
use downpipe_tests::{STACK, aws, unique};

const ORDERS: &str = "
    CREATE TABLE orders (id BIGINT PRIMARY KEY, created_at DATETIME, customer VARCHAR(80), total DECIMAL(12,2), note TEXT);
    INSERT INTO orders VALUES
        (1, '2026-01-01 00:00:00', '山田 太郎', 1234.50, NULL),
        (2, '2026-01-02 10:00:00', 'Müller, GmbH', -5.00, '=HYPERLINK(\"http://x\")'),
        (3, '2026-01-31 23:59:59', 'say \"hi\"', 0, ''),
        (4, '2026-02-01 00:00:00', 'not asked for', 1, NULL)";

const NUMBERS: &str = "
    CREATE TABLE numbers (id INT PRIMARY KEY);
    SET cte_max_recursion_depth = 100000;
    INSERT INTO numbers WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 50000) SELECT a FROM n";

/// Returns the SHA-256 of bytes, as `sha256sum` computes it.
fn sha256sum_of(file: &[u8]) -> String {
    let mut named = tempfile::NamedTempFile::new().unwrap();
    named.write_all(file).unwrap();
    sha256sum(named.path())
}

#[tokio::test]
async fn message_becomes_file_receipt_and_email() {
    let downpipe = Downpipe::deploy(ORDERS).await;
    let body = r#"{ "export": "orders", "params": { "from": "2026-01-01", "to": "2026-02-01" },
        "requested_by": "alice@example.com", "request_id": "a-click",
        "profile": "excel", "format": "csv", "compression": "none" }"#;
    // Sends the message as a person would.
    let queue = downpipe.output("QueueUrl").to_owned();
    let sent = std::process::Command::new(STACK.aws_cli())
        .args(["sqs", "send-message", "--queue-url", &queue, "--message-body", body])
        .envs(STACK.vars())
        .output()
        .unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));

    let job = downpipe.ended_jobs(1).await.remove(0);
    let file = downpipe.file(&job).await;
    insta::assert_snapshot!(String::from_utf8(file.clone()).unwrap().replace('\u{feff}', "<BOM>").replace('\r', "\\r"), @r#"
    <BOM>id,created_at,customer,合計,note\r
    1,2026-01-01 00:00:00,山田 太郎,1234.50,\r
    2,2026-01-02 10:00:00,"Müller, GmbH",-5.00,"'=HYPERLINK(""http://x"")"\r
    3,2026-01-31 23:59:59,"say ""hi""",0.00,""\r
    "#);

    let receipt = job.receipt.clone().unwrap();
    assert_eq!(receipt.files[0].sha256, sha256sum_of(&file));
    assert_eq!((receipt.rows, receipt.bytes), (3, file.len() as u64));
    assert_eq!(receipt.changes["note"]["formulas_guarded"], 1);
    let keys = downpipe.keys().await;
    let day = job.created_at.strftime("%Y/%m/%d");
    let key = format!("files/orders/{day}/{}/orders-2026-01-01.csv", job.id);
    assert_eq!(keys, [key.clone(), format!("{key}.receipt.json")]);
    let beside = aws::object(&downpipe.config, &downpipe.bucket, &keys[1]).await.unwrap();
    assert_eq!(serde_json::from_slice::<Receipt>(&beside).unwrap(), receipt);

    let mails = downpipe.mails().await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].subject, "Export orders is ready");
    assert_eq!(
        mails[0].attributes,
        ["alice@example.com", "orders", "ready", job.id.as_str()].map(str::to_owned)
    );
    let told = &mails[0].event;
    assert_eq!((&told["event"], &told["job"]["title"]), (&"job.ready".into(), &"注文".into()));
    assert_eq!(told["job"]["files"][0]["sha256"], receipt.files[0].sha256);
    downpipe.queue_is_empty().await;
}

#[tokio::test]
async fn five_messages_run_two_at_a_time() {
    let downpipe = Downpipe::deploy("").await;
    for number in 1..=5 {
        downpipe.send(&format!(r#"{{"export":"slow","params":{{"number":{number}}}}}"#)).await;
    }
    let jobs = downpipe.ended_jobs(5).await;
    assert!(jobs.iter().all(|job| job.state == JobState::Ready), "{jobs:?}");
    let at_once = |at: jiff::Timestamp| {
        let runs = |job: &&Job| job.started_at.unwrap() <= at && at < job.finished_at.unwrap();
        jobs.iter().filter(runs).count()
    };
    // The maximum of concurrent jobs is reached when one of them starts.
    assert_eq!(jobs.iter().map(|job| at_once(job.started_at.unwrap())).max(), Some(2));
    assert_eq!(downpipe.mails().await.len(), 5);
    downpipe.queue_is_empty().await;
    assert_eq!(downpipe.dead_letters().await, 0);
}

#[tokio::test]
async fn request_delivered_three_times_gives_one_file_and_one_email() {
    let downpipe = Downpipe::deploy("").await;
    let body =
        r#"{"export":"slow","params":{"number":1},"requested_by":"alice@example.com","request_id":"twice"}"#;
    downpipe.send(body).await;
    // With both in the queue at once, the second message might start the job. The first, which owns
    // the job, would then stay in the queue for minutes.
    job_in_state(&downpipe, JobState::Running).await;
    downpipe.send(body).await;
    let job = downpipe.ended_jobs(1).await.remove(0);
    let first = downpipe.file(&job).await;
    // The third delivery comes after the job has ended.
    downpipe.send(body).await;
    downpipe.queue_is_empty().await;
    let jobs = downpipe.ended_jobs(1).await;
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].attempt, jobs[0].finished_at), (1, job.finished_at), "it was not run again");
    assert_eq!(downpipe.keys().await.len(), 2, "a file and its receipt");
    assert_eq!(downpipe.file(&jobs[0]).await, first);
    assert_eq!(downpipe.mails().await.len(), 1);

    // An idempotency key identifies a request of one requester only.
    downpipe.send(&body.replace("alice", "bob")).await;
    assert_eq!(downpipe.ended_jobs(2).await.len(), 2);
}

#[tokio::test]
async fn invalid_message_is_recorded_and_notified_without_retry() {
    let downpipe = Downpipe::deploy(ORDERS).await;
    let messages = [
        "test",
        r#"{"export":"nothing-like-it","requested_by":"alice@example.com"}"#,
        r#"{"export":"orders","params":{"from":"2026-01-01"},"requested_by":"alice@example.com"}"#,
        r#"{"export":"orders","params":{"from":"January","to":"2026-02-01","until":1},"profile":"word"}"#,
        r#"{"export":"orders","colour":"red","requested_by":"bob@example.com"}"#,
        r#"{"export":"restricted","requested_by":"eve@example.org"}"#,
    ];
    for message in messages {
        downpipe.send(message).await;
    }
    let jobs = downpipe.ended_jobs(messages.len()).await;
    let mut seen: Vec<String> = jobs
        .iter()
        .map(|job| {
            let failure = job.failure.as_ref().unwrap();
            assert_eq!((job.state, failure.code.as_str(), job.attempt), (JobState::Failed, "rejected", 1));
            format!("{}: {}", job.requested_by, failure.words(Language::En).message)
        })
        .collect();
    seen.sort();
    insta::assert_snapshot!(seen.join("\n"), @r#"
    alice@example.com: The request was refused: export: expected one of broken, large, orders, restricted, slow, got "nothing-like-it".
    alice@example.com: The request was refused: params.to: expected a date such as 2026-01-31, got nothing.
    bob@example.com: The request was refused: colour: expected one of the fields export, params, requested_by, request_id, profile, format, compression, language, got an unknown field.
    eve@example.org: The request was refused: requested_by: expected a requester who may ask for "restricted", got eve@example.org.
    operator: The request was refused: message: expected a JSON object, got "test", which is not JSON (expected ident at line 1 column 2).
    operator: The request was refused: params.from: expected a date such as 2026-01-31, got "January"; params.until: expected one of from, to, got an unknown parameter; profile: expected one of plain, excel, excel-cp932, lossless, got "word".
    "#);
    let mut notified: Vec<String> =
        downpipe.mails().await.iter().map(|mail| mail.attributes[..3].join(" ")).collect();
    notified.sort();
    insta::assert_snapshot!(notified.join("\n"), @r"
    alice@example.com nothing-like-it failed
    alice@example.com orders failed
    bob@example.com orders failed
    eve@example.org restricted failed
    operator orders failed
    operator unknown failed
    ");
    assert_eq!(downpipe.keys().await, Vec::<String>::new());
    downpipe.queue_is_empty().await;
    assert_eq!(downpipe.dead_letters().await, 0);
}

#[tokio::test]
async fn query_that_fails_in_mysql_leaves_nothing() {
    let downpipe = Downpipe::deploy(NUMBERS).await;
    downpipe.send(r#"{"export":"broken","requested_by":"alice@example.com"}"#).await;
    let job = downpipe.ended_jobs(1).await.remove(0);
    let failure = job.failure.unwrap();
    assert_eq!((job.state, failure.code.as_str()), (JobState::Failed, "query_failed"));
    assert!(failure.detail.unwrap().contains("BIGINT UNSIGNED value is out of range"));
    let mut mails = downpipe.mails().await;
    mails.sort_by(|a, b| a.attributes.cmp(&b.attributes));
    let notified: Vec<(&str, &str)> =
        mails.iter().map(|mail| (mail.attributes[0].as_str(), mail.subject.as_str())).collect();
    let [alice, operator] = [
        ("alice@example.com", "Export broken could not be prepared"),
        ("operator", "Export broken failed and needs you"),
    ];
    assert_eq!(notified, [alice, operator]);
    for mail in mails {
        let failure = &mail.event["job"]["failure"];
        assert_eq!(failure["message"], "The database could not answer the query (error 1690).");
        let event = mail.event.to_string();
        assert!(!event.contains("out of range"), "the database's words may quote the data: {event}");
    }
    assert_eq!(
        downpipe.keys().await,
        Vec::<String>::new(),
        "no file, though two parts of it were on their way"
    );
    assert_eq!(aws::open_uploads(&downpipe.config, &downpipe.bucket).await, 0);
    downpipe.queue_is_empty().await;
}

#[tokio::test]
async fn file_of_several_parts_is_whole() {
    let downpipe = Downpipe::deploy(NUMBERS).await;
    downpipe.send(r#"{"export":"large"}"#).await;
    let job = downpipe.ended_jobs(1).await.remove(0);
    let file = downpipe.file(&job).await;
    let filling = "x".repeat(400);
    let expected: String = std::iter::once("id,filling\n".to_owned())
        .chain((1..=50_000).map(|id| format!("{id},{filling}\n")))
        .collect();
    assert!(file == expected.as_bytes(), "{} bytes, expected {}", file.len(), expected.len());
    let receipt = job.receipt.unwrap();
    assert_eq!(receipt.files[0].sha256, sha256sum_of(&file));
    assert!(receipt.bytes > 16 << 20, "at least three parts");
}

/// The password changes while a warm worker holds the old one.
#[tokio::test]
async fn password_rotated_under_a_warm_worker_needs_no_restart() {
    let database = downpipe_tests::database::TestDatabase::migrated().await;
    let user = unique("u").replace('-', "");
    let name = &database.name;
    database
        .execute(&format!(
            "CREATE USER '{user}'@'%' IDENTIFIED BY 'old'; GRANT ALL ON {name}.* TO '{user}'@'%'"
        ))
        .await;
    let address = STACK.database_url.rsplit('@').next().unwrap();
    let url = format!("mysql://{user}:old@{address}/{name}");
    let downpipe = Downpipe::deploy_with(database, &url).await;
    downpipe.send(r#"{"export":"slow","params":{"number":1}}"#).await;
    downpipe.ended_jobs(1).await;

    downpipe.database.execute(&format!("ALTER USER '{user}'@'%' IDENTIFIED BY 'new'")).await;
    let secrets = aws_sdk_secretsmanager::Client::new(&downpipe.config);
    let secret = format!("{}/database", downpipe.stack_name());
    let value = secrets.get_secret_value().secret_id(&secret).send().await.unwrap();
    let rotated = value.secret_string().unwrap().replace("\"old\"", "\"new\"");
    secrets.put_secret_value().secret_id(&secret).secret_string(rotated).send().await.unwrap();
    // The ledger's open connection stays valid. Only a new connection needs the new password.
    downpipe.send(r#"{"export":"slow","params":{"number":2}}"#).await;
    let jobs = downpipe.ended_jobs(2).await;
    assert!(jobs.iter().all(|job| job.state == JobState::Ready && job.attempt == 1), "{jobs:?}");
    downpipe.database.execute(&format!("DROP USER '{user}'@'%'")).await;
}

#[tokio::test]
async fn continuation_sent_by_a_person_is_harmless() {
    let downpipe = Downpipe::deploy("").await;
    downpipe.send(r#"{"export":"slow","params":{"number":1}}"#).await;
    let running = job_in_state(&downpipe, JobState::Running).await;
    downpipe.send(&format!(r#"{{"continue":"{}"}}"#, running.id)).await;
    let job = downpipe.ended_jobs(1).await.remove(0);
    assert_eq!((job.state, job.attempt), (JobState::Ready, 1));
    downpipe.send(&format!(r#"{{"continue":"{}"}}"#, running.id)).await;
    downpipe.send(r#"{"continue":"0123456789abcdef01234567"}"#).await;
    downpipe.queue_is_empty().await;
    assert_eq!(downpipe.mails().await.len(), 1);
}

#[tokio::test]
async fn message_with_style_fields_chooses_profile_format_and_compression() {
    let downpipe = Downpipe::deploy(ORDERS).await;
    let message = |id: &str, style: &str| {
        format!(
            r#"{{ "export": "orders", "params": {{ "from": "2026-01-01", "to": "2026-02-01" }},
                "requested_by": "alice@example.com", "request_id": "{id}", {style} }}"#
        )
    };
    downpipe.send(&message("office", r#""profile": "excel-cp932""#)).await;
    downpipe.send(&message("sheets", r#""format": "xlsx", "compression": "zip""#)).await;
    downpipe.send(&message("lake", r#""format": "parquet""#)).await;
    let jobs = downpipe.ended_jobs(3).await;
    let job = |id: &str| jobs.iter().find(|job| job.request_id == id).unwrap();

    let office = job("office").receipt.as_ref().unwrap();
    assert_eq!(office.encoding.as_deref(), Some("Shift_JIS"));
    assert_eq!(office.changes["customer"]["unmappable_characters"], 1, "the ü of Müller");

    let archive = downpipe.file(job("sheets")).await;
    assert!(archive.starts_with(b"PK"), "a zip archive");
    assert_eq!(job("sheets").receipt.as_ref().unwrap().files[0].file_name, "orders-2026-01-01.zip");
    let parquet = downpipe.file(job("lake")).await;
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    downpipe.queue_is_empty().await;
}

/// No message of the job is left. The sweep finds the job when the function is invoked as its
/// schedule does.
#[tokio::test]
async fn scheduled_event_makes_the_function_sweep() {
    let downpipe = Downpipe::deploy("").await;
    let body = r#"{"export":"slow","params":{"number":1},"requested_by":"alice@example.com"}"#;
    let new = NewJob::of(&Message::parse(body), "lost", body).unwrap();
    downpipe.ledger().accept(&new).await.unwrap();
    downpipe.database.execute("UPDATE downpipe_jobs SET updated_at = updated_at - INTERVAL 3 HOUR").await;
    let answer = downpipe.invoke(r#"{"sweep":{}}"#).unwrap();
    let found = serde_json::json!([{ "kind": "idle", "job": new.id, "outcome": "done" }]);
    assert_eq!(
        (&answer["findings"], &answer["not_looked_for"]),
        (&found, &serde_json::json!([])),
        "{answer}"
    );
    let job = downpipe.ended_jobs(1).await.remove(0);
    assert_eq!((job.id, job.state), (new.id, JobState::Ready));
    downpipe.queue_is_empty().await;
    assert_eq!(downpipe.mails().await.len(), 1);
}
