//! Tests a worker whose ledger is in DynamoDB, on a MySQL user that may only read.

use downpipe_core::job::JobState;
use downpipe_core::ledger::Ledger;
use downpipe_tests::database::TestDatabase;
use downpipe_tests::dynamodb::{LedgerTable, PREFIX};
use downpipe_tests::test_stack::TestStack;
use downpipe_tests::{STACK, aws, eventually, unique};

const ORDERS: &str = "CREATE TABLE orders (id INT PRIMARY KEY, name VARCHAR(20)); \
    INSERT INTO orders VALUES (1, 'one'), (2, 'two'), (3, 'three')";
const DEFINITION: &str = "title = \"Orders\"\nsql = \"SELECT id, name FROM orders ORDER BY id\"\n";

#[tokio::test]
async fn worker_with_a_read_only_user_exports_and_notifies() {
    let database = TestDatabase::create().await;
    database.execute(ORDERS).await;
    let user = unique("reader").replace('-', "_");
    database.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'")).await;
    database.execute(&format!("GRANT SELECT ON {}.* TO '{user}'@'%'", database.name)).await;
    let mut url = url::Url::parse(&database.url).unwrap();
    url.set_username(&user).unwrap();
    url.set_password(Some("secret")).unwrap();

    let stack = TestStack::on(database, &[("orders", DEFINITION)]).await;
    let table = LedgerTable::new().await;
    let ledger_in_table = LedgerTable::named(table.ledger.table.clone(), stack.bucket.clone());
    let ledger = Ledger::new(downpipe_aws::DynamoJobTable::new(&aws::ministack().await, &ledger_in_table));
    let command = |args: &[&str]| {
        let mut command = stack.command(args);
        command
            .env("DATABASE_URL", url.as_str())
            .env("DOWNPIPE_LEDGER", format!("dynamodb:{}", table.ledger.table))
            .env("DOWNPIPE_PREFIX", PREFIX)
            .env("AWS_ENDPOINT_URL_DYNAMODB", &STACK.aws_endpoint_url);
        command
    };
    let said = |args: &[&str]| {
        let output = command(args).output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), said)
    };
    let (status, migrated) = said(&["migrate"]);
    assert_eq!(status, Some(0), "{migrated}");
    assert!(migrated.starts_with("nothing to migrate: the ledger is in DynamoDB"), "{migrated}");

    let (status, checked) = said(&["check", "--ledger"]);
    assert_eq!(status, Some(0), "{checked}");
    assert!(
        checked.starts_with("Success: Inserted ") && checked.contains(" from the ledger in DynamoDB"),
        "{checked}"
    );
    assert_eq!(table.items().await.len(), 0, "it leaves nothing behind");

    let id = stack.send(r#"{"export":"orders","requested_by":"alice@example.com"}"#).await;
    let worker = command(&["worker", "--until-empty"]).output().unwrap();
    assert!(worker.status.success(), "{}", String::from_utf8_lossy(&worker.stderr));
    let job = eventually("the job is ready and its requester notified", async || {
        ledger.find(&id).await.unwrap().filter(|job| job.notified_at.is_some())
    })
    .await;
    assert_eq!(stack.file(&job).await, b"id,name\n1,one\n2,two\n3,three\n");
    let mails = stack.mails().await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].subject, "Export orders is ready");

    let (status, listed) = said(&["list"]);
    assert!(status == Some(0) && listed.contains(id.as_str()) && listed.contains("ready"), "{listed}");
    let (status, shown) = said(&["status", id.as_str(), "--json"]);
    assert!(status == Some(0) && shown.contains("\"state\": \"ready\""), "{shown}");
    let (status, swept) = said(&["sweep"]);
    assert_eq!(status, Some(0), "{swept}");

    // A job that no worker has, cancelled by a person who has no access to the database.
    let waiting = super::new_job("waiting", None);
    ledger.accept(&waiting).await.unwrap();
    let output = command(&["cancel", waiting.id.as_str()]).env_remove("DATABASE_URL").output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    assert!(words.contains("its queries, if a dead worker left any, run until their time limit"), "{words}");
    let cancelled = ledger.find(&waiting.id).await.unwrap().unwrap();
    assert_eq!(cancelled.state, JobState::Cancelled);
    stack.database.execute(&format!("DROP USER '{user}'@'%'")).await;
}
