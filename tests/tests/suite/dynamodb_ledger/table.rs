//! Tests what is in the table: unique items, indexes, and what is said of a table that is not as it has to be.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use downpipe_aws::{DynamoJobTable, TABLE_INDEXES, TABLE_KEY};
use downpipe_core::error_chain::error_chain;
use downpipe_core::job::NewJob;
use downpipe_core::ledger::{Claim, Ledger, StaleFilter};
use downpipe_tests::dynamodb::{LedgerTable, create};
use downpipe_tests::{aws, unique};
use futures_util::future::join_all;

use super::{granted, new_job};

const LEASE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn claim_by_eight_workers_is_granted_once() {
    let table = LedgerTable::new().await;
    let job = new_job("contended", Some("a"));
    let claims = join_all((0..8).map(async |worker| {
        let ledger = Ledger::new(table.adapter());
        ledger.accept(&job).await.unwrap();
        ledger.claim(&job.id, &format!("worker {worker}"), LEASE).await.unwrap()
    }))
    .await;
    let granted =
        claims.iter().filter(|claim| matches!(claim, Claim::Granted(lease, _) if lease.attempt() == 1));
    assert_eq!(granted.count(), 1, "{claims:?}");
    assert_eq!(claims.iter().filter(|claim| matches!(claim, Claim::Busy(..))).count(), 7, "{claims:?}");
}

#[tokio::test]
async fn click_of_eight_at_once_is_one_job_with_seven_aliases() {
    let table = LedgerTable::new().await;
    let jobs: Vec<NewJob> = (0..8).map(|click| new_job(&format!("click {click}"), Some("b"))).collect();
    let accepted =
        join_all(jobs.iter().map(async |job| Ledger::new(table.adapter()).accept(job).await.unwrap())).await;
    assert_eq!(accepted.iter().collect::<BTreeSet<_>>().len(), 1, "{accepted:?}");
    assert_eq!(table.keys("job#").await.len(), 8);
    assert_eq!(table.keys("active#").await.len(), 1);
    let ledger = Ledger::new(table.adapter());
    assert_eq!(ledger.latest(10).await.unwrap().len(), 1, "an alias is no job");
    let lease = granted(&ledger, &jobs[3].id, LEASE).await;
    ledger.cancel(lease.job()).await.unwrap();
    assert_eq!(table.keys("active#").await, [] as [String; 0], "a request to cancel frees the fingerprint");
    ledger.cancelled(&lease).await.unwrap();
    let notice = ledger.claim_notification(lease.job()).await.unwrap().unwrap();
    ledger.notified(notice).await.unwrap();
    let over = ledger.stale_jobs(StaleFilter::PastLedgerRetention(Duration::ZERO), 10).await.unwrap();
    assert_eq!(over.len(), 1);
    assert!(ledger.forget(lease.job(), Duration::ZERO).await.unwrap());
    assert_eq!(table.items().await.len(), 0, "aliases are deleted with their job");
}

#[tokio::test]
async fn job_with_more_aliases_than_a_transaction_takes_is_deleted_with_all() {
    let table = LedgerTable::new().await;
    let ledger = Ledger::new(table.adapter());
    let first = new_job("first", Some("c"));
    ledger.accept(&first).await.unwrap();
    let aliases: Vec<NewJob> = (0..105).map(|click| new_job(&format!("click {click}"), Some("c"))).collect();
    for alias in &aliases {
        assert_eq!(ledger.accept(alias).await.unwrap(), first.id);
    }
    ledger.cancel(&first.id).await.unwrap();
    let notice = ledger.claim_notification(&first.id).await.unwrap().unwrap();
    ledger.notified(notice).await.unwrap();
    assert!(ledger.forget(&first.id, Duration::ZERO).await.unwrap());
    assert_eq!(table.items().await.len(), 0);
}

#[tokio::test]
async fn job_deleted_by_time_to_live_leaves_its_aliases_free() {
    let table = LedgerTable::new().await;
    let ledger = Ledger::new(table.adapter());
    let (first, second) = (new_job("first", Some("d")), new_job("second", Some("d")));
    ledger.accept(&first).await.unwrap();
    assert_eq!(ledger.accept(&second).await.unwrap(), first.id);
    ledger.cancel(&first.id).await.unwrap();
    let delete = table.client().delete_item().table_name(&table.ledger.table);
    delete.key(TABLE_KEY, AttributeValue::S(format!("job#{}", first.id))).send().await.unwrap();
    assert_eq!(ledger.find(&second.id).await.unwrap(), None);
    assert_eq!(ledger.accept(&second).await.unwrap(), second.id);
    assert_eq!(ledger.find(&second.id).await.unwrap().unwrap().id, second.id);
}

#[tokio::test]
async fn time_to_live_is_set_on_jobs_that_are_over_and_on_no_other() {
    let table = LedgerTable::new().await;
    let ledger = Ledger::new(table.adapter());
    let expires =
        async || table.items().await[0].get("expires").map(|at| at.as_n().unwrap().parse::<i64>().unwrap());
    let job = new_job("mortal", None);
    ledger.accept(&job).await.unwrap();
    ledger.cancel(&job.id).await.unwrap();
    assert_eq!(expires().await, None, "the requester is to be notified");
    let notice = ledger.claim_notification(&job.id).await.unwrap().unwrap();
    ledger.notified(notice).await.unwrap();
    let in_97_days = jiff::Timestamp::now().as_second() + 97 * 24 * 3600;
    assert!((expires().await.unwrap() - in_97_days).abs() < 60);
}

#[tokio::test]
async fn requesters_own_jobs_and_those_of_a_definition_are_in_indexes() {
    let table = LedgerTable::new().await;
    let ledger = Ledger::new(table.adapter());
    let asked =
        |name: &str, address: &str| NewJob { requested_by: address.parse().unwrap(), ..new_job(name, None) };
    for (name, address) in
        [("1", "hanako@example.com"), ("2", "taro@example.com"), ("3", "hanako@example.com")]
    {
        ledger.accept(&asked(name, address)).await.unwrap();
    }
    // A message that could not be read names no export.
    ledger.accept(&NewJob { export: String::new(), ..new_job("4", None) }).await.unwrap();
    let found = async |index: &str, hash: &str, value: &str| {
        let query = table.client().query().table_name(&table.ledger.table).index_name(index);
        let query = query.key_condition_expression("#hash = :hash").expression_attribute_names("#hash", hash);
        let query = query.expression_attribute_values(":hash", AttributeValue::S(value.to_owned()));
        let items = query.scan_index_forward(false).send().await.unwrap().items.unwrap();
        items.iter().map(|item| item[TABLE_KEY].as_s().unwrap().clone()).collect::<Vec<_>>()
    };
    let keys = |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| format!("job#{}", new_job(name, None).id)).collect()
    };
    assert_eq!(found("requester", "requested_by", "hanako@example.com").await, keys(&["3", "1"]));
    assert_eq!(found("export", "export", "orders").await, keys(&["3", "2", "1"]));
    assert_eq!(ledger.find(&new_job("4", None).id).await.unwrap().unwrap().export, "");
}

#[tokio::test]
async fn table_that_is_missing_or_different_is_named_with_every_difference() {
    let config = aws::ministack().await;
    let said = async |table: &str| {
        let adapter = DynamoJobTable::new(&config, &LedgerTable::named(table.to_owned(), "none".to_owned()));
        let said = error_chain(&adapter.fits().await.unwrap_err());
        let ledger = Ledger::new(adapter);
        let listed = error_chain(&ledger.latest(1).await.unwrap_err());
        assert_eq!(listed, said, "a command says the same");
        said
    };
    let missing = unique("missing");
    assert_eq!(
        said(&missing).await,
        format!(
            "the ledger reported an error: the table {missing:?} is missing in DynamoDB, in this account and region; \
             infra/ledger.yaml makes it"
        )
    );
    let old = unique("old");
    create(&config, &old, &TABLE_INDEXES[2..]).await;
    assert_eq!(
        said(&old).await,
        format!(
            "the ledger reported an error: the table {old:?} in DynamoDB is not a ledger of this version: it has no index \"due\"; \
             it has no index \"newest\"; infra/ledger.yaml has the right ones"
        )
    );
    let right = LedgerTable::new().await;
    right.adapter().fits().await.unwrap();
}

/// The template is deployed, and its table is one that the product accepts. The rest of it is read as text.
#[tokio::test]
async fn template_makes_the_table_that_the_product_needs() {
    const TEMPLATE: &str = include_str!("../../../../infra/ledger.yaml");
    let names = |key: &str| -> Vec<&str> {
        let lines = TEMPLATE
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- ").and_then(|line| line.strip_prefix(key)));
        lines.collect()
    };
    assert_eq!(names("IndexName: "), TABLE_INDEXES.map(|index| index.name));
    for index in TABLE_INDEXES {
        let keys = format!(
            "- IndexName: {}\n          KeySchema:\n            - {{AttributeName: {}, KeyType: HASH}}\n            \
             - {{AttributeName: {}, KeyType: RANGE}}\n          Projection: {{ProjectionType: KEYS_ONLY}}\n",
            index.name, index.hash, index.range
        );
        assert!(TEMPLATE.contains(&keys), "{keys}");
    }
    for line in [
        "KeySchema:\n        - {AttributeName: pk, KeyType: HASH}\n",
        "TimeToLiveSpecification: {AttributeName: expires, Enabled: true}",
        "BillingMode: PAY_PER_REQUEST",
        "DeletionProtectionEnabled: true",
        "PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}",
        "DeletionPolicy: Retain",
        "UpdateReplacePolicy: Retain",
        "SSEType: KMS",
    ] {
        assert!(TEMPLATE.contains(line), "{line}");
    }
    assert_eq!((TABLE_KEY, downpipe_aws::TABLE_TIME_TO_LIVE), ("pk", "expires"));
    let table = deployed_table(TEMPLATE).await;
    let config = aws::ministack().await;
    let adapter =
        DynamoJobTable::new(&config, &LedgerTable::named(table.clone(), aws::bucket(&config).await));
    adapter.fits().await.unwrap();
    let ledger = Ledger::new(adapter);
    let job = new_job("deployed", Some("e"));
    ledger.accept(&job).await.unwrap();
    assert_eq!(ledger.latest(1).await.unwrap()[0].id, job.id);
    let described =
        aws_sdk_dynamodb::Client::new(&config).describe_table().table_name(table).send().await.unwrap();
    assert_eq!(described.table.unwrap().deletion_protection_enabled, Some(true));
}

/// Deploys the template at MiniStack and returns the name of its table.
async fn deployed_table(template: &str) -> String {
    let stack = unique("ledger");
    let cli = |args: &[&str]| {
        let mut command = std::process::Command::new(downpipe_tests::STACK.aws_cli());
        downpipe_tests::STACK.apply_to(&mut command).arg("cloudformation").args(args);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    cli(&["create-stack", "--stack-name", &stack, "--template-body", template]);
    let query = "Stacks[0].Outputs[?OutputKey=='TableName'].OutputValue";
    downpipe_tests::eventually("the table is deployed", async || {
        let name = cli(&["describe-stacks", "--stack-name", &stack, "--query", query, "--output", "text"]);
        Some(name.trim().to_owned()).filter(|name| !name.is_empty() && name != "None")
    })
    .await
}
