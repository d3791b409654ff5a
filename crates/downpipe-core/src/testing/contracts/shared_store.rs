//! The rules of stores that several attempts share: what an attempt removes, what it never touches, and what it finds.

use super::samples::{bytes, object, receipt, total};
use super::steps::{begin, exists, holds, in_any_order, send, worked};
use super::store::store_contract;
use crate::job::Receipt;
use crate::store::{ResumableStore, Upload as _};

/// Tries every rule under keys that begin with `prefix` (`contract/1`), where nothing is yet. `fetch` gives the bytes at
/// a key, past the port.
///
/// # Panics
/// When a rule is broken.
pub async fn shared_store_contract<S: ResumableStore>(
    store: &S,
    prefix: &str,
    fetch: impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let key = |rule: &str| format!("{prefix}/{rule}/注文 2026.csv");
    store_contract(store, key, &fetch).await;
    put_repeated_is_success(store, key("again"), &fetch).await;
    completion_repeated_is_success(store, key("completed"), &fetch).await;
    file_of_another_is_never_replaced_by_put(store, key("exists"), &fetch).await;
    file_of_another_is_never_replaced_by_upload(store, key("late"), &fetch).await;
    object_of_earlier_attempt_is_removed(store, key("clear"), &fetch).await;
    folder_of_job_loses_its_own_objects_only(store, &format!("{prefix}/folder"), &fetch).await;
    receipt_of_earlier_attempt_is_replaced(store, key("receipt"), &fetch).await;
    open_uploads_are_listed_until_they_end(store, &format!("{prefix}/open")).await;
    uploads_of_job_are_aborted_and_no_others(store, &format!("{prefix}/uploads")).await;
    file_removed_loses_its_receipt_too(store, key("remove"), &fetch).await;
    receipt_removed_leaves_file_of_later_attempt(store, key("later"), &fetch).await;
}

async fn put_repeated_is_success<S: ResumableStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let object = object(key, "put", 1);
    let body = bytes(1_000, 1);
    for rule in
        ["a small file is put", "an object of our own attempt means that an answer was lost, and is success"]
    {
        worked(store.put(&object, body.clone(), total(&body)).await, rule);
        holds(fetch, &object.key, &body, "a put that is repeated leaves the same bytes").await;
    }
}

async fn completion_repeated_is_success<S: ResumableStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let object = object(key, "parts", 1);
    let upload = begin(store, &object).await;
    let bodies = [bytes(1_000, 1)];
    let parts = in_any_order(&upload, &bodies).await;
    for rule in
        ["parts are completed", "an object of our own attempt means that an answer was lost, and is success"]
    {
        worked(upload.complete(parts.clone(), total(&bodies[0])).await, rule);
        holds(fetch, &object.key, &bodies[0], "a completion that is repeated leaves the same bytes").await;
    }
}

async fn uploads_of_job_are_aborted_and_no_others<S: ResumableStore>(store: &S, prefix: &str) {
    let rule = "uploads in the job's folder are aborted, and no others";
    let [ours, staged] =
        ["ours/a.csv", "ours/b.csv"].map(|name| object(format!("{prefix}/{name}"), "ours", 1));
    begin(store, &ours).await;
    let upload = begin(store, &staged.staged(1)).await;
    send(&upload, 1, 0, bytes(1_000, 1)).await;
    let neighbour = begin(store, &object(format!("{prefix}/ours2/a.csv"), "other", 1)).await;
    for _ in 0..2 {
        worked(store.abort_job_uploads(&object(format!("{prefix}/ours/c.csv"), "ours", 2)).await, rule);
        let open = worked(store.open_uploads(prefix, jiff::Timestamp::MAX, 10).await, rule);
        let keys: Vec<&str> = open.iter().map(|upload| upload.key.as_str()).collect();
        assert_eq!(keys, [format!("{prefix}/ours2/a.csv")], "{rule}");
    }
    worked(neighbour.abort().await, rule);
}

async fn file_of_another_is_never_replaced_by_put<S: ResumableStore>(
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
    exists(store.delete_job_objects(&stranger).await, "an object of another job is never removed");
    holds(fetch, &key, &body, "the object of another attempt is untouched").await;
}

async fn file_of_another_is_never_replaced_by_upload<S: ResumableStore>(
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

async fn object_of_earlier_attempt_is_removed<S: ResumableStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let second = object(key.clone(), "clear", 2);
    worked(store.delete_job_objects(&second).await, "where nothing is, nothing is removed");
    let first = object(key.clone(), "clear", 1);
    let (old, new) = (bytes(1_000, 1), bytes(900, 2));
    worked(store.put(&first, old.clone(), total(&old)).await, "a small file is put");
    worked(store.put_receipt(&first, "{}".into()).await, "a receipt is put");
    worked(store.delete_job_objects(&second).await, "the object of an earlier attempt is removed");
    assert_eq!(fetch(&key).await, None, "nothing is at the key of a removed object");
    worked(store.put(&second, new.clone(), total(&new)).await, "the key of a removed object is free");
    holds(fetch, &key, &new, "the later attempt's bytes are at the key").await;
    exists(
        store.delete_job_objects(&first).await,
        "an attempt whose lease has expired never removes a later one's object",
    );
    holds(fetch, &key, &new, "the later attempt's object is untouched").await;
    worked(
        store.delete_job_objects(&second).await,
        "an object that this attempt could not record is removed",
    );
    assert_eq!(fetch(&key).await, None, "nothing is at the key of a removed object");
}

async fn folder_of_job_loses_its_own_objects_only<S: ResumableStore>(
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
    worked(
        store.delete_job_objects(&now).await,
        "all objects of this and earlier attempts in the folder are removed",
    );
    gone("no object of ours is in the folder after a removal").await;
    holds(fetch, &Receipt::key_of(&ours[0].key), b"{}", "a receipt stays").await;
    for object in &beside {
        holds(fetch, &object.key, &body, "an object beside the folder stays").await;
    }

    for object in ours.iter().chain([&staged]) {
        worked(store.put(object, body.clone(), total(&body)).await, "a small file is put");
    }
    let theirs = [
        put("ours/a.csv", "stranger", 1).await,
        put("ours/注文.csv", "folder", 3).await,
        put("ours/zz.csv", "stranger", 3).await,
    ];
    exists(store.delete_job_objects(&now).await, "a folder with objects of others is reported");
    gone("objects of ours are removed, also beside those of others").await;
    for object in &theirs {
        holds(fetch, &object.key, &body, "an object of another job or of a later attempt stays").await;
    }
}

async fn receipt_of_earlier_attempt_is_replaced<S: ResumableStore>(
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

async fn open_uploads_are_listed_until_they_end<S: ResumableStore>(store: &S, prefix: &str) {
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
        store.abort_upload(&open[1].key, &open[1].upload).await,
        "an upload is aborted by the name it is listed with",
    );
    assert_eq!(found(far, 10).await, [], "{rule}");
    worked(neighbour.abort().await, rule);
}

async fn file_removed_loses_its_receipt_too<S: ResumableStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let rule = "a file past its retention is removed with its receipt, and nothing else is";
    let (one, other) = (object(key.clone(), "removed", 2), object(format!("{key}.other"), "kept", 1));
    let body = bytes(1_000, 1);
    for object in [&one, &other] {
        worked(store.put(object, body.clone(), total(&body)).await, rule);
    }
    worked(store.put_receipt(&one, "{}".into()).await, rule);
    let mut receipt = receipt(&one.token.job, 2);
    receipt.files.truncate(1);
    receipt.files[0].address = store.address(&one.key);
    for _ in 0..2 {
        worked(store.remove(&receipt).await, rule);
        assert_eq!(fetch(&one.key).await, None, "{rule}");
        assert_eq!(fetch(&Receipt::key_of(&one.key)).await, None, "{rule}");
        assert!(fetch(&other.key).await.is_some(), "{rule}");
    }
    receipt.files[0].address = "elsewhere://bucket/key".to_owned();
    worked(store.remove(&receipt).await, "a file in another store is success");
}

async fn receipt_removed_leaves_file_of_later_attempt<S: ResumableStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let rule = "a receipt's files are those of its attempt and earlier ones at its job, and no others are removed with it";
    for (index, (name, attempt)) in [("later", 2), ("another job", 1)].into_iter().enumerate() {
        let theirs = object(format!("{key}.{index}"), name, attempt);
        let body = bytes(1_000, 1);
        worked(store.put(&theirs, body.clone(), total(&body)).await, rule);
        let mut receipt = receipt(&object(String::new(), "later", 1).token.job, 1);
        receipt.files[0].address = store.address(&theirs.key);
        worked(store.remove(&receipt).await, rule);
        holds(fetch, &theirs.key, &body, rule).await;
    }
}
