//! Uploads that were begun and neither completed nor aborted: listing and aborting them.

use std::time::Duration;

use aws_sdk_s3::types::EncodingType;
use downpipe_core::store::StoreError;

use super::bucket::Bucket;
use super::listing::decoded;
use crate::errors::{is_absent, store_error};

/// Rounds in which parts that arrive late are aborted, too.
const ABORT_ROUNDS: u32 = 5;

/// An upload as S3 lists it.
#[derive(Debug)]
pub(super) struct OpenUpload {
    pub(super) key: String,
    pub(super) id: String,
    /// When it was begun, in seconds since 1970.
    pub(super) begun: i64,
}

/// Lists uploads to keys that begin with this. Few are open at once, so there is mostly one page.
pub(super) async fn list(
    Bucket { client, name, .. }: &Bucket,
    prefix: &str,
) -> Result<Vec<OpenUpload>, StoreError> {
    let mut open = Vec::new();
    let mut after: (Option<String>, Option<String>) = (None, None);
    loop {
        let page = client.list_multipart_uploads().bucket(name).prefix(prefix);
        let page = page.encoding_type(EncodingType::Url);
        let page = page.set_key_marker(after.0).set_upload_id_marker(after.1).send().await;
        let page = page.map_err(|error| store_error("listing the uploads", error))?;
        open.extend(page.uploads().iter().filter_map(|upload| {
            let key = decoded(upload.key()?, page.encoding_type());
            let id = upload.upload_id()?.to_owned();
            Some(OpenUpload { key, id, begun: upload.initiated()?.secs() })
        }));
        if page.is_truncated() != Some(true) {
            return Ok(open);
        }
        let key = page.next_key_marker().map(|key| decoded(key, page.encoding_type()));
        after = (key, page.next_upload_id_marker);
    }
}

/// Aborts an upload, until no part of it is left.
pub(super) async fn abort(bucket: &Bucket, key: &str, upload_id: &str) -> Result<(), StoreError> {
    let Bucket { client, name, .. } = bucket;
    let mut last = None;
    for round in 0..ABORT_ROUNDS {
        // A part that was on its way when its sender gave up may arrive after the abort; then there is one more.
        tokio::time::sleep(Duration::from_millis(200) * round).await;
        let aborted = client.abort_multipart_upload().bucket(name).key(key).upload_id(upload_id).send().await;
        match aborted {
            Err(error) if !is_absent(&error, "NoSuchUpload") => {
                last = Some(store_error("aborting the upload", error));
                continue;
            }
            _ => {}
        }
        let listed = client.list_parts().bucket(name).key(key).upload_id(upload_id).send().await;
        match listed {
            Err(error) if is_absent(&error, "NoSuchUpload") => return Ok(()),
            Ok(listed) if listed.parts().is_empty() => return Ok(()),
            Ok(_) => {}
            Err(error) => last = Some(store_error("listing the parts left", error)),
        }
    }
    Err(last.unwrap_or_else(|| StoreError::Unavailable {
        operation: "aborting the upload",
        source: "parts are still there".into(),
    }))
}
