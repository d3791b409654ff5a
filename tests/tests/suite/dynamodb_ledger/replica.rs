//! Tests a worker on a server that takes no write from any user, as a read replica.

use downpipe_core::job::JobState;
use downpipe_tests::database::Server;
use downpipe_tests::private_server::PrivateServer;
use downpipe_tests::test_stack::TestStack;

const ORDERS: &str = "CREATE TABLE orders (id INT PRIMARY KEY, name VARCHAR(20)); \
    INSERT INTO orders VALUES (1, 'one'), (2, 'two'), (3, 'three')";
const DEFINITIONS: [(&str, &str); 2] = [
    (
        "orders",
        "title = \"Orders\"\nsql = \"SELECT id, name FROM orders WHERE id > :after ORDER BY id\"\n\
         [resume]\ncolumn = \"id\"\nstart = 0\n",
    ),
    ("broken", "title = \"Broken\"\nsql = \"SELECT CAST(0 AS UNSIGNED) - id AS less FROM orders\"\n"),
];

#[tokio::test]
async fn worker_on_a_super_read_only_replica_exports_and_notifies() {
    let replica = PrivateServer::start(Server::MySql, &[]).await;
    let mut database = replica.create_database().await;
    database.execute(ORDERS).await;
    replica
        .execute(&format!(
            "CREATE USER reader@'%' IDENTIFIED BY 'secret'; GRANT SELECT ON {}.orders TO reader@'%'; \
             SET GLOBAL super_read_only = ON",
            database.name
        ))
        .await;
    let administrator = database.database();
    let refused = downpipe_mysql::migrate(&administrator).await.unwrap_err();
    let words = downpipe_core::error_chain::error_chain(&refused);
    assert!(words.contains("read-only"), "not even an administrator may write: {words}");

    let address = replica.url().rsplit('@').next().unwrap();
    database.url = format!("mysql://reader:secret@{address}/{}", database.name);
    let stack = TestStack::on(database, &DEFINITIONS).await.with_ledger_in_dynamodb().await;
    let ready = stack.send(r#"{"export":"orders","requested_by":"alice@example.com"}"#).await;
    let failed = stack.send(r#"{"export":"broken","requested_by":"bob@example.com"}"#).await;
    let mut worker = stack.worker(&["--until-empty"]);
    assert_eq!(worker.exit_code().await, Some(0), "{}", worker.log());

    let job = stack.notified(&ready).await;
    assert_eq!(stack.file(&job).await, b"id,name\n1,one\n2,two\n3,three\n");
    let job = stack.notified(&failed).await;
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(job.failure.unwrap().code, "query_failed");
    let mut notices: Vec<String> =
        stack.mails().await.iter().map(|mail| mail.attributes[..3].join(" ")).collect();
    notices.sort();
    let expected =
        ["alice@example.com orders ready", "bob@example.com broken failed", "operator broken failed"];
    assert_eq!(notices, expected);
    let swept = stack.command(&["sweep"]).output().unwrap();
    assert!(swept.status.success(), "{}", String::from_utf8_lossy(&swept.stderr));
    // Otherwise the database could not be dropped.
    replica.execute("SET GLOBAL super_read_only = OFF").await;
}
