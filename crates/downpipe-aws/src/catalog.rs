//! A catalog in S3: all `<prefix>/*.toml`, so that definitions change without a deployment.

use aws_config::SdkConfig;
use aws_sdk_s3::types::EncodingType;
use downpipe_core::catalog::DefinitionFile;
use downpipe_core::store::folder_prefix;

use crate::client;
use crate::s3::listing::decoded;

/// Why the catalog could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("{operation} s3://{bucket}/{key}")]
pub struct CatalogFetchError {
    operation: &'static str,
    bucket: String,
    key: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Fetches the definitions directly below a prefix.
///
/// # Errors
/// When the bucket cannot be listed, or an object cannot be read as text.
pub async fn fetch_catalog(
    config: &SdkConfig,
    bucket: &str,
    prefix: &str,
) -> Result<Vec<DefinitionFile>, CatalogFetchError> {
    let client = client::s3(config);
    let prefix = folder_prefix(prefix);
    let wrong = |operation, key: &str, source| CatalogFetchError {
        operation,
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        source,
    };
    let mut files = Vec::new();
    let list = client.list_objects_v2().bucket(bucket).prefix(&prefix).delimiter("/");
    let mut pages = list.encoding_type(EncodingType::Url).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| wrong("could not list", &prefix, error.into()))?;
        let keys = page.contents().iter().filter_map(|object| object.key());
        let keys = keys.map(|key| decoded(key, page.encoding_type()));
        for key in keys.filter(|key| key.ends_with(".toml")) {
            let object = client.get_object().bucket(bucket).key(&key).send().await;
            let object = object.map_err(|error| wrong("could not fetch", &key, error.into()))?;
            let bytes =
                object.body.collect().await.map_err(|error| wrong("could not fetch", &key, error.into()))?;
            let text = String::from_utf8(bytes.to_vec())
                .map_err(|error| wrong("could not read", &key, error.into()))?;
            files.push(DefinitionFile { file: format!("s3://{bucket}/{key}"), text });
        }
    }
    Ok(files)
}
