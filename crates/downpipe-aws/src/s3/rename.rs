//! Renaming: a copy within S3, and a removal.
//!
//! The copy is a multipart upload whose parts come from the old object. So it goes the way of every large file: S3 holds it
//! against size and checksum, refuses to replace what is there, and shows nothing at the key until it is whole. CopyObject
//! would be one request, but takes 5 GiB at most, and LocalStack and MiniStack replace with it what it must not replace.

use std::convert::Infallible;
use std::error::Error;
use std::ops::Range;

use bytes::Bytes;
use downpipe_core::store::{NewObject, ObjectStore as _, StoreError, StoredPart, Total, Upload as _};
use tokio::sync::oneshot;

use super::headers::copy_source;
use super::{Found, S3Store, S3Upload};
use crate::errors::of_store;

/// S3 copies 5 GiB in one request at most. A fifth of that is done well before the request's time is up.
const PART_BYTES: u64 = 1 << 30;

/// See [`ObjectStore::rename`](downpipe_core::store::ObjectStore::rename).
pub(super) async fn rename(
    store: &S3Store,
    from: &NewObject,
    to: &NewObject,
    total: Total,
) -> Result<(), StoreError> {
    if from.key == to.key {
        // What is removed at the end would be the file itself.
        let source = "the new key is the old one".into();
        return Err(StoreError::Refused { operation: "renaming the file", source });
    }
    let Some(source) = store.find(&from.key).await? else {
        // Renamed already, or never there: what is at the final key tells.
        return store.confirm(to, total, None).await;
    };
    if source.token.as_ref() != Some(&from.token) {
        return Err(StoreError::Exists { holder: source.holder() });
    }
    if let Some(error) = source.mismatch(total) {
        return Err(error);
    }
    // What broke off after the copy is not copied again: If-None-Match would refuse that at its very end.
    if store.find(&to.key).await?.is_some() {
        store.confirm(to, total, None).await?;
    } else if total.bytes == 0 {
        // There is no range of nothing to copy.
        store.put(to, Bytes::new(), total).await?;
    } else {
        copy(store, from, source, to, total).await?;
    }
    // Only now: until the copy is confirmed, this is the only one.
    store.delete(&from.key).await
}

/// Copies in a task of its own: whoever waits for it may stop waiting at any moment, and nobody else knows of the upload
/// that is then to be aborted.
async fn copy(
    store: &S3Store,
    from: &NewObject,
    source: Found,
    to: &NewObject,
    total: Total,
) -> Result<(), StoreError> {
    let (store, from, to) = (store.clone(), from.clone(), to.clone());
    let (waits, left) = oneshot::channel::<Infallible>();
    let copying = tokio::spawn(async move {
        let upload = store.begin(&to).await?;
        let copied = tokio::select! {
            copied = copy_parts(&upload, &from, &source, total) => copied,
            Err(left) = left => Err(unfinished(left)),
        };
        if copied.is_err() {
            // Why there is no copy matters more; what cannot be aborted now goes with the bucket's lifecycle.
            drop(upload.abort().await);
        }
        copied
    });
    let copied = copying.await;
    drop(waits);
    copied.unwrap_or_else(|panic| Err(unfinished(panic)))
}

async fn copy_parts(
    upload: &S3Upload,
    from: &NewObject,
    source: &Found,
    total: Total,
) -> Result<(), StoreError> {
    let mut parts = Vec::new();
    for (number, range) in (1..).zip(ranges(total.bytes, PART_BYTES)) {
        let range = (total.bytes > PART_BYTES).then_some(range);
        parts.push(copy_part(upload, from, source, number, range).await?);
    }
    upload.complete(parts, total).await
}

/// Copies a range of the source, or all of it: of an object of 5 MB and less S3 copies no range.
async fn copy_part(
    upload: &S3Upload,
    from: &NewObject,
    source: &Found,
    number: u32,
    range: Option<Range<u64>>,
) -> Result<StoredPart, StoreError> {
    let S3Upload { store: S3Store { client, bucket, timeouts }, object: to, upload_id, .. } = upload;
    let copied = client
        .upload_part_copy()
        .bucket(bucket)
        .key(&to.key)
        .upload_id(upload_id)
        .part_number(i32::try_from(number).unwrap_or(i32::MAX))
        .copy_source(copy_source(bucket, &from.key))
        // What is copied is what was looked at.
        .set_copy_source_if_match(source.etag.clone())
        .set_copy_source_range(range.map(|Range { start, end }| format!("bytes={start}-{}", end - 1)))
        .customize()
        .config_override(timeouts.at_leisure())
        .send()
        .await
        .map_err(|error| of_store("copying the file", error))?;
    let part = copied.copy_part_result();
    Ok(StoredPart {
        number,
        etag: part.and_then(|part| part.e_tag()).unwrap_or_default().to_owned(),
        // S3 and LocalStack compute one for every part that is copied. MiniStack does not, nor for the whole object: there
        // the size and the source's entity tag are all that a copy is held against.
        checksum: part.and_then(|part| part.checksum_crc64_nvme()).map(str::to_owned),
    })
}

fn unfinished(error: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable { operation: "copying the file", source: Box::new(error) }
}

/// Cuts so many bytes into ranges of at most so many.
fn ranges(bytes: u64, most: u64) -> impl Iterator<Item = Range<u64>> {
    (0..bytes.div_ceil(most)).map(move |number| number * most..bytes.min((number + 1) * most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_leave_nothing_out() {
        for bytes in 1..=21 {
            let cut: Vec<_> = ranges(bytes, 5).collect();
            assert_eq!(cut.len() as u64, bytes.div_ceil(5), "{cut:?}");
            assert!(cut.iter().all(|range| range.end - range.start <= 5), "{cut:?}");
            assert_eq!(cut.into_iter().flatten().collect::<Vec<_>>(), (0..bytes).collect::<Vec<_>>());
        }
    }
}
