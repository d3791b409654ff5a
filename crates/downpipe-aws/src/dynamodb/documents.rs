//! The documents of a job: texts of which some are too long for an item, and lie in S3 then.
//!
//! An item has at most 400 KB, and every write of it costs by its size. A checkpoint of 10,000 parts has more than a megabyte. So an
//! item has a document of its own if that is short, and otherwise names an object in the ledger's folder of the bucket:
//! `PREFIX/_ledger/JOB/WRITE/SHA-256`. No definition's name begins with `_`, so no file of a job can be there.
//!
//! Every write has a name of its own, so no two versions of a job ever name the same object. So an object may be deleted as soon as
//! the version that names it is replaced, however late that happens.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use bytes::Bytes;
use downpipe_core::job::JobId;
use downpipe_core::ledger::LedgerError;
use downpipe_core::store::folder_prefix;
use sha2::{Digest as _, Sha256};

use super::errors::failed;
use super::item::Item;
use crate::errors::{is_absent, is_transient};

/// The longest document in an item, in bytes. Four of them are far below the limit of an item.
pub(super) const MAX_INLINE: usize = 16 * 1024;

/// The folder of the ledger in the bucket.
const FOLDER: &str = "_ledger";

/// The time of one request that carries a document, and of all its retries.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a document is that is not in its item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The write that stored it.
    pub(super) write: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub(super) sha256: String,
}

impl Place {
    /// Reads the place that an attribute names. `None` for a document in the item.
    pub(super) fn of(attribute: &AttributeValue) -> Option<Self> {
        let AttributeValue::M(place) = attribute else { return None };
        let text = |name: &str| place.get(name)?.as_s().ok().cloned();
        Some(Self { write: text("write")?, sha256: text("sha256")? })
    }

    fn attribute(&self) -> AttributeValue {
        let text = |text: &String| AttributeValue::S(text.clone());
        AttributeValue::M(HashMap::from([
            ("write".to_owned(), text(&self.write)),
            ("sha256".to_owned(), text(&self.sha256)),
        ]))
    }
}

/// Stores long documents.
#[derive(Debug, Clone)]
pub(super) struct Documents {
    client: Client,
    bucket: String,
    /// With a slash at its end.
    folder: String,
}

impl Documents {
    pub(super) fn new(config: &SdkConfig, bucket: &str, prefix: &str) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let config = config.to_builder().timeout_config(timeouts).build();
        let folder = format!("{}{FOLDER}/", folder_prefix(prefix));
        Self { client: crate::client::s3(&config), bucket: bucket.to_owned(), folder }
    }

    /// Returns the attribute of a document. Stores the document first if it is long.
    pub(super) async fn keep(
        &self,
        job: &JobId,
        write: &str,
        text: String,
    ) -> Result<AttributeValue, LedgerError> {
        if text.len() <= MAX_INLINE {
            return Ok(AttributeValue::S(text));
        }
        let place = Place { write: write.to_owned(), sha256: hex::encode(Sha256::digest(&text)) };
        let put = self.client.put_object().bucket(&self.bucket).key(self.key(job, &place));
        let put = put.content_type("application/json").body(Bytes::from(text).into());
        Box::pin(put.send()).await.map_err(|error| storage_error("storing a document", error))?;
        Ok(place.attribute())
    }

    /// Reads a document. `None` when it is not there: the version that named it has been replaced.
    pub(super) async fn read(&self, job: &JobId, place: &Place) -> Result<Option<String>, LedgerError> {
        const OPERATION: &str = "reading a document";
        let get = self.client.get_object().bucket(&self.bucket).key(self.key(job, place));
        let got = match Box::pin(get.send()).await {
            Ok(got) => got,
            Err(error) if is_absent(&error, "NoSuchKey") => return Ok(None),
            Err(error) => return Err(storage_error(OPERATION, error)),
        };
        let body = got.body.collect().await.map_err(|error| LedgerError::Unavailable(error.into()))?;
        let body = body.into_bytes();
        let sha256 = hex::encode(Sha256::digest(&body));
        if sha256 != place.sha256 {
            return Err(failed(format!(
                "a document of job {job} in {} is damaged: expected SHA-256 {}, got {sha256}",
                self.bucket, place.sha256
            )));
        }
        String::from_utf8(body.into()).map(Some).map_err(failed)
    }

    /// Deletes a document that no version names any more. One that stays is deleted with its job.
    pub(super) async fn remove(&self, job: &JobId, place: &Place) {
        let delete = self.client.delete_object().bucket(&self.bucket).key(self.key(job, place));
        if let Err(error) = Box::pin(delete.send()).await {
            let error = storage_error("deleting a document", error);
            tracing::warn!(
                job.id = %job,
                error = downpipe_core::error_chain::error_chain(&error),
                "a replaced document of the ledger stays until its job is deleted"
            );
        }
    }

    /// Deletes every document of a job that is not in the table any more.
    pub(super) async fn remove_all(&self, job: &JobId) {
        let folder = format!("{}{job}/", self.folder);
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(&folder);
        let mut pages = list.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    let error = storage_error("listing documents", error);
                    let error = downpipe_core::error_chain::error_chain(&error);
                    tracing::warn!(job.id = %job, error, "documents of a deleted job may have stayed in the bucket");
                    return;
                }
            };
            for key in page.contents().iter().filter_map(|object| object.key()) {
                let delete = self.client.delete_object().bucket(&self.bucket).key(key);
                if let Err(error) = Box::pin(delete.send()).await {
                    let error = storage_error("deleting a document", error);
                    let error = downpipe_core::error_chain::error_chain(&error);
                    tracing::warn!(job.id = %job, error, "a document of a deleted job has stayed in the bucket");
                }
            }
        }
    }

    fn key(&self, job: &JobId, Place { write, sha256 }: &Place) -> String {
        format!("{}{job}/{write}/{sha256}", self.folder)
    }
}

/// Returns the places of documents that an item names.
pub(super) fn places(item: &Item) -> impl Iterator<Item = Place> {
    item.values().filter_map(Place::of)
}

/// Returns an error of S3 as the ledger's.
fn storage_error<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> LedgerError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let transient = is_transient(&error);
    let source = DocumentError { operation, source: Box::new(error) }.into();
    if transient { LedgerError::Unavailable(source) } else { LedgerError::Failed(source) }
}

/// A failure at a document of the ledger in S3.
#[derive(Debug, thiserror::Error)]
#[error("{operation} of the ledger in S3")]
struct DocumentError {
    operation: &'static str,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}
