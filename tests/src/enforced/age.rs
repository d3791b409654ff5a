//! Makes a job old, so that the sweep finds it. Only the account's root user and the database's administrator may.

use aws_sdk_dynamodb::types::AttributeValue;
use downpipe_core::job::JobId;
use serde_json::Value;

use super::site::Site;

const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// Sets the times of a job to long ago: its last change, and the end of its file's retention.
pub(super) async fn make_old(site: &Site<'_>, id: &JobId) {
    match &site.table {
        Some(table) => in_dynamodb(site, table, id).await,
        None => in_mysql(site, id).await,
    }
}

async fn in_mysql(site: &Site<'_>, id: &JobId) {
    site.database
        .execute(&format!(
            "UPDATE downpipe_jobs SET updated_at = '2020-01-01', expires_at = '2020-01-01', \
             receipt = JSON_SET(receipt, '$.expires_at', '{LONG_AGO}') WHERE id = '{id}'"
        ))
        .await;
}

async fn in_dynamodb(site: &Site<'_>, table: &str, id: &JobId) {
    let client = aws_sdk_dynamodb::Client::new(&site.place.config);
    let key = AttributeValue::S(format!("job#{id}"));
    let get = client.get_item().table_name(table).key("pk", key.clone()).consistent_read(true);
    let item = get.send().await.unwrap().item.unwrap();
    let mut receipt: Value = serde_json::from_str(item["receipt"].as_s().unwrap()).unwrap();
    receipt["expires_at"] = LONG_AGO.into();
    // Microseconds since 1970.
    let long_ago = AttributeValue::N("1577836800000000".to_owned());
    let update = client.update_item().table_name(table).key("pk", key);
    let update = update.update_expression("SET updated_at = :then, due_at = :then, receipt = :receipt");
    let update = update.expression_attribute_values(":then", long_ago);
    let update = update.expression_attribute_values(":receipt", AttributeValue::S(receipt.to_string()));
    update.send().await.unwrap();
}
