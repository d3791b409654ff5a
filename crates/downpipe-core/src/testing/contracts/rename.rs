//! The rules of renaming, for every object store that holds several files of one export.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::samples::{bytes, object, total};
use super::steps::{PART_BYTES, begin, exists, holds, in_any_order, refused, worked};
use crate::job::ObjectDigest;
use crate::store::{NewObject, ObjectStore, StoreError, Upload as _};

/// An object, seen past the port.
#[derive(Debug)]
pub struct Seen {
    /// Its bytes.
    pub body: Vec<u8>,
    /// The name under which a browser saves it.
    pub file_name: String,
    /// Its user metadata.
    pub metadata: BTreeMap<String, String>,
}

/// Tries every rule of renaming under keys that begin with `prefix` (`contract/1`), where nothing is yet. `see` gives what
/// is at a key, past the port.
///
/// # Panics
/// When a rule is broken.
pub async fn rename_contract<S: ObjectStore>(
    store: &S,
    prefix: &str,
    see: impl AsyncFn(&str) -> Option<Seen>,
) {
    assert!(store.holds_several(), "a store that renames holds several files");
    let fetch = async |key: &str| see(key).await.map(|seen| seen.body);
    // A staged file has a plain name, but not a plain folder.
    let key = |rule: &str| format!("{prefix}/{rule}/注文+%41 (1)/注文.csv");
    renamed_file_is_whole_under_its_new_key_and_name(store, key("whole"), &see).await;
    file_of_many_parts_renamed_is_whole(store, key("parts"), &fetch).await;
    empty_file_is_renamed(store, key("empty"), &fetch).await;
    file_of_another_is_never_replaced_by_rename(store, key("exists"), &fetch).await;
    file_of_another_is_not_renamed(store, key("foreign"), &fetch).await;
    file_that_is_nowhere_cannot_be_renamed(store, key("absent"), &fetch).await;
    file_of_wrong_size_is_not_renamed(store, key("wrong"), &fetch).await;
    file_is_not_renamed_to_itself(store, key("itself"), &fetch).await;
    rename_broken_off_half_way_is_finished(store, key("halfway"), &fetch).await;
}

async fn renamed_file_is_whole_under_its_new_key_and_name<S: ObjectStore>(
    store: &S,
    key: String,
    see: &impl AsyncFn(&str) -> Option<Seen>,
) {
    let (from, mut to) = pair(key, "whole", 1);
    to.file_name = "注文-1-of-2.csv".to_owned();
    to.metadata = BTreeMap::from([("downpipe-file", "1 of 2".to_owned())]);
    let body = bytes(1_000, 1);
    let from = NewObject { metadata: BTreeMap::from([("downpipe-old", "1".to_owned())]), ..from };
    worked(store.put(&from, body.clone(), total(&body)).await, "a staged file is put");
    worked(store.rename(&from, &to, total(&body)).await, "a staged file is renamed");
    for _ in 0..2 {
        assert!(see(&from.key).await.is_none(), "nothing is at a file's old key");
        let seen = see(&to.key).await;
        let seen = seen.unwrap_or_else(|| panic!("a renamed file is at its new key, got nothing"));
        assert!(seen.body == body, "a renamed file has the same bytes, got {} bytes", seen.body.len());
        assert_eq!(seen.file_name, to.file_name, "a renamed file has its new name");
        let value = |name: &str| seen.metadata.get(name).map(String::as_str);
        assert_eq!(value("downpipe-file"), Some("1 of 2"), "a renamed file has its new metadata");
        assert_eq!(value("downpipe-old"), None, "a renamed file has not its old metadata");
        let again = store.rename(&from, &to, total(&body)).await;
        worked(again, "a renamed file of our own attempt means that an answer was lost, and is success");
    }
}

async fn file_of_many_parts_renamed_is_whole<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let (from, to) = pair(key, "parts", 1);
    let upload = begin(store, &from).await;
    let bodies = [bytes(PART_BYTES, 1), bytes(PART_BYTES + 1, 2), bytes(10, 3)];
    let file = bodies.concat();
    let parts = in_any_order(&upload, &bodies).await;
    worked(upload.complete(parts, total(&file)).await, "parts that arrived are completed");
    worked(store.rename(&from, &to, total(&file)).await, "a staged file is renamed");
    holds(fetch, &to.key, &file, "a renamed file has the same bytes").await;
    assert_eq!(fetch(&from.key).await, None, "nothing is at a file's old key");
}

async fn empty_file_is_renamed<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let (from, to) = pair(key, "empty", 1);
    worked(store.put(&from, Bytes::new(), total(b"")).await, "an empty file is put");
    worked(store.rename(&from, &to, total(b"")).await, "an empty file is renamed");
    holds(fetch, &to.key, b"", "a renamed file has the same bytes").await;
    assert_eq!(fetch(&from.key).await, None, "nothing is at a file's old key");
}

async fn file_of_another_is_never_replaced_by_rename<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let (from, to) = pair(key, "exists", 2);
    let (ours, theirs) = (bytes(1_000, 1), bytes(1_000, 2));
    worked(store.put(&from, ours.clone(), total(&ours)).await, "a staged file is put");
    for (name, attempt) in [("another job", 2), ("exists", 1), ("exists", 3)] {
        let other = object(to.key.clone(), name, attempt);
        worked(store.put(&other, theirs.clone(), total(&theirs)).await, "a small file is put");
        let rule = "a rename never replaces an object of another attempt";
        exists(store.rename(&from, &to, total(&ours)).await, rule);
        holds(fetch, &to.key, &theirs, rule).await;
        holds(fetch, &from.key, &ours, "a file that could not be renamed is still at its old key").await;
        worked(store.delete_job_objects(&other).await.or_else(only_exists), "the other's object is removed");
    }
    worked(store.put(&from, ours.clone(), total(&ours)).await, "a staged file is put again");
    worked(store.rename(&from, &to, total(&ours)).await, "the key of a removed object is free");
    holds(fetch, &to.key, &ours, "a renamed file has the same bytes").await;
}

async fn file_of_another_is_not_renamed<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let (from, to) = pair(key, "foreign", 1);
    let body = bytes(1_000, 1);
    let later = object(from.key.clone(), "foreign", 2);
    worked(store.put(&later, body.clone(), total(&body)).await, "a small file is put");
    exists(store.rename(&from, &to, total(&body)).await, "a file of another attempt is not renamed");
    holds(fetch, &from.key, &body, "the object of another attempt is untouched").await;
    assert_eq!(fetch(&to.key).await, None, "nothing is at the new key after a rename that failed");
}

async fn file_that_is_nowhere_cannot_be_renamed<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let (from, to) = pair(key, "absent", 1);
    for body in [bytes(1_000, 1), Bytes::new()] {
        refused(store.rename(&from, &to, total(&body)).await, "a file that is nowhere cannot be renamed");
        assert_eq!(fetch(&to.key).await, None, "nothing is at the new key after a rename that failed");
    }
}

async fn file_of_wrong_size_is_not_renamed<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let (from, to) = pair(key, "wrong", 1);
    let body = bytes(1_000, 1);
    worked(store.put(&from, body.clone(), total(&body)).await, "a staged file is put");
    for bytes in [0, 999, 1_001] {
        let wrong = ObjectDigest { bytes, ..total(&body) };
        let rule = "an object that has not the size it must have is not renamed";
        refused(store.rename(&from, &to, wrong).await, rule);
        assert_eq!(fetch(&to.key).await, None, "{rule}, and nothing is at the new key");
    }
    worked(store.rename(&from, &to, total(&body)).await, "a rename that failed does not stand in the way");
    // It is there now, and has not the size that these say.
    let more = ObjectDigest { bytes: 1_001, ..total(&body) };
    refused(store.rename(&from, &to, more).await, "a renamed file is held against its size once more");
}

async fn file_is_not_renamed_to_itself<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let (_, to) = pair(key, "itself", 1);
    let body = bytes(1_000, 1);
    worked(store.put(&to, body.clone(), total(&body)).await, "a small file is put");
    refused(store.rename(&to, &to, total(&body)).await, "a file is not renamed to itself");
    holds(fetch, &to.key, &body, "a file that was not renamed is still there").await;
}

async fn rename_broken_off_half_way_is_finished<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let (from, to) = pair(key, "halfway", 1);
    let body = bytes(1_000, 1);
    let both = async || {
        for object in [&from, &to] {
            worked(store.put(object, body.clone(), total(&body)).await, "a small file is put");
        }
    };
    both().await;
    worked(store.rename(&from, &to, total(&body)).await, "a rename that broke off half-way is finished");
    holds(fetch, &to.key, &body, "a renamed file has the same bytes").await;
    assert_eq!(fetch(&from.key).await, None, "nothing is at a file's old key");
    both().await;
    let next = NewObject { token: object(String::new(), "halfway", 2).token, ..to.clone() };
    worked(store.delete_job_objects(&next).await, "objects of a rename that broke off half-way are removed");
    for object in [&from, &to] {
        assert_eq!(fetch(&object.key).await, None, "nothing is in the folder after a removal");
    }
}

/// A staged object, and the one it becomes.
fn pair(key: String, name: &str, attempt: u32) -> (NewObject, NewObject) {
    let to = object(key, name, attempt);
    let from = to.staged(1);
    assert!(from.is_staged() && !to.is_staged(), "{} and {}", from.key, to.key);
    (from, to)
}

/// Accepts a removal that has found objects of others, too.
fn only_exists(error: StoreError) -> Result<(), StoreError> {
    if matches!(error, StoreError::Exists { .. }) { Ok(()) } else { Err(error) }
}
