//! What the suites write: jobs, receipts, failures, objects.

use std::collections::BTreeMap;

use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use downpipe_format::ColumnChanges;

use crate::job::{
    Checkpoint, CompletedFile, Failure, FileReceipt, JobAttempt, JobId, Key, NewJob, ObjectDigest, Receipt,
    StoredPart, Via,
};
use crate::requester::Requester;
use crate::store::{NewObject, Retention};
use crate::testing::ScriptedSource;

/// A job that differs from every other in `name`.
pub(super) fn new_job(name: &str) -> NewJob {
    NewJob {
        id: job_id(name),
        requested_by: requester("hanako@example.com"),
        export: "orders".to_owned(),
        request_id: format!("request {name}"),
        message_id: format!("message {name}"),
        message: format!("{{\"export\":\"orders\",\"request_id\":\"request {name} 🧾\"}}"),
        fingerprint: None,
        shared_fingerprint: None,
        reuse: None,
        language: None,
        via: Via::Queue,
        app: None,
        definition_sha256: None,
        expected_rows: None,
    }
}

pub(super) fn job_id(name: &str) -> JobId {
    JobId::of_unreadable("contract", name)
}

pub(super) fn requester(address: &str) -> Requester {
    address.parse().unwrap_or_else(|_| panic!("{address} is no requester"))
}

pub(super) fn failure(code: &str) -> Failure {
    Failure {
        for_operator: true,
        detail: Some("line one\nline two".to_owned()),
        ..Failure::new(code).in_case("held_back").with("key", "\"残念\" —").with("seconds", 312)
    }
}

pub(super) fn receipt(job: &JobId, attempt: u32) -> Receipt {
    let at = jiff::Timestamp::constant(1_767_323_045, 123_456_000);
    Receipt {
        job_id: job.to_string(),
        attempt,
        export: "orders".to_owned(),
        title: "注文".to_owned(),
        definition_sha256: "00".repeat(32),
        params: serde_json::Map::from_iter([("from".to_owned(), "2026-01-01".into())]),
        requested_by: "hanako@example.com".to_owned(),
        as_of: at,
        completed_at: at,
        expires_at: at,
        format: "csv".to_owned(),
        profile: "plain".to_owned(),
        compression: "none".to_owned(),
        encoding: Some("UTF-8".to_owned()),
        time_zone: "Asia/Tokyo".to_owned(),
        sql_time_zone: "Asia/Tokyo".to_owned(),
        session: ScriptedSource::snapshot().session,
        columns: vec!["id".to_owned(), "合計".to_owned()],
        rows: 7,
        bytes: 77,
        files: vec![FileReceipt {
            file_name: "orders.csv".to_owned(),
            address: "s3://bucket/key".to_owned(),
            rows: 7,
            bytes: 77,
            sha256: "ab".repeat(32),
            crc64nvme: "AAAAAAAAAAA=".to_owned(),
        }],
        changes: serde_json::Map::new(),
        load_data: None,
        load_session: None,
        continued: false,
    }
}

/// A checkpoint after so many rows.
pub(super) fn checkpoint(rows: u64) -> Checkpoint {
    Checkpoint {
        upload: Some("whole:an upload".to_owned()),
        object_key: "contract/注文.csv".to_owned(),
        attempt: 1,
        parts: vec![
            StoredPart { number: 1, etag: "\"one\"".to_owned(), checksum: Some("AAAAAAAAAAA=".to_owned()) },
            StoredPart { number: 2, etag: "\"two\"".to_owned(), checksum: None },
        ],
        key: Key::Text("花-7".to_owned()),
        rows,
        rows_in_file: rows,
        bytes: rows * 1_000_000_000_000,
        sha256: "0123".repeat(26),
        crc64nvme: u64::MAX,
        files: vec![CompletedFile { total: total(b"x"), sha256: "ab".repeat(32), rows: 3 }],
        changes: vec![
            ColumnChanges { masked: u64::MAX, ..ColumnChanges::default() },
            ColumnChanges::default(),
        ],
        columns: vec!["番号".to_owned(), "a \"quoted\" one".to_owned()],
        definition_sha256: "cd".repeat(32),
        session: ScriptedSource::snapshot().session,
        as_of: "2026-01-02T03:04:05.123456Z".parse().unwrap_or_default(),
        seconds: 899,
    }
}

/// An object of attempt `attempt` of the job `name`.
pub(super) fn object(key: String, name: &str, attempt: u32) -> NewObject {
    NewObject {
        key,
        file_name: "注文 2026.csv".to_owned(),
        content_type: "text/csv; charset=utf-8; header=present".to_owned(),
        token: JobAttempt { job: job_id(name), attempt },
        retention: Retention::default(),
        metadata: BTreeMap::from([("downpipe-rows", "7".to_owned())]),
    }
}

pub(super) fn total(body: &[u8]) -> ObjectDigest {
    ObjectDigest { bytes: body.len() as u64, crc64nvme: crc_fast::checksum(CrcAlgorithm::Crc64Nvme, body) }
}

/// So many bytes, of which no two pieces are alike.
pub(super) fn bytes(length: usize, seed: u8) -> Bytes {
    (0..length).map(|at| at.to_le_bytes()[at % 3].wrapping_add(seed)).collect()
}
