//! Creates tables for the ledger in DynamoDB, as the product says that they have to be.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    Projection, ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};
use downpipe_aws::{
    DynamoJobTable, DynamoLedgerConfig, TABLE_INDEXES, TABLE_KEY, TABLE_TIME_TO_LIVE, TableIndex,
};

use downpipe_core::ledger::{JobFilter, JobQueries as _};

use crate::{aws, unique};

/// The prefix of the keys in a table's bucket.
pub const PREFIX: &str = "files";

/// The ledger's retention in the tests' tables.
pub const RETENTION: Duration = Duration::from_secs(90 * 24 * 3600);

/// A table of a ledger in a DynamoDB, and the bucket of its long documents in an S3.
#[derive(Debug, Clone)]
pub struct LedgerTable {
    /// The settings for DynamoDB and S3.
    pub config: SdkConfig,
    /// Names of table and bucket.
    pub ledger: DynamoLedgerConfig,
}

impl LedgerTable {
    /// Creates a table at MiniStack.
    pub async fn new() -> Self {
        Self::at(&aws::ministack().await).await
    }

    /// Creates a table and a bucket.
    pub async fn at(config: &SdkConfig) -> Self {
        let table = unique("ledger");
        create(config, &table, &TABLE_INDEXES).await;
        Self { config: config.clone(), ledger: Self::named(table, aws::bucket(config).await) }
    }

    /// Returns the configuration of a ledger in this table and bucket.
    pub fn named(table: String, bucket: String) -> DynamoLedgerConfig {
        DynamoLedgerConfig { table, bucket, prefix: PREFIX.to_owned(), retention: RETENTION }
    }

    /// Returns the adapter for the table.
    pub fn adapter(&self) -> DynamoJobTable {
        DynamoJobTable::new(&self.config, &self.ledger)
    }

    /// Returns the adapter, as another endpoint reaches the table and the bucket.
    pub async fn adapter_at(&self, endpoint: &str) -> DynamoJobTable {
        DynamoJobTable::new(&aws::config(endpoint).await, &self.ledger)
    }

    /// Returns a client that is independent of the adapter.
    pub fn client(&self) -> Client {
        Client::new(&self.config)
    }

    /// Returns the adapter, whose clock has seen a second begin and so knows the server's time well.
    pub async fn settled_adapter(&self) -> DynamoJobTable {
        let adapter = self.adapter();
        settle(&adapter).await;
        adapter
    }

    /// Deletes every item of the table.
    pub async fn clear(&self) {
        for item in self.items().await {
            self.delete(item[TABLE_KEY].as_s().unwrap()).await;
        }
    }

    /// Deletes an item.
    pub async fn delete(&self, key: &str) {
        let delete = self.client().delete_item().table_name(&self.ledger.table);
        delete.key(TABLE_KEY, AttributeValue::S(key.to_owned())).send().await.unwrap();
    }

    /// Returns every item of the table. Only a test may scan it.
    pub async fn items(&self) -> Vec<std::collections::HashMap<String, AttributeValue>> {
        let mut pages =
            self.client().scan().table_name(&self.ledger.table).consistent_read(true).into_paginator().send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            items.extend(page.unwrap().items.unwrap_or_default());
        }
        items
    }

    /// Returns the keys of the items that begin with this text.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let items = self.items().await;
        let keys = items.iter().map(|item| item[TABLE_KEY].as_s().unwrap().clone());
        keys.filter(|key| key.starts_with(prefix)).collect()
    }
}

/// Asks the table until its clock has seen a second begin.
pub async fn settle(adapter: &DynamoJobTable) {
    let began = tokio::time::Instant::now();
    while began.elapsed() < Duration::from_millis(1_100) {
        adapter.jobs_of(&JobFilter::default(), None, 1).await.unwrap();
    }
}

/// Creates a table with these indexes.
pub async fn create(config: &SdkConfig, table: &str, indexes: &[TableIndex]) {
    let client = Client::new(config);
    let key =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let attribute = |name: &str, kind| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
    };
    let index = |TableIndex { name, hash, range }: &TableIndex| {
        let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        GlobalSecondaryIndex::builder()
            .index_name(*name)
            .key_schema(key(hash, KeyType::Hash))
            .key_schema(key(range, KeyType::Range))
            .projection(keys_only)
            .build()
            .unwrap()
    };
    let mut attributes = vec![attribute(TABLE_KEY, ScalarAttributeType::S)];
    for TableIndex { hash, range, .. } in indexes {
        attributes
            .extend([attribute(hash, ScalarAttributeType::S), attribute(range, ScalarAttributeType::N)]);
    }
    attributes.sort_by(|a, b| a.attribute_name().cmp(b.attribute_name()));
    attributes.dedup();
    let create = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key(TABLE_KEY, KeyType::Hash))
        .set_attribute_definitions(Some(attributes))
        .set_global_secondary_indexes(
            Some(indexes.iter().map(index).collect()).filter(|all: &Vec<_>| !all.is_empty()),
        );
    create.send().await.unwrap();
    let expiry = TimeToLiveSpecification::builder().attribute_name(TABLE_TIME_TO_LIVE).enabled(true);
    let update = client.update_time_to_live().table_name(table);
    update.time_to_live_specification(expiry.build().unwrap()).send().await.unwrap();
}
