//! Renaming: a copy within S3, and a removal.
//!
//! The copy is a multipart upload whose parts come from the old object. S3 treats it as every large
//! file: it holds the copy against size and checksum, refuses to replace what is there, and shows nothing at the key until it is
//! whole. CopyObject
//! would be one request, but takes 5 GiB at most, and LocalStack and MiniStack replace with it what it must not replace.

use std::convert::Infallible;
use std::error::Error;
use std::ops::Range;

use bytes::Bytes;
use downpipe_core::job::{ObjectDigest, StoredPart};
use downpipe_core::store::{NewObject, StoreError, Upload as _};
use tokio::sync::oneshot;

use super::bucket::{Bucket, Found};
use super::headers::copy_source;
use super::upload::S3Upload;
use crate::errors::store_error;

/// S3 copies 5 GiB in one request at most. A fifth of that is done well before the request's time is up.
const PART_BYTES: u64 = 1 << 30;

/// See [`ObjectStore::rename`](downpipe_core::store::ObjectStore::rename).
pub(super) async fn rename(
    bucket: &Bucket,
    from: &NewObject,
    to: &NewObject,
    total: ObjectDigest,
) -> Result<(), StoreError> {
    if from.key == to.key {
        // What is removed at the end would be the file itself.
        let source = "the new key is the old one".into();
        return Err(StoreError::Refused { operation: "renaming the file", source });
    }
    let Some(source) = bucket.find(&from.key).await? else {
        // Renamed already, or never there: the object at the final key tells.
        return bucket.verify_after_error(to, total, None).await;
    };
    if source.token.as_ref() != Some(&from.token) {
        return Err(StoreError::Exists { holder: source.holder() });
    }
    if let Some(error) = source.mismatch(total) {
        return Err(error);
    }
    let etag = source.etag.clone();
    // After an earlier copy, the file is not copied again: If-None-Match would refuse that at its very end.
    if bucket.find(&to.key).await?.is_some() {
        bucket.verify_after_error(to, total, None).await?;
    } else if total.bytes == 0 {
        // An empty file has no range to copy.
        bucket.put(to, Bytes::new(), total).await?;
    } else {
        copy(bucket, from, source, to, total).await?;
    }
    // Only now: until the copy is verified, this is the only one.
    bucket.remove_object(&from.key, etag.as_deref()).await.map(drop)
}

/// Copies in a task of its own. The caller may stop waiting at any moment, and then the task aborts the upload, which no checkpoint
/// names.
async fn copy(
    bucket: &Bucket,
    from: &NewObject,
    source: Found,
    to: &NewObject,
    total: ObjectDigest,
) -> Result<(), StoreError> {
    let (bucket, from, to) = (bucket.clone(), from.clone(), to.clone());
    let (waits, left) = oneshot::channel::<Infallible>();
    let copying = tokio::spawn(async move {
        let upload = S3Upload::begin(&bucket, &to).await?;
        let copied = tokio::select! {
            copied = copy_parts(&upload, &from, &source, total) => copied,
            Err(left) = left => Err(unfinished(left)),
        };
        if copied.is_err() {
            // The first error matters more. The bucket's lifecycle aborts what cannot be aborted now.
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
    total: ObjectDigest,
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
    let S3Upload { bucket: Bucket { client, name, timeouts }, object: to, upload_id, .. } = upload;
    let copied = client
        .upload_part_copy()
        .bucket(name)
        .key(&to.key)
        .upload_id(upload_id)
        .part_number(i32::try_from(number).unwrap_or(i32::MAX))
        .copy_source(copy_source(name, &from.key))
        // S3 copies the object that was looked at, or none.
        .set_copy_source_if_match(source.etag.clone())
        .set_copy_source_range(range.map(|Range { start, end }| format!("bytes={start}-{}", end - 1)))
        .customize()
        .config_override(timeouts.at_leisure())
        .send()
        .await
        .map_err(|error| store_error("copying the file", error))?;
    let part = copied.copy_part_result();
    Ok(StoredPart {
        number,
        etag: part.and_then(|part| part.e_tag()).unwrap_or_default().to_owned(),
        // S3 and LocalStack compute one for every part that is copied. MiniStack does not, nor for the whole object: there a
        // copy is held against the size and the source's entity tag alone.
        checksum: part.and_then(|part| part.checksum_crc64_nvme()).map(str::to_owned),
    })
}

fn unfinished(error: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable { operation: "copying the file", source: Box::new(error) }
}

/// Cuts so many bytes into ranges of at most `max`.
fn ranges(bytes: u64, max: u64) -> impl Iterator<Item = Range<u64>> {
    (0..bytes.div_ceil(max)).map(move |number| number * max..bytes.min((number + 1) * max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_any_size_leave_nothing_out() {
        for bytes in 1..=21 {
            let cut: Vec<_> = ranges(bytes, 5).collect();
            assert_eq!(cut.len() as u64, bytes.div_ceil(5), "{cut:?}");
            assert!(cut.iter().all(|range| range.end - range.start <= 5), "{cut:?}");
            assert_eq!(cut.into_iter().flatten().collect::<Vec<_>>(), (0..bytes).collect::<Vec<_>>());
        }
    }
}
