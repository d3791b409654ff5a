//! The rules of every object store.

use bytes::Bytes;

use super::samples::{bytes, object, total};
use crate::receipt::Receipt;
use crate::store::{NewObject, ObjectStore, Part, StoreError, StoredPart, Total, Upload};

/// S3 takes no smaller part but the last.
pub(super) const PART_BYTES: usize = 5 << 20;

/// Tries every rule under keys that begin with `prefix` (`contract/1`), where nothing is yet. `fetch` gives the bytes at
/// a key, past the port.
///
/// # Panics
/// When a rule is broken.
pub async fn store_contract<S: ObjectStore>(
    store: &S,
    prefix: &str,
    fetch: impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let key = |rule: &str| format!("{prefix}/{rule}/注文 2026.csv");
    a_small_file_is_put_whole(store, key("put"), &fetch).await;
    a_file_of_another_is_never_replaced(store, key("exists"), &fetch).await;
    nothing_is_there_before_completion(store, key("parts"), &fetch).await;
    a_size_that_is_wrong_is_an_error(store, key("size"), &fetch).await;
    an_aborted_upload_leaves_nothing(store, key("abort"), &fetch).await;
    an_upload_never_replaces_a_file_of_another(store, key("late"), &fetch).await;
    what_an_earlier_attempt_left_is_cleared(store, key("clear"), &fetch).await;
    a_folder_is_cleared_of_what_is_ours(store, &format!("{prefix}/folder"), &fetch).await;
    receipts_are_replaced(store, key("receipt"), &fetch).await;
    open_uploads_are_found(store, &format!("{prefix}/open")).await;
    a_file_is_removed_with_its_receipt(store, key("remove"), &fetch).await;
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
    let wrong = Total { crc64nvme: !total(&body).crc64nvme, ..total(&body) };
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

async fn a_small_file_is_put_whole<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let object = object(key, "put", 1);
    let body = bytes(1_000, 1);
    worked(store.put(&object, body.clone(), total(&body)).await, "a small file is put");
    holds(fetch, &object.key, &body, "what was put is at the key, byte for byte").await;
    let again = store.put(&object, body.clone(), total(&body)).await;
    worked(again, "an object of our own attempt means that an answer was lost, and is success");
    holds(fetch, &object.key, &body, "a put that is repeated leaves the same bytes").await;
}

async fn a_file_of_another_is_never_replaced<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let first = object(key.clone(), "first job", 1);
    let body = bytes(1_000, 1);
    worked(store.put(&first, body.clone(), total(&body)).await, "a small file is put");
    let other = bytes(900, 2);
    for (name, attempt) in [("second job", 1), ("first job", 2)] {
        let second = object(key.clone(), name, attempt);
        exists(
            store.put(&second, other.clone(), total(&other)).await,
            "a put never replaces an object of another attempt",
        );
    }
    let stranger = object(key.clone(), "second job", 2);
    exists(store.clear(&stranger).await, "clearing never removes an object of another job");
    holds(fetch, &key, &body, "the object of another attempt is untouched").await;
}

async fn nothing_is_there_before_completion<S: ObjectStore>(
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
    worked(upload.complete(parts.clone(), total(&file)).await, "parts that arrived are completed");
    holds(fetch, &object.key, &file, "a completed object is its parts in order, byte for byte").await;
    let again = upload.complete(parts, total(&file)).await;
    worked(again, "an object of our own attempt means that an answer was lost, and is success");
    holds(fetch, &object.key, &file, "a completion that is repeated leaves the same bytes").await;
}

async fn a_size_that_is_wrong_is_an_error<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let object = object(key, "size", 1);
    let upload = begin(store, &object).await;
    let body = bytes(1_000, 1);
    let parts = vec![send(&upload, 1, 0, body.clone()).await];
    let more = Total { bytes: total(&body).bytes + 1, ..total(&body) };
    refused(upload.complete(parts, more).await, "an object that has not the size it must have is an error");
    assert_eq!(fetch(&object.key).await, None, "an object is complete and correct at its key, or absent");
    worked(upload.abort().await, "an upload that could not be completed can be aborted");
}

async fn an_aborted_upload_leaves_nothing<S: ObjectStore>(
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

async fn an_upload_never_replaces_a_file_of_another<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let late = object(key.clone(), "late", 1);
    let upload = begin(store, &late).await;
    let body = bytes(1_000, 1);
    let parts = vec![send(&upload, 1, 0, body.clone()).await];
    let other = bytes(900, 2);
    let quick = object(key.clone(), "late", 2);
    worked(store.put(&quick, other.clone(), total(&other)).await, "a small file is put");
    let rule = "a completion never replaces an object of another attempt";
    exists(upload.complete(parts, total(&body)).await, rule);
    holds(fetch, &key, &other, rule).await;
    worked(upload.abort().await, "an upload that could not be completed can be aborted");
    holds(fetch, &key, &other, "an abort leaves the object of another attempt alone").await;
}

async fn what_an_earlier_attempt_left_is_cleared<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let second = object(key.clone(), "clear", 2);
    worked(store.clear(&second).await, "where nothing is, nothing is to be cleared");
    let first = object(key.clone(), "clear", 1);
    let (old, new) = (bytes(1_000, 1), bytes(900, 2));
    worked(store.put(&first, old.clone(), total(&old)).await, "a small file is put");
    worked(store.put_receipt(&first, "{}".into()).await, "a receipt is put");
    worked(store.clear(&second).await, "what an earlier attempt left is cleared");
    assert_eq!(fetch(&key).await, None, "nothing is at a key that was cleared");
    worked(store.put(&second, new.clone(), total(&new)).await, "a key that was cleared is free");
    holds(fetch, &key, &new, "the later attempt's bytes are at the key").await;
    exists(
        store.clear(&first).await,
        "an attempt that was taken for dead never removes a later one's object",
    );
    holds(fetch, &key, &new, "the later attempt's object is untouched").await;
    worked(store.clear(&second).await, "what this attempt could not record is cleared");
    assert_eq!(fetch(&key).await, None, "nothing is at a key that was cleared");
}

async fn a_folder_is_cleared_of_what_is_ours<S: ObjectStore>(
    store: &S,
    prefix: &str,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let body = bytes(1_000, 1);
    let put = async |key: &str, name: &str, attempt: u32| {
        let object = object(format!("{prefix}/{key}"), name, attempt);
        worked(store.put(&object, body.clone(), total(&body)).await, "a small file is put");
        object
    };
    let ours = [
        put("ours/注文-1-of-2.csv", "folder", 1).await,
        put("ours/注文-2-of-2.csv", "folder", 2).await,
        put("ours/zip/inner.csv", "folder", 1).await,
    ];
    let staged = ours[0].staged(3);
    worked(store.put(&staged, body.clone(), total(&body)).await, "a staged file is put");
    worked(store.put_receipt(&ours[0], "{}".into()).await, "a receipt is put");
    // Named alike, and not in the folder.
    let beside = [put("ours.csv", "folder", 1).await, put("ours2/a.csv", "folder", 1).await];
    let now = object(format!("{prefix}/ours/orders.csv"), "folder", 2);
    let gone = async |rule: &str| {
        for object in ours.iter().chain([&staged]) {
            assert!(fetch(&object.key).await.is_none(), "{rule}, but there is {}", object.key);
        }
    };
    worked(store.clear(&now).await, "a folder is cleared of all that this and earlier attempts left");
    gone("nothing of ours is in a folder that was cleared").await;
    holds(fetch, &Receipt::key_of(&ours[0].key), b"{}", "a receipt stays").await;
    for object in &beside {
        holds(fetch, &object.key, &body, "what is beside a folder stays").await;
    }

    for object in ours.iter().chain([&staged]) {
        worked(store.put(object, body.clone(), total(&body)).await, "a small file is put");
    }
    let theirs = [
        put("ours/a.csv", "stranger", 1).await,
        put("ours/注文.csv", "folder", 3).await,
        put("ours/zz.csv", "stranger", 3).await,
    ];
    exists(store.clear(&now).await, "a folder that holds objects of others is not free");
    gone("what is ours is removed, whoever else has objects there").await;
    for object in &theirs {
        holds(fetch, &object.key, &body, "an object of another job or of a later attempt stays").await;
    }
}

async fn receipts_are_replaced<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let receipt_key = Receipt::key_of(&key);
    for (attempt, receipt) in [(1, "{\"attempt\":1,\"long\":\"er\"}\n"), (2, "{\"attempt\":2}\n")] {
        let object = object(key.clone(), "receipt", attempt);
        worked(store.put_receipt(&object, receipt.into()).await, "a receipt replaces an earlier attempt's");
        holds(fetch, &receipt_key, receipt.as_bytes(), "the latest receipt lies beside the object").await;
    }
    assert_eq!(fetch(&key).await, None, "a receipt is beside the object, not at its key");
}

/// Sends the parts last to first where the store takes that.
pub(super) async fn in_any_order<U: Upload>(upload: &U, bodies: &[Bytes]) -> Vec<StoredPart> {
    let mut offset = 0;
    let mut parts = Vec::new();
    for (number, body) in (1..).zip(bodies) {
        parts.push((number, offset, body.clone()));
        offset += body.len() as u64;
    }
    if upload.parallelism() > 1 {
        parts.reverse();
    }
    let mut stored = Vec::new();
    for (number, offset, body) in parts {
        stored.push(send(upload, number, offset, body).await);
    }
    stored.sort_by_key(|part| part.number);
    stored
}

pub(super) async fn send<U: Upload>(upload: &U, number: u32, offset: u64, body: Bytes) -> StoredPart {
    let part = worked(upload.part(Part { number, offset, body }).await, "a part is sent");
    assert_eq!(part.number, number, "a part that has arrived has the number it was sent with");
    part
}

pub(super) async fn begin<S: ObjectStore>(store: &S, object: &NewObject) -> S::Upload {
    let upload = worked(store.begin(object).await, "an upload is begun");
    assert!(upload.parallelism() > 0, "at least one part can be under way");
    upload
}

pub(super) async fn holds(
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
    key: &str,
    expected: &[u8],
    rule: &str,
) {
    // Megabytes in a message help nobody.
    match fetch(key).await {
        Some(actual) => assert!(
            actual == expected,
            "{rule}: expected {} bytes, got {} bytes or others",
            expected.len(),
            actual.len()
        ),
        None => panic!("{rule}: expected {} bytes, got nothing", expected.len()),
    }
}

pub(super) fn exists<T: std::fmt::Debug>(result: Result<T, StoreError>, rule: &str) {
    match result {
        Err(StoreError::Exists { .. }) => {}
        other => panic!("{rule}: expected Exists, got {other:?}"),
    }
}

pub(super) fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>, rule: &str) {
    assert!(result.is_err(), "{rule}: expected an error, got {result:?}");
}

pub(super) fn worked<T>(result: Result<T, StoreError>, rule: &str) -> T {
    result.unwrap_or_else(|error| panic!("expected to work: {rule}, got {}", crate::failure::chain(&error)))
}

async fn open_uploads_are_found<S: ObjectStore>(store: &S, prefix: &str) {
    let rule = "an upload is found by its key's beginning until it is completed or aborted";
    let far = jiff::Timestamp::MAX;
    let found = async |begun_before, most| {
        worked(store.open_uploads(&format!("{prefix}/"), begun_before, most).await, rule)
    };
    let [first, second] = ["a", "b"].map(|name| object(format!("{prefix}/{name}.csv"), name, 1));
    let neighbour = begin(store, &object(format!("{prefix}-old/c.csv"), "c", 1)).await;
    let uploads = [begin(store, &first).await, begin(store, &second).await];
    let part = send(&uploads[0], 1, 0, bytes(1_000, 1)).await;
    let mut open = found(far, 10).await;
    open.sort_by(|a, b| a.key.cmp(&b.key));
    let keys: Vec<&str> = open.iter().map(|upload| upload.key.as_str()).collect();
    assert_eq!(keys, [&first.key, &second.key], "{rule}");
    for (open, upload) in open.iter().zip(&uploads) {
        assert!(open.is(&upload.name()), "{rule}: {open:?} is {}", upload.name());
    }
    assert!(!open[0].is(&uploads[1].name()), "{rule}");
    assert_eq!(found(far, 1).await.len(), 1, "no more are listed than were asked for");
    assert_eq!(found(jiff::Timestamp::UNIX_EPOCH, 10).await, [], "an upload that began later is left out");
    worked(uploads[0].complete(vec![part], total(&bytes(1_000, 1))).await, rule);
    worked(
        store.discard(&open[1].key, &open[1].upload).await,
        "an upload is given up by the name it is listed with",
    );
    assert_eq!(found(far, 10).await, [], "{rule}");
    worked(neighbour.abort().await, rule);
}

async fn a_file_is_removed_with_its_receipt<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let rule = "a file whose time is over is removed with its receipt, and nothing else is";
    let (one, other) = (object(key.clone(), "removed", 1), object(format!("{key}.other"), "kept", 1));
    let body = bytes(1_000, 1);
    for object in [&one, &other] {
        worked(store.put(object, body.clone(), total(&body)).await, rule);
    }
    worked(store.put_receipt(&one, "{}".into()).await, rule);
    let mut receipt = super::samples::receipt(&one.token.job, 1);
    receipt.files.truncate(1);
    receipt.files[0].address = store.address(&one.key);
    for _ in 0..2 {
        worked(store.remove(&receipt).await, rule);
        assert_eq!(fetch(&one.key).await, None, "{rule}");
        assert_eq!(fetch(&Receipt::key_of(&one.key)).await, None, "{rule}");
        assert!(fetch(&other.key).await.is_some(), "{rule}");
    }
    receipt.files[0].address = "elsewhere://bucket/key".to_owned();
    worked(store.remove(&receipt).await, "what another store has is nothing to do");
}
