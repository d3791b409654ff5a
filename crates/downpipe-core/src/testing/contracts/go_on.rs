//! The rules of stores whose uploads another run can go on with.

use super::samples::{bytes, object, receipt, total};
use super::store::{PART_BYTES, begin, send, worked};
use crate::receipt::{FileReceipt, Receipt};
use crate::store::{NewObject, ObjectStore, StoredPart, Total, Upload};

/// Tries every rule under keys that begin with `prefix`, where nothing is yet. `fetch` gives the bytes at a key, past the port.
///
/// # Panics
/// When a rule is broken.
pub async fn go_on_contract<S: ObjectStore>(
    store: &S,
    prefix: &str,
    fetch: impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let key = |rule: &str| format!("{prefix}/{rule}/注文 2026.csv");
    an_upload_is_gone_on_with_by_its_name(store, key("on"), &fetch).await;
    an_upload_that_is_not_as_it_was_is_not_gone_on_with(store, key("changed")).await;
    an_upload_is_given_up_by_its_name(store, key("discarded"), &fetch).await;
    a_finished_file_is_known_by_its_receipt(store, key("finished")).await;
}

async fn an_upload_is_gone_on_with_by_its_name<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let object = object(key, "on", 1);
    let (one, two) = (bytes(PART_BYTES, 1), bytes(1_000, 2));
    let first = begin(store, &object).await;
    let stored = vec![send(&first, 1, 0, one.clone()).await];
    // Of this the checkpoint says nothing: whoever goes on sends it again.
    send(&first, 2, PART_BYTES as u64, bytes(900, 3)).await;
    let name = first.name();
    drop(first);
    let second = go_on(store, &object, &name, &stored).await;
    let second = second.unwrap_or_else(|| panic!("an upload that is as it was is gone on with"));
    assert_eq!(second.name(), name, "an upload keeps its name");
    let mut parts = stored;
    parts.push(send(&second, 2, PART_BYTES as u64, two.clone()).await);
    let whole = [one, two].concat();
    worked(second.complete(parts.clone(), total(&whole)).await, "an upload of two runs is completed");
    assert!(fetch(&object.key).await == Some(whole), "it is what both have sent");
    let again = go_on(store, &object, &name, &parts[..1]).await;
    assert!(again.is_none(), "an upload that is completed cannot be gone on with");
}

async fn an_upload_that_is_not_as_it_was_is_not_gone_on_with<S: ObjectStore>(store: &S, key: String) {
    let object = object(key, "changed", 1);
    let upload = begin(store, &object).await;
    let stored = vec![send(&upload, 1, 0, bytes(PART_BYTES, 1)).await];
    let missing = StoredPart { number: 2, ..stored[0].clone() };
    let both = [stored.clone(), vec![missing]].concat();
    let rule = "an upload without one of the parts is not gone on with";
    assert!(go_on(store, &object, &upload.name(), &both).await.is_none(), "{rule}");
    send(&upload, 1, 0, bytes(PART_BYTES, 2)).await;
    let rule = "an upload to which somebody else has written is not gone on with";
    assert!(go_on(store, &object, &upload.name(), &stored).await.is_none(), "{rule}");
    worked(upload.abort().await, "aborting");
    let rule = "an upload that is gone is not gone on with, whatever its name";
    for name in [upload.name().as_str(), "", "no name of an upload"] {
        assert!(go_on(store, &object, name, &[]).await.is_none(), "{rule}: {name}");
    }
}

async fn an_upload_is_given_up_by_its_name<S: ObjectStore>(
    store: &S,
    key: String,
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) {
    let object = object(key, "discarded", 1);
    let upload = begin(store, &object).await;
    let stored = vec![send(&upload, 1, 0, bytes(PART_BYTES, 1)).await];
    for rule in ["an upload is given up by its name", "one that is gone is nothing to do"] {
        worked(store.discard(&object.key, &upload.name()).await, rule);
        assert!(go_on(store, &object, &upload.name(), &stored).await.is_none(), "{rule}");
    }
    assert_eq!(fetch(&object.key).await, None, "nothing comes of an upload that was given up");
}

async fn a_finished_file_is_known_by_its_receipt<S: ObjectStore>(store: &S, key: String) {
    let object = object(key, "finished", 2);
    let find = async |attempt| {
        let seen_by = NewObject {
            token: crate::store::WriteToken { attempt, ..object.token.clone() },
            ..object.clone()
        };
        worked(store.find_receipt(&seen_by).await, "looking for a receipt")
    };
    assert_eq!(find(3).await, None, "where nothing is, nothing is found");
    let body = bytes(1_000, 1);
    let Total { bytes: length, .. } = total(&body);
    let file = FileReceipt {
        address: store.address(&object.key),
        bytes: length,
        crc64nvme: total(&body).crc64nvme_base64(),
        ..receipt(&object.token.job, 2).files[0].clone()
    };
    let proof = Receipt { files: vec![file], ..receipt(&object.token.job, 2) };
    worked(store.put_receipt(&object, proof.to_json().into()).await, "storing a receipt");
    assert_eq!(find(3).await, None, "a receipt without its file proves nothing");
    worked(store.put(&object, body.clone(), total(&body)).await, "storing a file");
    assert_eq!(find(3).await.as_ref(), Some(&proof), "a file and its receipt are known to a later attempt");
    assert_eq!(find(1).await, None, "an earlier attempt has nothing to do with them");
    let short = FileReceipt { bytes: length - 1, ..proof.files[0].clone() };
    let wrong = Receipt { files: vec![short], ..proof };
    worked(store.put_receipt(&object, wrong.to_json().into()).await, "storing a receipt");
    assert_eq!(find(3).await, None, "a file that is not what the receipt says proves nothing");
}

async fn go_on<S: ObjectStore>(
    store: &S,
    object: &NewObject,
    upload: &str,
    parts: &[StoredPart],
) -> Option<S::Upload> {
    worked(store.go_on(object, upload, parts).await, "going on with an upload")
}
