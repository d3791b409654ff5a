//! Tests exports on fakes, from rows to a complete and proven file.

use std::time::Duration;

use crc_fast::{CrcAlgorithm, checksum};
use downpipe_core::catalog::Catalog;
use downpipe_core::export::{ExportError, ExportPlan, export};
use downpipe_core::job::{JobAttempt, ObjectDigest, Receipt};
use downpipe_core::source::{CancellationToken, RowSource};
use downpipe_core::testing::{MemoryStore, OwnedCell, RecordingProgress, ScriptedSource, StoreFault};
use downpipe_format::{Column, ColumnKind};
use insta::assert_snapshot;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::samples::{accept, catalog, job_id};

pub(crate) const KEY: &str = "downpipe/orders/file.csv";
pub(crate) const PART: usize = 8 << 20;
pub(crate) const PLAIN: &str = "title = \"Orders\"\nsql = \"SELECT id, memo FROM orders\"\n";

/// An export of `orders` with its store and ledger in memory.
pub(crate) struct TestExport {
    pub(crate) catalog: Catalog,
    pub(crate) store: MemoryStore,
    pub(crate) progress: RecordingProgress,
    pub(crate) attempt: u32,
    /// Whether no other attempt can follow.
    pub(crate) single_attempt: bool,
}

impl TestExport {
    pub(crate) fn new() -> Self {
        Self::of(PLAIN)
    }

    pub(crate) fn of(definition: &str) -> Self {
        let (store, progress) = (MemoryStore::new(), RecordingProgress::new());
        Self { catalog: catalog(definition), store, progress, attempt: 1, single_attempt: true }
    }

    pub(crate) fn failing(fault: StoreFault) -> Self {
        let fixture = Self::new();
        Self { store: fixture.store.failing(fault), ..fixture }
    }

    pub(crate) async fn export(&self, source: &impl RowSource) -> Result<Receipt, ExportError> {
        let request = accept(&self.catalog, r#"{"export":"orders"}"#).unwrap();
        let token = JobAttempt { job: job_id(), attempt: self.attempt };
        let deadline = Instant::now() + Duration::from_secs(60);
        let plan = ExportPlan::new(&request, KEY.to_owned(), token, deadline, CancellationToken::new());
        let plan = if self.single_attempt { plan.without_resume() } else { plan };
        let exported = export(source, &self.store, &self.progress, &plan).await;
        exported.map(|exported| exported.into_receipt().unwrap()).map_err(|broken| broken.error)
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        self.store.get(KEY).unwrap()
    }

    /// Checks that the store has no object, receipt, upload or part.
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.store.keys(), [""; 0], "nothing is at any key");
        assert_eq!(
            (self.store.open_uploads(), self.store.orphaned_parts()),
            (0, 0),
            "no upload and no part is left"
        );
    }
}

pub(crate) fn columns() -> Vec<Column> {
    let column = |name: &str, kind| Column { name: name.to_owned(), kind };
    vec![
        column("id", ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 }),
        column("memo", ColumnKind::Text),
    ]
}

/// Returns rows of `id` and a memo of this length.
fn rows(count: i64, memo: usize) -> Vec<Vec<OwnedCell>> {
    (1..=count).map(|id| vec![id.into(), OwnedCell::Text("x".repeat(memo))]).collect()
}

pub(crate) fn small() -> ScriptedSource {
    ScriptedSource::new(
        columns(),
        vec![vec![1.into(), "one".into()], vec![2.into(), OwnedCell::Null], vec![3.into(), "".into()]],
    )
}

/// Returns about two and a half parts.
pub(crate) fn large() -> ScriptedSource {
    ScriptedSource::new(columns(), rows(20, 1 << 20))
}

pub(crate) fn assert_proven(receipt: &Receipt, file: &[u8]) {
    let sha256 = hex::encode(Sha256::digest(file));
    assert_eq!(receipt.files[0].sha256, sha256, "the receipt has the SHA-256 of the object");
    let total = ObjectDigest { bytes: file.len() as u64, crc64nvme: checksum(CrcAlgorithm::Crc64Nvme, file) };
    assert_eq!(
        (receipt.bytes, &receipt.files[0].crc64nvme),
        (total.bytes, &total.crc64nvme_base64()),
        "and its size and CRC"
    );
}

#[tokio::test]
async fn small_result_is_stored_with_one_request() {
    let fixture = TestExport::new();
    let receipt = fixture.export(&small()).await.unwrap();
    assert_eq!(String::from_utf8(fixture.file()).unwrap(), "id,memo\n1,one\n2,\n3,\"\"\n");
    assert_proven(&receipt, &fixture.file());
    assert_eq!((receipt.rows, receipt.columns.as_slice()), (3, &["id".to_owned(), "memo".to_owned()][..]));
    assert_eq!((receipt.as_of, receipt.continued), (ScriptedSource::AS_OF, false));
    assert_eq!(fixture.store.uploads_begun(), 0, "one request stores a small file");
    assert_eq!(fixture.store.token(KEY).unwrap(), JobAttempt { job: job_id(), attempt: 1 });
}

#[tokio::test]
async fn query_names_its_attempt() {
    let (fixture, source) = (TestExport { attempt: 3, ..TestExport::new() }, small());
    fixture.export(&source).await.unwrap();
    let tokens: Vec<_> = source.queries().into_iter().map(|query| query.token).collect();
    assert_eq!(tokens, [Some(JobAttempt { job: job_id(), attempt: 3 })]);
}

#[tokio::test]
async fn receipt_is_stored_beside_the_object() {
    let fixture = TestExport::new();
    let receipt = fixture.export(&small()).await.unwrap();
    let stored = fixture.store.get(&Receipt::key_of(KEY)).unwrap();
    assert_eq!(serde_json::from_slice::<Receipt>(&stored).unwrap(), receipt);
    let fixed = Receipt { completed_at: ScriptedSource::AS_OF, expires_at: ScriptedSource::AS_OF, ..receipt };
    assert_snapshot!(fixed.to_json(), @r#"
    {
      "job_id": "0123456789abcdef01234567",
      "attempt": 1,
      "export": "orders",
      "title": "Orders",
      "definition_sha256": "f9baa5a3f8a054a2326717e4fb0aa6acfbd5cd79cafe14494f37226cfab62164",
      "params": {},
      "requested_by": "operator",
      "as_of": "2026-01-02T03:04:05Z",
      "completed_at": "2026-01-02T03:04:05Z",
      "expires_at": "2026-01-02T03:04:05Z",
      "format": "csv",
      "profile": "plain",
      "compression": "none",
      "encoding": "UTF-8",
      "time_zone": "UTC",
      "sql_time_zone": "UTC",
      "session": {
        "sql_mode": "STRICT_TRANS_TABLES"
      },
      "columns": [
        "id",
        "memo"
      ],
      "rows": 3,
      "bytes": 22,
      "files": [
        {
          "file_name": "orders.csv",
          "address": "memory://downpipe/orders/file.csv",
          "rows": 3,
          "bytes": 22,
          "sha256": "7484a5c08c596d5993ea21379be7ce03535ca039d1ed2bf2122b859ee0c7afa1",
          "crc64nvme": "KsUlvhZi+RM="
        }
      ],
      "changes": {},
      "continued": false
    }
    "#);
}

#[tokio::test]
async fn large_result_becomes_parts_that_end_at_rows() {
    let fixture = TestExport::new();
    let receipt = fixture.export(&large()).await.unwrap();
    let pieces = fixture.store.pieces(KEY);
    assert_eq!(pieces.len(), 3);
    for piece in &pieces {
        assert_eq!(piece.last(), Some(&b'\n'), "a part ends at a row");
    }
    let (last, full) = pieces.split_last().unwrap();
    assert!(
        full.iter().all(|piece| (PART..PART + (2 << 20)).contains(&piece.len())),
        "a part is over by one row at most"
    );
    assert!(last.len() < PART);
    let expected: String = (1..=20).map(|id| format!("{id},{}\n", "x".repeat(1 << 20))).collect();
    assert!(
        fixture.file() == format!("id,memo\n{expected}").into_bytes(),
        "the parts make up the exact bytes"
    );
    assert_proven(&receipt, &fixture.file());
    assert_eq!((fixture.store.open_uploads(), fixture.store.orphaned_parts()), (0, 0));
}

#[tokio::test]
async fn file_that_ends_exactly_with_a_part_is_whole() {
    let fixture = TestExport::new();
    let header_and_frame = "id,memo\n1,\n".len();
    let source = ScriptedSource::new(columns(), rows(1, PART - header_and_frame));
    let receipt = fixture.export(&source).await.unwrap();
    assert_eq!(
        (receipt.bytes, fixture.store.pieces(KEY).len(), fixture.store.uploads_begun()),
        (PART as u64, 1, 1)
    );
    assert_proven(&receipt, &fixture.file());
}

#[tokio::test]
async fn progress_is_reported_for_every_part_and_twice_before_the_end() {
    let fixture = TestExport::new();
    fixture.export(&large()).await.unwrap();
    let sizes: Vec<u64> = fixture.store.pieces(KEY).iter().map(|piece| piece.len() as u64).collect();
    let bytes: Vec<u64> = sizes
        .iter()
        .scan(0, |sum, size| {
            *sum += size;
            Some(*sum)
        })
        .collect();
    let expected: Vec<(u64, u64)> =
        [8, 16, 20, 20].into_iter().zip(bytes.iter().copied().chain(bytes.last().copied())).collect();
    assert_eq!(fixture.progress.heard(), expected);
}

#[tokio::test]
async fn result_without_rows_is_a_file_with_a_header() {
    let fixture = TestExport::new();
    let receipt = fixture.export(&ScriptedSource::new(columns(), Vec::new())).await.unwrap();
    assert_eq!((fixture.file().as_slice(), receipt.rows), (&b"id,memo\n"[..], 0));
    assert_proven(&receipt, &fixture.file());
}

/// The first worker died after it stored everything, and before it recorded the job.
#[tokio::test]
async fn later_attempt_after_a_finished_file_returns_its_receipt() {
    let first = TestExport::new();
    let finished = first.export(&large()).await.unwrap();
    let second = TestExport { store: first.store.clone(), attempt: 2, ..TestExport::new() };
    let source = small();
    assert_eq!(second.export(&source).await.unwrap(), finished);
    assert!(source.queries().is_empty(), "nothing is read again");
    assert_proven(&finished, &second.file());
}

#[tokio::test]
async fn later_attempt_replaces_an_object_without_a_receipt() {
    let first = TestExport { single_attempt: false, ..TestExport::failing(StoreFault::PutReceipt) };
    first.export(&large()).await.unwrap_err();
    assert_eq!(first.store.token(KEY).unwrap().attempt, 1, "left for the next attempt");
    let second = TestExport { store: first.store.healed(), attempt: 2, ..TestExport::new() };
    let receipt = second.export(&small()).await.unwrap();
    assert_eq!((receipt.attempt, second.store.token(KEY).unwrap().attempt), (2, 2));
    assert_proven(&receipt, &second.file());
    let stored: Receipt = serde_json::from_slice(&second.store.get(&Receipt::key_of(KEY)).unwrap()).unwrap();
    assert_eq!(stored, receipt);
}

#[tokio::test]
async fn changes_of_columns_with_one_name_are_counted_apart() {
    let fixture = TestExport::of(&format!("{PLAIN}[output]\nprofile = \"excel\""));
    let text = |name: &str| Column { name: name.to_owned(), kind: ColumnKind::Text };
    let rows = vec![
        vec!["=1".into(), "x".into(), "@2".into()],
        vec!["y".into(), "z".into(), "1234567890123456".into()],
    ];
    let receipt =
        fixture.export(&ScriptedSource::new(vec![text("a"), text("b"), text("a")], rows)).await.unwrap();
    assert_snapshot!(serde_json::Value::from(receipt.changes).to_string(), @r#"{"a":{"formulas_guarded":1},"a (2)":{"formulas_guarded":1,"numbers_as_text":1}}"#);
}

/// A workbook is assembled and sent after its last row.
#[test]
fn reading_for_a_spreadsheet_has_an_earlier_deadline() {
    let deadline = Instant::now() + Duration::from_secs(600);
    let last_row = |output: &str| {
        let catalog = catalog(&format!("{PLAIN}[output]\n{output}"));
        let request = accept(&catalog, r#"{"export":"orders"}"#).unwrap();
        let token = JobAttempt { job: job_id(), attempt: 1 };
        let plan = ExportPlan::new(&request, KEY.to_owned(), token, deadline, CancellationToken::new());
        assert_eq!(plan.finish_by, deadline + Duration::from_secs(15));
        deadline - plan.query.deadline
    };
    assert_eq!(last_row("format = \"csv\""), Duration::ZERO);
    assert_eq!(last_row("format = \"xlsx\""), Duration::from_secs(60));
    assert_eq!(last_row("profile = \"excel\""), Duration::from_secs(60));
}
