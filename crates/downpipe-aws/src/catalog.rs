//! A catalog in S3: every `<prefix>/*.toml`, so that definitions can change without a deployment.

use aws_config::SdkConfig;
use downpipe_core::catalog::DefinitionFile;

use crate::client;

/// The catalog could not be fetched.
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
/// When the bucket cannot be listed or an object not be read as text.
pub async fn fetch_catalog(
    config: &SdkConfig,
    bucket: &str,
    prefix: &str,
) -> Result<Vec<DefinitionFile>, CatalogFetchError> {
    let client = client::s3(config);
    // With the slash, a neighbour named alike (`exports-old`) stays out.
    let prefix = match prefix.trim_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    let wrong = |operation, key: &str, source| CatalogFetchError {
        operation,
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        source,
    };
    let mut files = Vec::new();
    let mut pages =
        client.list_objects_v2().bucket(bucket).prefix(&prefix).delimiter("/").into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| wrong("could not list", &prefix, error.into()))?;
        for key in
            page.contents().iter().filter_map(|object| object.key()).filter(|key| key.ends_with(".toml"))
        {
            let object = client.get_object().bucket(bucket).key(key).send().await;
            let object = object.map_err(|error| wrong("could not fetch", key, error.into()))?;
            let bytes =
                object.body.collect().await.map_err(|error| wrong("could not fetch", key, error.into()))?;
            let text = String::from_utf8(bytes.to_vec())
                .map_err(|error| wrong("could not read", key, error.into()))?;
            files.push(DefinitionFile { file: format!("s3://{bucket}/{key}"), text });
        }
    }
    Ok(files)
}
