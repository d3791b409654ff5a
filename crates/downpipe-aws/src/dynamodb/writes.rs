//! Requests that write items: conditions, update expressions, transactions.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValue, TransactWriteItem, Update,
};
use downpipe_core::ledger::LedgerError;

use super::errors::{Written, failed, written};
use super::item::{Attribute, Item, key, number, text};
use super::schema::{TABLE_KEY, TABLE_TIME_TO_LIVE};
use super::table::Table;

/// That no item has this key.
const IS_FREE: &str = "attribute_not_exists(#pk)";

impl Table {
    /// Sends writes: one as it is, several as a transaction.
    ///
    /// The SDK gives a transaction a token, so that a second attempt after a lost answer writes nothing twice.
    pub(super) async fn write(&self, mut writes: Vec<TransactWriteItem>) -> Result<Written, LedgerError> {
        if writes.len() == 1
            && let Some(write) = writes.pop()
        {
            return self.write_one(write).await;
        }
        let request = self.client.transact_write_items().set_transact_items(Some(writes));
        self.explain(written(Box::pin(request.send()).await)).await
    }

    async fn write_one(&self, write: TransactWriteItem) -> Result<Written, LedgerError> {
        let result = match write {
            TransactWriteItem { put: Some(put), .. } => {
                let request = self.client.put_item().table_name(put.table_name).set_item(Some(put.item));
                let request = request
                    .set_condition_expression(put.condition_expression)
                    .set_expression_attribute_names(put.expression_attribute_names)
                    .set_expression_attribute_values(put.expression_attribute_values);
                written(Box::pin(request.send()).await)
            }
            TransactWriteItem { update: Some(update), .. } => {
                let request = self.client.update_item().table_name(update.table_name);
                let request = request
                    .set_key(Some(update.key))
                    .update_expression(update.update_expression)
                    .set_condition_expression(update.condition_expression)
                    .set_expression_attribute_names(update.expression_attribute_names)
                    .set_expression_attribute_values(update.expression_attribute_values)
                    .return_values(ReturnValue::None);
                written(Box::pin(request.send()).await)
            }
            TransactWriteItem { delete: Some(delete), .. } => {
                let request = self.client.delete_item().table_name(delete.table_name);
                let request = request
                    .set_key(Some(delete.key))
                    .set_condition_expression(delete.condition_expression)
                    .set_expression_attribute_names(delete.expression_attribute_names)
                    .set_expression_attribute_values(delete.expression_attribute_values);
                written(Box::pin(request.send()).await)
            }
            _ => Ok(Written::Done),
        };
        self.explain(result).await
    }

    /// Puts an item where none is.
    pub(super) fn put_new(&self, item: Item) -> Result<TransactWriteItem, LedgerError> {
        let put = Put::builder().table_name(&self.name).set_item(Some(item)).condition_expression(IS_FREE);
        let put = put.expression_attribute_names("#pk", TABLE_KEY).build().map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Puts an item, whatever is there.
    pub(super) fn put(&self, item: Item) -> Result<TransactWriteItem, LedgerError> {
        let put = Put::builder().table_name(&self.name).set_item(Some(item)).build().map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Sets attributes of an item, and removes those that have no value, if the item still has this version.
    pub(super) fn update(
        &self,
        item_key: String,
        version: u64,
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> Result<TransactWriteItem, LedgerError> {
        let (mut sets, mut removes) = (Vec::new(), Vec::new());
        let (mut names, mut values) = (HashMap::new(), HashMap::new());
        for (attribute, value) in attributes {
            names.insert(format!("#{attribute}"), attribute.to_owned());
            match value {
                Some(value) => {
                    sets.push(format!("#{attribute} = :{attribute}"));
                    values.insert(format!(":{attribute}"), value);
                }
                None => removes.push(format!("#{attribute}")),
            }
        }
        let mut expression = format!("SET {}", sets.join(", "));
        if !removes.is_empty() {
            expression += &format!(" REMOVE {}", removes.join(", "));
        }
        values.insert(":read".to_owned(), number(version));
        let update = Update::builder()
            .table_name(&self.name)
            .set_key(Some(key(item_key)))
            .update_expression(expression)
            .condition_expression("#version = :read")
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Deletes an item of this version.
    pub(super) fn delete_version(
        &self,
        item_key: String,
        version: u64,
    ) -> Result<TransactWriteItem, LedgerError> {
        self.delete_where(item_key, "#name = :value", "version", number(version))
    }

    /// Deletes an item that names this job in this attribute, if it is there.
    pub(super) fn delete_named(
        &self,
        item_key: String,
        attribute: &str,
        job: &str,
    ) -> Result<TransactWriteItem, LedgerError> {
        let condition = "attribute_not_exists(#name) OR #name = :value";
        self.delete_where(item_key, condition, attribute, text(job))
    }

    /// Deletes an item that does not have this attribute.
    pub(super) fn delete_without(
        &self,
        item_key: String,
        attribute: &str,
    ) -> Result<TransactWriteItem, LedgerError> {
        let delete = Delete::builder()
            .table_name(&self.name)
            .set_key(Some(key(item_key)))
            .condition_expression("attribute_not_exists(#name)")
            .expression_attribute_names("#name", attribute)
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Adds a member to a set of an item, or deletes it from there, and sets when the item expires.
    pub(super) fn change_set(
        &self,
        item_key: String,
        action: &str,
        attribute: &str,
        member: String,
        expires: Option<AttributeValue>,
    ) -> Result<TransactWriteItem, LedgerError> {
        let mut expression = format!("{action} #set :members");
        let mut update = Update::builder().table_name(&self.name).set_key(Some(key(item_key)));
        if let Some(expires) = expires {
            expression = format!("SET #expires = :expires {expression}");
            update = update
                .expression_attribute_names("#expires", TABLE_TIME_TO_LIVE)
                .expression_attribute_values(":expires", expires);
        }
        let update = update
            .update_expression(expression)
            .expression_attribute_names("#set", attribute)
            .expression_attribute_values(":members", AttributeValue::Ss(vec![member]))
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    fn delete_where(
        &self,
        item_key: String,
        condition: &str,
        name: &str,
        value: AttributeValue,
    ) -> Result<TransactWriteItem, LedgerError> {
        let delete = Delete::builder()
            .table_name(&self.name)
            .set_key(Some(key(item_key)))
            .condition_expression(condition)
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value)
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Checks that an item has this value, and writes nothing.
    pub(super) fn check(
        &self,
        item_key: String,
        name: &str,
        value: AttributeValue,
    ) -> Result<TransactWriteItem, LedgerError> {
        let check = ConditionCheck::builder()
            .table_name(&self.name)
            .set_key(Some(key(item_key)))
            .condition_expression("#name = :value")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value)
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}

/// Returns an item of these attributes.
pub(super) fn item_of(attributes: impl IntoIterator<Item = Attribute>) -> Item {
    let named = |(name, value): Attribute| Some((name.to_owned(), value?));
    attributes.into_iter().filter_map(named).collect()
}

fn unbuilt(error: BuildError) -> LedgerError {
    failed(error)
}
