//! The table as it has to be: its key, its indexes, and the attribute of its time to live.
//!
//! `infra/ledger.yaml` makes such a table, the tests make theirs from here, and a test compares the two.

use aws_sdk_dynamodb::types::{KeySchemaElement, KeyType, TableDescription};

/// The attribute that is the table's whole key. A text.
pub const TABLE_KEY: &str = "pk";

/// The attribute with the time, in seconds since 1970, after which DynamoDB may delete an item.
pub const TABLE_TIME_TO_LIVE: &str = "expires";

/// An index of the table. It has the keys of items and nothing else: what it finds is read again from the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableIndex {
    /// Its name.
    pub name: &'static str,
    /// The attribute by which it is divided. A text.
    pub hash: &'static str,
    /// The attribute by which it is sorted. A number.
    pub range: &'static str,
}

/// What the sweep may have to do, by kind and shard, and since when.
pub(super) const DUE: TableIndex = TableIndex { name: "due", hash: "due", range: "due_at" };
/// All jobs, by shard.
pub(super) const NEWEST: TableIndex = TableIndex { name: "newest", hash: "shard", range: "created_at" };
/// A requester's own jobs.
pub(super) const REQUESTER: TableIndex =
    TableIndex { name: "requester", hash: "requested_by", range: "created_at" };
/// The jobs of a definition.
pub(super) const EXPORT: TableIndex = TableIndex { name: "export", hash: "export", range: "created_at" };
/// The jobs that made a file, by the version of the definition and the time of their end.
pub(super) const MADE: TableIndex = TableIndex { name: "made", hash: "made_of", range: "made_at" };
/// What belongs to a job: its aliases, and the downloads of its files.
pub(super) const RELATED: TableIndex =
    TableIndex { name: "related", hash: "related_to", range: "created_at" };

/// Every index of the table.
pub const TABLE_INDEXES: [TableIndex; 6] = [DUE, NEWEST, REQUESTER, EXPORT, MADE, RELATED];

/// Returns how a table differs from what it has to be, one line for each difference.
pub(super) fn differences(table: &TableDescription) -> Vec<String> {
    let mut differences = Vec::new();
    if !has_keys(table.key_schema(), &[(TABLE_KEY, KeyType::Hash)]) {
        differences.push(format!("its key is not the attribute {TABLE_KEY:?} alone"));
    }
    for TableIndex { name, hash, range } in TABLE_INDEXES {
        let index = table.global_secondary_indexes().iter().find(|index| index.index_name() == Some(name));
        let expected = [(hash, KeyType::Hash), (range, KeyType::Range)];
        match index {
            None => differences.push(format!("it has no index {name:?}")),
            Some(index) if !has_keys(index.key_schema(), &expected) => {
                differences.push(format!("the keys of its index {name:?} are not {hash:?} and {range:?}"));
            }
            Some(_) => {}
        }
    }
    let types = TABLE_INDEXES.iter().flat_map(|index| [(index.hash, "S"), (index.range, "N")]);
    for (attribute, expected) in std::iter::once((TABLE_KEY, "S")).chain(types) {
        let defined = table.attribute_definitions().iter().find(|known| known.attribute_name() == attribute);
        let wrong = defined.map(|known| known.attribute_type().as_str()).filter(|actual| *actual != expected);
        if let Some(actual) = wrong {
            differences.push(format!("its attribute {attribute:?} has the type {actual}, not {expected}"));
        }
    }
    differences.dedup();
    differences
}

fn has_keys(keys: &[KeySchemaElement], expected: &[(&str, KeyType)]) -> bool {
    keys.len() == expected.len()
        && expected.iter().all(|(name, kind)| {
            keys.iter().any(|key| key.attribute_name() == *name && key.key_type() == kind)
        })
}
