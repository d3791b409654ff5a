//! Tests how rows of any size are cut into parts, and how many parts are in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SinkState, SourceError};
use downpipe_core::testing::{MemoryStore, OwnedCell, ScriptedSource};
use downpipe_format::Cell;
use proptest::prelude::*;

use crate::pipeline::{KEY, PART, TestExport, assert_proven, columns};

/// Returns rows with memos of these sizes, each row different from its neighbours.
fn source(memos: &[usize]) -> ScriptedSource {
    let row = |(id, memo): (i64, &usize)| {
        let letter = char::from(b'a' + u8::try_from(id % 26).unwrap());
        vec![OwnedCell::Int(id), OwnedCell::Text(letter.to_string().repeat(*memo))]
    };
    ScriptedSource::new(columns(), (1..).zip(memos).map(row).collect())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

#[tokio::test]
async fn parts_in_flight_stay_within_the_limit_of_the_store() {
    let fixture = TestExport::new();
    fixture.export(&source(&[PART; 5])).await.unwrap();
    assert_eq!(fixture.store.most_parts_under_way(), 2, "both places are used, and no third");
}

/// A source that measures after every row how many bytes have not reached the store.
struct Measuring {
    store: MemoryStore,
    most_held: AtomicUsize,
}

const ROW: usize = PART / 4;

impl RowSource for Measuring {
    async fn read<S: RowSink>(&self, _: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        sink.start(&columns(), &ScriptedSource::snapshot())?;
        let (memo, count) = (vec![b'x'; ROW], 24);
        for row in 1..=count {
            sink.cell(Cell::Int(1));
            sink.cell(Cell::Text(&memo));
            let state = sink.end_row()?;
            self.most_held
                .fetch_max(row * ROW - self.store.bytes_arrived().min(row * ROW), Ordering::Relaxed);
            if state == SinkState::Full {
                sink.flush().await?;
            }
        }
        Ok(EndOfResult { rows: count as u64, snapshot: ScriptedSource::snapshot() })
    }
}

#[tokio::test]
async fn memory_holds_the_parts_in_flight_and_one_more() {
    let fixture = TestExport::new();
    let source = Measuring { store: fixture.store.clone(), most_held: AtomicUsize::new(0) };
    fixture.export(&source).await.unwrap();
    let most = source.most_held.load(Ordering::Relaxed);
    assert!(most >= 2 * PART, "a part travels while the next one is filled: {most}");
    assert!(most <= 3 * (PART + ROW), "two parts under way and one being filled: {most}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn parts_of_any_rows_end_at_rows_and_make_up_the_file(
        memos in proptest::collection::vec(prop_oneof![0..100_usize, 2_000_000..5_000_000_usize, Just(PART)], 0..8),
    ) {
        let fixture = TestExport::new();
        let receipt = block_on(fixture.export(&source(&memos))).unwrap();
        let file = fixture.file();
        assert_proven(&receipt, &file);
        prop_assert_eq!(receipt.rows, memos.len() as u64);
        let pieces = fixture.store.pieces(KEY);
        let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
        prop_assert_eq!(lines.len(), memos.len() + 1);
        // Each part has the fewest rows that fill it, except the last.
        let mut expected = vec![0];
        for line in lines {
            let last = expected.len() - 1;
            if expected[last] >= PART {
                expected.push(line.len());
            } else {
                expected[last] += line.len();
            }
        }
        let actual: Vec<usize> = pieces.iter().map(bytes::Bytes::len).collect();
        prop_assert_eq!(actual, expected);
        prop_assert!(fixture.store.most_parts_under_way() <= 2);
        prop_assert_eq!((fixture.store.open_uploads(), fixture.store.orphaned_parts()), (0, 0));
    }
}
