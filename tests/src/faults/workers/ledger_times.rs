//! Moves the times of a ledger into the past, where a test would otherwise wait for minutes or hours.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use downpipe_aws::TABLE_KEY;
use downpipe_core::job::JobId;
use jiff::Timestamp;

use crate::dynamodb::LedgerTable;
use crate::test_stack::TestStack;

/// A job without a change for so long has lost its message, or waits behind others. The time
/// exceeds all pauses between attempts but the longest.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// Longer than every time after which the sweep repairs a job.
const AGE: Duration = Duration::from_secs(3 * 3600);

/// Moves the end of a job's notify lease one minute back.
pub(super) async fn expire_notify_lease(test_stack: &TestStack, job: &JobId) {
    if let Some(table) = test_stack.ledger_in_dynamodb() {
        if let Some(item) = item(&table, job).await {
            shift(&table, &item, &["notify_lease_until"], Duration::from_secs(60)).await;
        }
        return;
    }
    let sql =
        "UPDATE downpipe_jobs SET notify_lease_until = notify_lease_until - INTERVAL 1 MINUTE WHERE id = ";
    test_stack.database.execute(&format!("{sql}'{job}'")).await;
}

/// Moves the times of jobs that are lost into the past, so that a sweep repairs them. Returns whether there are any.
pub(super) async fn age_lost_jobs(test_stack: &TestStack, jobs: &[JobId]) -> bool {
    match test_stack.ledger_in_dynamodb() {
        Some(table) => age_lost_items(&table, jobs).await,
        None => age_lost_rows(test_stack, jobs).await,
    }
}

async fn age_lost_rows(test_stack: &TestStack, jobs: &[JobId]) -> bool {
    let ids: Vec<String> = jobs.iter().map(|id| format!("'{id}'")).collect();
    let lost = format!(
        "id IN ({}) AND updated_at < UTC_TIMESTAMP(6) - INTERVAL {} SECOND AND notified_at IS NULL",
        ids.join(", "),
        LOST_AFTER.as_secs()
    );
    let sql = format!("SELECT id FROM downpipe_jobs WHERE {lost}");
    if test_stack.database.query(&sql).await.is_empty() {
        return false;
    }
    let age = AGE.as_secs();
    let times = ["updated_at", "lease_until", "notify_lease_until"];
    let times = times.map(|time| format!("{time} = {time} - INTERVAL {age} SECOND"));
    test_stack.database.execute(&format!("UPDATE downpipe_jobs SET {} WHERE {lost}", times.join(", "))).await;
    true
}

async fn age_lost_items(table: &LedgerTable, jobs: &[JobId]) -> bool {
    // MiniStack's clock is this machine's.
    let lost_before = (Timestamp::now() - LOST_AFTER).as_microsecond();
    let mut found = false;
    for job in jobs {
        let Some(item) = item(table, job).await else { continue };
        let is_lost = number(&item, "updated_at").is_some_and(|at| at < lost_before)
            && !item.contains_key("notified_at");
        if is_lost {
            shift(table, &item, &["updated_at", "due_at", "lease_until", "notify_lease_until"], AGE).await;
        }
        found |= is_lost;
    }
    found
}

type Item = HashMap<String, AttributeValue>;

async fn item(table: &LedgerTable, job: &JobId) -> Option<Item> {
    let get = table.client().get_item().table_name(&table.ledger.table).consistent_read(true);
    get.key(TABLE_KEY, key(job)).send().await.unwrap().item
}

fn key(job: &JobId) -> AttributeValue {
    AttributeValue::S(format!("job#{job}"))
}

fn number(item: &Item, attribute: &str) -> Option<i64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

/// Moves times of an item back, unless a worker has written to it meanwhile.
async fn shift(table: &LedgerTable, item: &Item, times: &[&str], by: Duration) {
    let has: Vec<&&str> = times.iter().filter(|time| item.contains_key(**time)).collect();
    if has.is_empty() {
        return;
    }
    let sets: Vec<String> = has.iter().map(|time| format!("#{time} = #{time} - :by")).collect();
    let mut update = table
        .client()
        .update_item()
        .table_name(&table.ledger.table)
        .key(TABLE_KEY, item[TABLE_KEY].clone())
        .update_expression(format!("SET {}", sets.join(", ")))
        .condition_expression("#version = :read")
        .expression_attribute_names("#version", "version")
        .expression_attribute_values(":read", item["version"].clone())
        .expression_attribute_values(":by", AttributeValue::N(by.as_micros().to_string()));
    for time in has {
        update = update.expression_attribute_names(format!("#{time}"), *time);
    }
    match update.send().await {
        Ok(_) => {}
        Err(error) => {
            let refused =
                error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception());
            assert!(refused, "{error:?}");
        }
    }
}
