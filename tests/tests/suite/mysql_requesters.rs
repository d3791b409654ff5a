//! Tests that a requester reads only own rows, although collations treat different addresses as
//! equal.

use downpipe_core::message::Message;
use downpipe_core::request::ExportRequest;
use downpipe_core::source::Query;
use downpipe_tests::database::TestDatabase;
use downpipe_tests::rows::{catalog, read};
use sqlx::Row as _;
use tokio::time::Instant;

const OWN: &str =
    "title = \"Own\"\nsql = \"SELECT memo FROM owned WHERE owner = :requested_by ORDER BY memo\"";

#[tokio::test]
async fn requester_reads_only_own_rows_under_any_collation() {
    for collation in ["utf8mb4_0900_ai_ci", "utf8mb4_general_ci", "utf8mb4_unicode_ci"] {
        let database = TestDatabase::create().await;
        database
            .execute(&format!(
                "CREATE TABLE owned (owner VARCHAR(254) CHARACTER SET utf8mb4 COLLATE {collation}, memo TEXT); \
                 INSERT INTO owned VALUES ('alice@example.com', 'hers'), ('bob@example.com', 'his')"
            ))
            .await;
        // The server treats this address as Alice's.
        let like_alice = database.query("SELECT COUNT(*) FROM owned WHERE owner = 'alice@exämple.com'").await;
        assert_eq!(like_alice[0].get::<i64, _>(0), 1, "otherwise this test proves nothing");
        for stranger in [
            "alice@exämple.com",
            "alice@example.com ",
            "alice@example.com\u{a0}",
            "alice@example.com\u{0}",
            "álice@example.com",
        ] {
            let body = serde_json::json!({ "export": "test", "requested_by": stranger }).to_string();
            let refused = Message::parse(&body).unwrap_err().to_string();
            assert!(refused.starts_with("requested_by: expected"), "{refused}");
        }
        let catalog = catalog(OWN);
        for (who, rows) in [
            ("ALICE@Example.com", "memo\nhers\n"),
            ("bob@example.com", "memo\nhis\n"),
            ("eve@example.com", "memo\n"),
        ] {
            let body = serde_json::json!({ "export": "test", "requested_by": who }).to_string();
            let Ok(Message::Export(message)) = Message::parse(&body) else { panic!("{who}") };
            let request = ExportRequest::accept(&message, &catalog).unwrap();
            let deadline = Instant::now() + std::time::Duration::from_secs(60);
            let query = Query::new(request.sql(None), deadline);
            assert_eq!(read(&database, &query).await.unwrap().0, rows, "{who} under {collation}");
        }
    }
}
