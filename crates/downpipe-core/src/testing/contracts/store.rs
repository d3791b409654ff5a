//! The rules of every object store.

use super::samples::{bytes, object, total};
use super::steps::{PART_BYTES, begin, holds, in_any_order, refused, send, worked};
use crate::job::ObjectDigest;
use crate::store::{ObjectStore, Upload as _};

/// Tries the rules of every store, a folder included. `key` makes a key of a rule's name, at which nothing is yet. `fetch` gives
/// the bytes at a key, past the port.
///
/// # Panics
/// When a rule is broken.
pub async fn store_contract<S: ObjectStore>(
    store: &S,
    key: impl Fn(&str) -> String,
    fetch: impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    small_file_put_is_whole(store, key("put"), &fetch).await;
    upload_not_completed_leaves_nothing_at_the_key(store, key("parts"), &fetch).await;
    upload_of_wrong_size_is_an_error(store, key("size"), &fetch).await;
    upload_aborted_leaves_nothing(store, key("abort"), &fetch).await;
}

/// Tries that no way of storing a file takes a checksum that is not that of the bytes. Apart from the others,
/// because some stand-ins for S3 do not check it.
///
/// # Panics
/// When a rule is broken.
pub async fn store_refuses_wrong_checksums<S: ObjectStore>(
    store: &S,
    prefix: &str,
    fetch: impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let body = bytes(1_000, 1);
    let wrong = ObjectDigest { crc64nvme: !total(&body).crc64nvme, ..total(&body) };
    let put = object(format!("{prefix}/put"), "checksum", 1);
    let rule = "bytes that do not have the checksum they must have are an error, and nothing is at the key";
    refused(store.put(&put, body.clone(), wrong).await, rule);
    assert_eq!(fetch(&put.key).await, None, "{rule}");
    let parts = object(format!("{prefix}/parts"), "checksum", 1);
    let upload = begin(store, &parts).await;
    let stored = vec![send(&upload, 1, 0, body).await];
    refused(upload.complete(stored, wrong).await, rule);
    assert_eq!(fetch(&parts.key).await, None, "{rule}");
    let to = object(format!("{prefix}/renamed"), "checksum", 1);
    let from = to.staged(1);
    worked(store.put(&from, bytes(1_000, 1), total(&bytes(1_000, 1))).await, "a staged file is put");
    refused(store.rename(&from, &to, wrong).await, rule);
    assert_eq!(fetch(&to.key).await, None, "{rule}");
    worked(upload.abort().await, "an upload that could not be completed can be aborted");
}

async fn small_file_put_is_whole<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let object = object(key, "put", 1);
    let body = bytes(1_000, 1);
    worked(store.put(&object, body.clone(), total(&body)).await, "a small file is put");
    holds(fetch, &object.key, &body, "what was put is at the key, byte for byte").await;
}

async fn upload_not_completed_leaves_nothing_at_the_key<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let object = object(key, "parts", 1);
    let upload = begin(store, &object).await;
    let bodies = [bytes(PART_BYTES, 1), bytes(PART_BYTES + 1, 2), bytes(10, 3)];
    let file = bodies.concat();
    let parts = in_any_order(&upload, &bodies).await;
    assert_eq!(fetch(&object.key).await, None, "nothing is at the key until an upload is completed");
    worked(upload.complete(parts, total(&file)).await, "parts that arrived are completed");
    holds(fetch, &object.key, &file, "a completed object is its parts in order, byte for byte").await;
}

async fn upload_of_wrong_size_is_an_error<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let object = object(key, "size", 1);
    let upload = begin(store, &object).await;
    let body = bytes(1_000, 1);
    let parts = vec![send(&upload, 1, 0, body.clone()).await];
    let more = ObjectDigest { bytes: total(&body).bytes + 1, ..total(&body) };
    refused(upload.complete(parts, more).await, "an object that has not the size it must have is an error");
    assert_eq!(fetch(&object.key).await, None, "an object is complete and correct at its key, or absent");
    worked(upload.abort().await, "an upload that could not be completed can be aborted");
}

async fn upload_aborted_leaves_nothing<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let object = object(key, "abort", 1);
    let body = bytes(1_000, 1);
    let empty = begin(store, &object).await;
    worked(empty.abort().await, "an upload without parts can be aborted");
    let upload = begin(store, &object).await;
    let parts = vec![send(&upload, 1, 0, body.clone()).await];
    worked(upload.abort().await, "an upload can be aborted");
    refused(upload.complete(parts, total(&body)).await, "an aborted upload can no longer be completed");
    assert_eq!(fetch(&object.key).await, None, "nothing is at the key after an abort");
    let next = begin(store, &object).await;
    let parts = vec![send(&next, 1, 0, body.clone()).await];
    worked(next.complete(parts, total(&body)).await, "an abort does not stand in the way of the next upload");
    holds(fetch, &object.key, &body, "the next upload is complete").await;
}
