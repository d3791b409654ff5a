//! Steps that the suites share: sending parts, and holding what came of it against a rule.

use bytes::Bytes;

use crate::error_chain::error_chain;
use crate::job::StoredPart;
use crate::store::{NewObject, ObjectStore, Part, StoreError, Upload};

/// S3 takes no smaller part but the last.
pub(super) const PART_BYTES: usize = 5 << 20;

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
    assert!(upload.parallelism() > 0, "at least one part can be in flight");
    upload
}

pub(super) async fn holds(
    fetch: &impl AsyncFn(&str) -> Option<Vec<u8>>,
    key: &str,
    expected: &[u8],
    rule: &str,
) {
    // Without the bytes themselves: a message of megabytes is of no use.
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
    result.unwrap_or_else(|error| panic!("expected to work: {rule}, got {}", error_chain(&error)))
}
