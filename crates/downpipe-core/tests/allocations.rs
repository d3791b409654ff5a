//! Checks that an export allocates nothing for a row, from the cells to the store. The test counts
//! allocations and measures no time, so every machine gives the same result. It is a separate
//! program, because the counter replaces the allocator.
//!
//! `cargo test -p downpipe-core --test allocations -- --nocapture` shows the counts.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test, a panic is the message, and so are the counts"
)]

use std::time::Duration;

use allocation_counter::measure;
use downpipe_core::catalog::{Catalog, DefinitionFile};
use downpipe_core::export::{ExportPlan, export};
use downpipe_core::job::JobAttempt;
use downpipe_core::message::Message;
use downpipe_core::request::ExportRequest;
use downpipe_core::source::{
    CancellationToken, EndOfResult, Query, RowSink, RowSource, SinkState, SourceError,
};
use downpipe_core::testing::{
    MemoryStore, OwnedCell, RecordingProgress, ScriptedSource, order_columns, order_row,
};
use tokio::runtime::Builder;
use tokio::time::Instant;

/// The allocations of growing buffers, parts and chunks, shared by many rows.
const AT_MOST_A_ROW: f64 = 0.01;

/// A source of so many rows of `orders`, which repeats a thousand rows.
struct Orders {
    thousand: Vec<Vec<OwnedCell>>,
    rows: u32,
}

impl Orders {
    fn new(rows: u32) -> Self {
        Self { thousand: (1..=1000).map(order_row).collect(), rows }
    }
}

impl RowSource for Orders {
    async fn read<S: RowSink>(&self, _: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let wanted = sink.start(&order_columns(), &ScriptedSource::snapshot())?;
        for row in self.thousand.iter().cycle().take(self.rows as usize) {
            wanted.cells.iter().for_each(|index| sink.cell(row[*index].as_cell()));
            if sink.end_row()? == SinkState::Full {
                sink.flush().await?;
            }
        }
        Ok(EndOfResult { rows: self.rows.into(), snapshot: ScriptedSource::snapshot() })
    }
}

/// Counts what an export of so many rows allocates, from its start to its receipt.
fn allocations(output: &str, rows: u32) -> u64 {
    let text = format!("title = \"Orders\"\nsql = \"SELECT 1\"\n[output]\n{output}");
    let catalog = Catalog::parse(&[DefinitionFile { file: "orders.toml".to_owned(), text }]).unwrap();
    let Ok(Message::Export(message)) = Message::parse(r#"{"export":"orders"}"#) else { panic!("no message") };
    let request = ExportRequest::accept(&message, &catalog).unwrap();
    let token = JobAttempt { job: "0123456789abcdef01234567".parse().unwrap(), attempt: 1 };
    // The counter sees one thread. Only the end of a file is written on another, which is the same
    // for few rows and many.
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _context = runtime.enter();
    let deadline = Instant::now() + Duration::from_secs(600);
    let plan = ExportPlan::new(&request, "orders/file".to_owned(), token, deadline, CancellationToken::new());
    let (source, store, progress) = (Orders::new(rows), MemoryStore::new(), RecordingProgress::new());
    let exporting = export(&source, &store, &progress, &plan);
    let mut written = 0;
    let counted = measure(|| written = runtime.block_on(exporting).unwrap().into_receipt().unwrap().rows);
    assert_eq!(written, u64::from(rows));
    counted.count_total
}

/// Returns the allocations of one more row: the difference between many and few rows.
fn allocations_a_row(output: &str, few: u32, many: u32) -> f64 {
    let counts = [few, many].map(|rows| allocations(output, rows));
    let a_row = (counts[1] as f64 - counts[0] as f64) / f64::from(many - few);
    println!(
        "{output}: {} allocations for {few} rows, {} for {many}, {a_row:.5} a row",
        counts[0], counts[1]
    );
    a_row
}

fn assert_allocates_nothing(output: &str) {
    let a_row = allocations_a_row(output, 20_000, 120_000);
    assert!(
        a_row <= AT_MOST_A_ROW,
        "{output}: expected at most {AT_MOST_A_ROW} allocations a row, got {a_row}"
    );
}

#[test]
fn row_of_csv_allocates_nothing() {
    assert_allocates_nothing("format = \"csv\"");
}

#[test]
fn row_of_compressed_csv_allocates_nothing() {
    assert_allocates_nothing("compression = \"gzip\"");
    assert_allocates_nothing("compression = \"zstd\"");
}

#[test]
fn row_in_another_profile_allocates_nothing() {
    assert_allocates_nothing("profile = \"excel\"");
    assert_allocates_nothing("profile = \"lossless\"");
}

#[test]
fn row_of_json_lines_allocates_nothing() {
    assert_allocates_nothing("format = \"jsonl\"");
}

/// The library creates a writer for every column of a row group, which has some 14,000 to 30,000 of
/// these rows.
#[test]
fn row_of_parquet_allocates_only_for_row_groups() {
    let a_row = allocations_a_row("format = \"parquet\"", 20_000, 120_000);
    assert!(a_row <= 5.0 * AT_MOST_A_ROW, "expected at most 0.05 allocations a row, got {a_row}");
}

/// Fails when a row takes more allocations than are known. In a workbook they are the library's, which keeps every cell of the row that
/// is being written. Text in another encoding is decoded again, to compare it.
#[test]
fn row_of_a_workbook_or_in_another_encoding_allocates_no_more_than_known() {
    for (output, at_most) in [("format = \"xlsx\"", 17.0), ("profile = \"excel-cp932\"", 1.3)] {
        let a_row = allocations_a_row(output, 1_000, 5_000);
        assert!(a_row <= at_most, "{output}: expected at most {at_most} allocations a row, got {a_row}");
    }
}
