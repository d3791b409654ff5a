//! The rules of resuming an upload, and of finding a finished file.

use super::samples::{bytes, object, receipt, total};
use super::steps::{PART_BYTES, begin, send, worked};
use crate::job::{FileReceipt, ObjectDigest, Receipt, StoredPart};
use crate::store::{NewObject, ResumableStore, Upload as _};

/// Tries every rule under keys that begin with `prefix`, where nothing is yet. `fetch` gives the bytes at a key, past the port.
///
/// # Panics
/// When a rule is broken.
pub async fn resume_contract<S: ResumableStore>(
    store: &S,
    prefix: &str,
    fetch: impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let key = |rule: &str| format!("{prefix}/{rule}/注文 2026.csv");
    upload_is_resumed_by_its_name(store, key("on"), &fetch).await;
    upload_that_has_changed_is_not_resumed(store, key("changed")).await;
    upload_is_aborted_by_its_name(store, key("discarded"), &fetch).await;
    finished_file_is_found_by_its_receipt(store, key("finished")).await;
    files_of_a_receipt_are_held_as_it_says(store, key("held")).await;
}

async fn upload_is_resumed_by_its_name<S: ResumableStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let object = object(key, "on", 1);
    let (one, two) = (bytes(PART_BYTES, 1), bytes(1_000, 2));
    let first = begin(store, &object).await;
    let stored = vec![send(&first, 1, 0, one.clone()).await];
    // The checkpoint does not name this part: the next run sends it again.
    send(&first, 2, PART_BYTES as u64, bytes(900, 3)).await;
    let name = first.name();
    drop(first);
    let second = resume(store, &object, &name, &stored).await;
    let second = second.unwrap_or_else(|| panic!("an upload that has not changed is resumed"));
    assert_eq!(second.name(), name, "an upload keeps its name");
    let mut parts = stored;
    parts.push(send(&second, 2, PART_BYTES as u64, two.clone()).await);
    let whole = [one, two].concat();
    worked(second.complete(parts.clone(), total(&whole)).await, "an upload of two runs is completed");
    assert!(fetch(&object.key).await == Some(whole), "the object has the parts of both runs");
    let again = resume(store, &object, &name, &parts[..1]).await;
    assert!(again.is_none(), "an upload that is completed is not resumed");
}

async fn upload_that_has_changed_is_not_resumed<S: ResumableStore>(store: &S, key: String) {
    let object = object(key, "changed", 1);
    let upload = begin(store, &object).await;
    let stored = vec![send(&upload, 1, 0, bytes(PART_BYTES, 1)).await];
    let missing = StoredPart { number: 2, ..stored[0].clone() };
    let both = [stored.clone(), vec![missing]].concat();
    let rule = "an upload without one of the parts is not resumed";
    assert!(resume(store, &object, &upload.name(), &both).await.is_none(), "{rule}");
    send(&upload, 1, 0, bytes(PART_BYTES, 2)).await;
    let rule = "an upload to which another worker has written is not resumed";
    assert!(resume(store, &object, &upload.name(), &stored).await.is_none(), "{rule}");
    worked(upload.abort().await, "aborting");
    let rule = "an upload that is gone is not resumed, whatever its name";
    for name in [upload.name().as_str(), "", "no name of an upload"] {
        assert!(resume(store, &object, name, &[]).await.is_none(), "{rule}: {name}");
    }
}

async fn upload_is_aborted_by_its_name<S: ResumableStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let object = object(key, "discarded", 1);
    let upload = begin(store, &object).await;
    let stored = vec![send(&upload, 1, 0, bytes(PART_BYTES, 1)).await];
    for rule in ["an upload is aborted by its name", "aborting one that is gone is success"] {
        worked(store.abort_upload(&object.key, &upload.name()).await, rule);
        assert!(resume(store, &object, &upload.name(), &stored).await.is_none(), "{rule}");
    }
    assert_eq!(fetch(&object.key).await, None, "nothing is at the key of an upload that was aborted");
}

async fn finished_file_is_found_by_its_receipt<S: ResumableStore>(store: &S, key: String) {
    let object = object(key, "finished", 2);
    let find = async |attempt| {
        let seen_by =
            NewObject { token: crate::job::JobAttempt { attempt, ..object.token.clone() }, ..object.clone() };
        worked(store.find_receipt(&seen_by).await, "looking for a receipt")
    };
    assert_eq!(find(3).await, None, "where nothing is, nothing is found");
    let body = bytes(1_000, 1);
    let proof = proof(store, &object, &body);
    worked(store.put_receipt(&object, proof.to_json().into()).await, "storing a receipt");
    assert_eq!(find(3).await, None, "a receipt without its file proves nothing");
    worked(store.put(&object, body.clone(), total(&body)).await, "storing a file");
    assert_eq!(find(3).await.as_ref(), Some(&proof), "a file and its receipt are known to a later attempt");
    assert_eq!(find(1).await, None, "an earlier attempt does not find them");
    let short = FileReceipt { bytes: 999, ..proof.files[0].clone() };
    let wrong = Receipt { files: vec![short], ..proof };
    worked(store.put_receipt(&object, wrong.to_json().into()).await, "storing a receipt");
    assert_eq!(find(3).await, None, "a file that is not what the receipt says proves nothing");
}

async fn files_of_a_receipt_are_held_as_it_says<S: ResumableStore>(store: &S, key: String) {
    let object = object(key, "held", 2);
    let body = bytes(1_000, 1);
    let proof = proof(store, &object, &body);
    let holds = async |receipt: &Receipt| worked(store.holds(receipt).await, "looking for files");
    assert!(!holds(&proof).await, "a file that is not there is not held");
    worked(store.put(&object, body.clone(), total(&body)).await, "storing a file");
    assert!(holds(&proof).await, "a file that is as its receipt says is held");
    let short = FileReceipt { bytes: 999, ..proof.files[0].clone() };
    let elsewhere = FileReceipt { address: "elsewhere".to_owned(), ..proof.files[0].clone() };
    for (wrong, what) in [
        (Receipt { files: Vec::new(), ..proof.clone() }, "without files"),
        (Receipt { files: vec![short], ..proof.clone() }, "of another size"),
        (Receipt { files: vec![proof.files[0].clone(), elsewhere], ..proof.clone() }, "with one elsewhere"),
        (Receipt { job_id: "another".to_owned(), ..proof.clone() }, "of another job"),
        (Receipt { attempt: 1, ..proof.clone() }, "of an earlier attempt"),
    ] {
        assert!(!holds(&wrong).await, "a receipt {what} names no file that is held");
    }
}

/// Returns the receipt of a file that has this object's token.
fn proof<S: ResumableStore>(store: &S, object: &NewObject, body: &bytes::Bytes) -> Receipt {
    let receipt = receipt(&object.token.job, 2);
    let ObjectDigest { bytes, .. } = total(body);
    let file = FileReceipt {
        address: store.address(&object.key),
        bytes,
        crc64nvme: total(body).crc64nvme_base64(),
        ..receipt.files[0].clone()
    };
    Receipt { files: vec![file], ..receipt }
}

async fn resume<S: ResumableStore>(
    store: &S,
    object: &NewObject,
    upload: &str,
    parts: &[StoredPart],
) -> Option<S::Upload> {
    worked(store.resume_upload(object, upload, parts).await, "resuming an upload")
}
