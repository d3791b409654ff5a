//! A table, with a client for it: reading items and indexes, and the table's clock.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Select};
use downpipe_core::ledger::LedgerError;

use super::clock::{LocalClock, ReadDate, ServerTime, TableClock};
use super::errors::{RetryConflicts, failed, ledger_error, may_be_wrong_table};
use super::item::{Item, key};
use super::schema::{TABLE_KEY, TableIndex, differences};

/// The time of one request. DynamoDB answers in milliseconds, so a longer one has met a network that drops packets.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time of a request and all its retries, as long as a statement of the ledger in MySQL may take.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// The most items that DynamoDB reads in one request.
pub(super) const MAX_BATCH: usize = 100;

/// How often the rest of a batch is asked for that DynamoDB has left out.
const MAX_BATCH_ROUNDS: u32 = 20;

/// An item that is not there. Asking for it tells the time.
const NO_ITEM: &str = "clock";

/// A table, with a client for it.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: String,
    clock: Arc<TableClock>,
}

/// Which part of an index is read.
pub(super) struct Search<'a> {
    pub(super) index: TableIndex,
    pub(super) hash: &'a str,
    /// The least value of the range.
    pub(super) since: Option<AttributeValue>,
    /// The greatest value of the range.
    pub(super) until: Option<AttributeValue>,
    /// In which direction of the range.
    pub(super) order: Order,
}

/// The order in which an index is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

impl<'a> Search<'a> {
    /// Returns the search for everything in a partition.
    pub(super) fn all(index: TableIndex, hash: &'a str, order: Order) -> Self {
        Self { index, hash, since: None, until: None, order }
    }
}

impl Table {
    pub(super) fn new(config: &SdkConfig, name: String, local: LocalClock) -> Self {
        let clock = Arc::new(TableClock::new(local));
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .timeout_config(timeouts)
            .retry_classifier(RetryConflicts)
            .interceptor(ReadDate(Arc::clone(&clock)));
        Self { client: Client::from_conf(config.build()), name, clock }
    }

    /// Returns the server's time. Asks for it unless an answer has told it just now.
    pub(super) async fn time(&self) -> Result<ServerTime, LedgerError> {
        if let Some(time) = self.clock.fresh() {
            return Ok(time);
        }
        self.read(NO_ITEM, &[TABLE_KEY]).await?;
        self.time_of_answer()
    }

    /// Returns the server's time after an answer.
    pub(super) fn time_of_answer(&self) -> Result<ServerTime, LedgerError> {
        self.clock
            .time()
            .ok_or_else(|| failed("DynamoDB's answers have no Date header, which is the ledger's clock"))
    }

    /// Reads an item as the last write left it: these attributes, or all of them if none is named.
    pub(super) async fn read(
        &self,
        item_key: &str,
        attributes: &[&str],
    ) -> Result<Option<Item>, LedgerError> {
        let request = self.client.get_item().table_name(&self.name).set_key(Some(key(item_key)));
        let mut request = request.consistent_read(true);
        if !attributes.is_empty() {
            // By other names, because DynamoDB has hundreds of reserved words.
            let names: Vec<String> = attributes.iter().map(|attribute| format!("#{attribute}")).collect();
            request = request.projection_expression(names.join(", "));
            for (name, attribute) in names.into_iter().zip(attributes) {
                request = request.expression_attribute_names(name, *attribute);
            }
        }
        let got = Box::pin(request.send()).await.map_err(ledger_error);
        Ok(self.explain(got).await?.item)
    }

    /// Reads items as the last writes left them, in any order.
    pub(super) async fn read_all(&self, keys: &[Item]) -> Result<Vec<Item>, LedgerError> {
        let mut items = Vec::new();
        for keys in keys.chunks(MAX_BATCH) {
            let mut left = keys.to_vec();
            for _ in 0..MAX_BATCH_ROUNDS {
                let wanted = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true);
                let wanted = wanted.build().map_err(failed)?;
                let request = self.client.batch_get_item().request_items(&self.name, wanted);
                let got = Box::pin(request.send()).await.map_err(ledger_error);
                let mut got = self.explain(got).await?;
                let found = got.responses.as_mut().and_then(|found| found.remove(&self.name));
                items.extend(found.unwrap_or_default());
                let unread = got.unprocessed_keys.as_mut().and_then(|unread| unread.remove(&self.name));
                left = unread.map(|unread| unread.keys).unwrap_or_default();
                if left.is_empty() {
                    break;
                }
            }
            if !left.is_empty() {
                return Err(LedgerError::Unavailable("DynamoDB reads a part of a batch only".into()));
            }
        }
        Ok(items)
    }

    /// Reads a page of keys in an index, which may be a moment behind the table. Returns where the next page begins, if there is one.
    pub(super) async fn search(
        &self,
        search: &Search<'_>,
        start: Option<Item>,
        limit: i32,
    ) -> Result<(Vec<Item>, Option<Item>), LedgerError> {
        let request = self.query(search).set_exclusive_start_key(start).limit(limit);
        let found = Box::pin(request.send()).await.map_err(ledger_error);
        let found = self.explain(found).await?;
        let next = found.last_evaluated_key.filter(|key| !key.is_empty());
        Ok((found.items.unwrap_or_default(), next))
    }

    /// Counts the keys in an index, which may be a moment behind the table.
    pub(super) async fn count(&self, search: &Search<'_>) -> Result<u64, LedgerError> {
        let (mut start, mut count) = (None, 0);
        loop {
            let request = self.query(search).set_exclusive_start_key(start).select(Select::Count);
            let counted = Box::pin(request.send()).await.map_err(ledger_error);
            let counted = self.explain(counted).await?;
            count += u64::try_from(counted.count).unwrap_or_default();
            start = counted.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    fn query(&self, search: &Search<'_>) -> QueryFluentBuilder {
        let Search { index, hash, since, until, order } = search;
        let mut request = self.client.query().table_name(&self.name).index_name(index.name);
        let range = match (since, until) {
            (None, None) => "",
            (Some(_), None) => " AND #range >= :since",
            (None, Some(_)) => " AND #range <= :until",
            (Some(_), Some(_)) => " AND #range BETWEEN :since AND :until",
        };
        for (name, value) in [(":since", since), (":until", until)] {
            if let Some(value) = value {
                request = request
                    .expression_attribute_names("#range", index.range)
                    .expression_attribute_values(name, value.clone());
            }
        }
        request
            .key_condition_expression(format!("#hash = :hash{range}"))
            .expression_attribute_names("#hash", index.hash)
            .expression_attribute_values(":hash", AttributeValue::S((*hash).to_owned()))
            .scan_index_forward(*order == Order::Ascending)
    }

    /// Says of an error that a missing or different table gives what is wrong with the table.
    pub(super) async fn explain<T>(&self, result: Result<T, LedgerError>) -> Result<T, LedgerError> {
        match result {
            Err(error) if may_be_wrong_table(&error) => Err(self.fits().await.err().unwrap_or(error)),
            result => result,
        }
    }

    /// Checks that the table is there and has the key and the indexes that this version reads and writes.
    pub(super) async fn fits(&self) -> Result<(), LedgerError> {
        let name = &self.name;
        let described = Box::pin(self.client.describe_table().table_name(name).send()).await;
        let table = match described {
            Ok(described) => described.table,
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) =>
            {
                None
            }
            Err(error) => return Err(ledger_error(error)),
        };
        let Some(table) = table else {
            return Err(failed(format!(
                "the table {name:?} is missing in DynamoDB, in this account and region; infra/ledger.yaml makes it"
            )));
        };
        let differences = differences(&table);
        if differences.is_empty() {
            return Ok(());
        }
        let differences = differences.join("; ");
        Err(failed(format!(
            "the table {name:?} in DynamoDB is not a ledger of this version: {differences}; infra/ledger.yaml has the right ones"
        )))
    }
}
