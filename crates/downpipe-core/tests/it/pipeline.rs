//! From rows to a file, on fakes: complete and proven.

use std::time::Duration;

use crc_fast::{CrcAlgorithm, checksum};
use downpipe_core::catalog::Catalog;
use downpipe_core::pipeline::{ExportError, Order, export};
use downpipe_core::receipt::Receipt;
use downpipe_core::source::RowSource;
use downpipe_core::store::{Total, WriteToken};
use downpipe_core::testing::{MemoryStore, OwnedCell, RecordingProgress, ScriptedSource, StoreFault};
use downpipe_format::{Column, ColumnKind};
use insta::assert_snapshot;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::samples::{accept, catalog, job_id};

pub(crate) const KEY: &str = "downpipe/orders/file.csv";
pub(crate) const PART: usize = 8 << 20;
pub(crate) const PLAIN: &str = "title = \"Orders\"\nsql = \"SELECT id, memo FROM orders\"\n";

/// One export of `orders` with everything around it in memory.
pub(crate) struct Bench {
    pub(crate) catalog: Catalog,
    pub(crate) store: MemoryStore,
    pub(crate) progress: RecordingProgress,
    pub(crate) attempt: u32,
    /// Whether other attempts may come.
    pub(crate) alone: bool,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(PLAIN)
    }

    pub(crate) fn of(definition: &str) -> Self {
        let (store, progress) = (MemoryStore::new(), RecordingProgress::new());
        Self { catalog: catalog(definition), store, progress, attempt: 1, alone: true }
    }

    pub(crate) fn failing(fault: StoreFault) -> Self {
        let bench = Self::new();
        Self { store: bench.store.failing(fault), ..bench }
    }

    pub(crate) async fn export(&self, source: &impl RowSource) -> Result<Receipt, ExportError> {
        let request = accept(&self.catalog, r#"{"export":"orders"}"#).unwrap();
        let token = WriteToken { job: job_id(), attempt: self.attempt };
        let order = Order::new(&request, KEY.to_owned(), token, Instant::now() + Duration::from_secs(60));
        let order = if self.alone { order.in_one_run() } else { order };
        let exported = export(source, &self.store, &self.progress, &order, &request).await;
        exported.map(|exported| exported.into_receipt().unwrap()).map_err(|broken| broken.error)
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        self.store.get(KEY).unwrap()
    }

    /// Neither object nor receipt, no upload, no part.
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

/// Rows of `id` and a memo of this length.
fn rows(count: i64, memo: usize) -> Vec<Vec<OwnedCell>> {
    (1..=count).map(|id| vec![id.into(), OwnedCell::Text("x".repeat(memo))]).collect()
}

pub(crate) fn small() -> ScriptedSource {
    ScriptedSource::new(
        columns(),
        vec![vec![1.into(), "one".into()], vec![2.into(), OwnedCell::Null], vec![3.into(), "".into()]],
    )
}

/// About two parts and a half.
pub(crate) fn large() -> ScriptedSource {
    ScriptedSource::new(columns(), rows(20, 1 << 20))
}

pub(crate) fn assert_proven(receipt: &Receipt, file: &[u8]) {
    let sha256: String = Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(receipt.files[0].sha256, sha256, "the receipt has the SHA-256 of the object");
    let total = Total { bytes: file.len() as u64, crc64nvme: checksum(CrcAlgorithm::Crc64Nvme, file) };
    assert_eq!(
        (receipt.bytes, &receipt.files[0].crc64nvme),
        (total.bytes, &total.crc64nvme_base64()),
        "and its size and CRC"
    );
}

#[tokio::test]
async fn a_small_result_is_put_in_one_go() {
    let bench = Bench::new();
    let receipt = bench.export(&small()).await.unwrap();
    assert_eq!(String::from_utf8(bench.file()).unwrap(), "id,memo\n1,one\n2,\n3,\"\"\n");
    assert_proven(&receipt, &bench.file());
    assert_eq!((receipt.rows, receipt.columns.as_slice()), (3, &["id".to_owned(), "memo".to_owned()][..]));
    assert_eq!((receipt.as_of, receipt.continued), (ScriptedSource::AS_OF, false));
    assert_eq!(bench.store.uploads_begun(), 0, "one request stores a small file");
    assert_eq!(bench.store.token(KEY).unwrap(), WriteToken { job: job_id(), attempt: 1 });
}

#[tokio::test]
async fn a_query_says_which_attempt_it_is_for() {
    let (bench, source) = (Bench { attempt: 3, ..Bench::new() }, small());
    bench.export(&source).await.unwrap();
    let tokens: Vec<_> = source.queries().into_iter().map(|query| query.token).collect();
    assert_eq!(tokens, [Some(WriteToken { job: job_id(), attempt: 3 })]);
}

#[tokio::test]
async fn the_receipt_lies_beside_the_object() {
    let bench = Bench::new();
    let receipt = bench.export(&small()).await.unwrap();
    let stored = bench.store.get(&Receipt::key_of(KEY)).unwrap();
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
async fn a_large_result_becomes_parts_that_end_at_rows() {
    let bench = Bench::new();
    let receipt = bench.export(&large()).await.unwrap();
    let pieces = bench.store.pieces(KEY);
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
    assert!(bench.file() == format!("id,memo\n{expected}").into_bytes(), "the parts make up the exact bytes");
    assert_proven(&receipt, &bench.file());
    assert_eq!((bench.store.open_uploads(), bench.store.orphaned_parts()), (0, 0));
}

#[tokio::test]
async fn a_file_may_end_exactly_with_a_part() {
    let bench = Bench::new();
    let header_and_frame = "id,memo\n1,\n".len();
    let source = ScriptedSource::new(columns(), rows(1, PART - header_and_frame));
    let receipt = bench.export(&source).await.unwrap();
    assert_eq!(
        (receipt.bytes, bench.store.pieces(KEY).len(), bench.store.uploads_begun()),
        (PART as u64, 1, 1)
    );
    assert_proven(&receipt, &bench.file());
}

#[tokio::test]
async fn progress_is_told_for_every_part_and_twice_before_the_end() {
    let bench = Bench::new();
    bench.export(&large()).await.unwrap();
    let sizes: Vec<u64> = bench.store.pieces(KEY).iter().map(|piece| piece.len() as u64).collect();
    let bytes: Vec<u64> = sizes
        .iter()
        .scan(0, |sum, size| {
            *sum += size;
            Some(*sum)
        })
        .collect();
    let expected: Vec<(u64, u64)> =
        [8, 16, 20, 20].into_iter().zip(bytes.iter().copied().chain(bytes.last().copied())).collect();
    assert_eq!(bench.progress.heard(), expected);
}

#[tokio::test]
async fn no_rows_make_a_file_with_a_header() {
    let bench = Bench::new();
    let receipt = bench.export(&ScriptedSource::new(columns(), Vec::new())).await.unwrap();
    assert_eq!((bench.file().as_slice(), receipt.rows), (&b"id,memo\n"[..], 0));
    assert_proven(&receipt, &bench.file());
}

/// A worker died after the last thing it did, and before it could say so.
#[tokio::test]
async fn a_later_attempt_takes_what_is_finished() {
    let first = Bench::new();
    let finished = first.export(&large()).await.unwrap();
    let second = Bench { store: first.store.clone(), attempt: 2, ..Bench::new() };
    let source = small();
    assert_eq!(second.export(&source).await.unwrap(), finished);
    assert!(source.queries().is_empty(), "nothing is read again");
    assert_proven(&finished, &second.file());
}

#[tokio::test]
async fn a_later_attempt_replaces_an_object_without_a_receipt() {
    let first = Bench { alone: false, ..Bench::failing(StoreFault::PutReceipt) };
    first.export(&large()).await.unwrap_err();
    assert_eq!(first.store.token(KEY).unwrap().attempt, 1, "left to whoever comes next");
    let second = Bench { store: first.store.healed(), attempt: 2, ..Bench::new() };
    let receipt = second.export(&small()).await.unwrap();
    assert_eq!((receipt.attempt, second.store.token(KEY).unwrap().attempt), (2, 2));
    assert_proven(&receipt, &second.file());
    let stored: Receipt = serde_json::from_slice(&second.store.get(&Receipt::key_of(KEY)).unwrap()).unwrap();
    assert_eq!(stored, receipt);
}

#[tokio::test]
async fn changes_are_in_the_receipt_and_columns_of_one_name_stay_apart() {
    let bench = Bench::of(&format!("{PLAIN}[output]\nprofile = \"excel\""));
    let text = |name: &str| Column { name: name.to_owned(), kind: ColumnKind::Text };
    let rows = vec![
        vec!["=1".into(), "x".into(), "@2".into()],
        vec!["y".into(), "z".into(), "1234567890123456".into()],
    ];
    let receipt =
        bench.export(&ScriptedSource::new(vec![text("a"), text("b"), text("a")], rows)).await.unwrap();
    assert_snapshot!(serde_json::Value::from(receipt.changes).to_string(), @r#"{"a":{"formulas_guarded":1},"a (2)":{"formulas_guarded":1,"numbers_as_text":1}}"#);
}

/// A workbook is put together and sent after its last row.
#[test]
fn reading_for_a_spreadsheet_stops_earlier() {
    let deadline = Instant::now() + Duration::from_secs(600);
    let last_row = |output: &str| {
        let catalog = catalog(&format!("{PLAIN}[output]\n{output}"));
        let request = accept(&catalog, r#"{"export":"orders"}"#).unwrap();
        let token = WriteToken { job: job_id(), attempt: 1 };
        let order = Order::new(&request, KEY.to_owned(), token, deadline);
        assert_eq!(order.finish_by, deadline + Duration::from_secs(15));
        deadline - order.query.deadline
    };
    assert_eq!(last_row("format = \"csv\""), Duration::ZERO);
    assert_eq!(last_row("format = \"xlsx\""), Duration::from_secs(60));
    assert_eq!(last_row("profile = \"excel\""), Duration::from_secs(60));
}
