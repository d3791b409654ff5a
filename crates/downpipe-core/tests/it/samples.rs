//! Provides definitions, messages, receipts and jobs for the other modules.

use downpipe_core::catalog::{Catalog, Definition, DefinitionFile};
use downpipe_core::job::{FileReceipt, Job, JobId, JobState, Receipt};
use downpipe_core::language::Language;
use downpipe_core::message::{ExportMessage, Message};
use downpipe_core::request::ExportRequest;
use downpipe_core::testing::{ScriptedSource, sample_job};

/// 2026-01-02T03:04:05Z
pub(crate) const NOW: jiff::Timestamp = jiff::Timestamp::constant(1_767_323_045, 0);

pub(crate) fn definition(text: &str) -> Definition {
    Definition::parse("exports/orders.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn catalog(text: &str) -> Catalog {
    let file = DefinitionFile { file: "exports/orders.toml".to_owned(), text: text.to_owned() };
    Catalog::parse(&[file]).unwrap_or_else(|error| panic!("{error}"))
}

/// Parses a message that requests an export.
pub(crate) fn message(body: &str) -> ExportMessage {
    match Message::parse(body) {
        Ok(Message::Export(message)) => message,
        other => panic!("expected an export, got {other:?}"),
    }
}

pub(crate) fn accept<'c>(catalog: &'c Catalog, body: &str) -> Result<ExportRequest<'c>, String> {
    ExportRequest::accept(&message(body), catalog).map_err(|error| error.to_string())
}

pub(crate) fn job_id() -> JobId {
    "0123456789abcdef01234567".parse().unwrap()
}

pub(crate) fn job(state: JobState) -> Job {
    let alice = "alice@example.com".parse().unwrap();
    Job {
        id: job_id(),
        created_at: NOW,
        started_at: Some(NOW),
        finished_at: Some(NOW),
        language: None,
        expected_rows: None,
        message: r#"{"export":"orders","params":{"from":"2026-01-01","limit":5}}"#.to_owned(),
        ..sample_job(&alice, Language::En, state)
    }
}

pub(crate) fn receipt() -> Receipt {
    Receipt {
        job_id: job_id().to_string(),
        attempt: 1,
        export: "orders".to_owned(),
        title: "注文一覧".to_owned(),
        definition_sha256: "00".repeat(32),
        params: serde_json::Map::from_iter([
            ("from".to_owned(), "2026-01-01".into()),
            ("to".to_owned(), ().into()),
        ]),
        requested_by: "alice@example.com".to_owned(),
        as_of: NOW,
        completed_at: NOW,
        expires_at: NOW + jiff::SignedDuration::from_hours(24 * 7),
        format: "csv".to_owned(),
        profile: "excel".to_owned(),
        compression: "none".to_owned(),
        encoding: Some("UTF-8".to_owned()),
        time_zone: "UTC".to_owned(),
        sql_time_zone: "Asia/Tokyo".to_owned(),
        session: ScriptedSource::snapshot().session,
        columns: vec!["id".to_owned()],
        rows: 1_234_567,
        bytes: 48_312_345,
        files: vec![FileReceipt {
            file_name: "it's.csv".to_owned(),
            address: "s3://bucket/downpipe/orders/2026/01/02/0123456789abcdef01234567/it's.csv".to_owned(),
            rows: 1_234_567,
            bytes: 48_312_345,
            sha256: "ab".repeat(32),
            crc64nvme: "AAAAAAAAAAA=".to_owned(),
        }],
        changes: serde_json::Map::from_iter([(
            "memo".to_owned(),
            serde_json::json!({ "formulas_guarded": 1_203, "numbers_as_text": 1 }),
        )]),
        load_data: None,
        load_session: None,
        continued: false,
    }
}
