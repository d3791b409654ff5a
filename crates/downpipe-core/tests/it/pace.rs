//! The pace of an export, on a clock that stands still while nobody waits.

use std::sync::Mutex;
use std::time::Duration;

use downpipe_core::failure::of_export;
use downpipe_core::pipeline::{ExportError, NotContinuable};
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SinkState, SourceError};
use downpipe_core::testing::{OwnedCell, ScriptedSource};
use insta::assert_snapshot;
use tokio::time::{Instant, sleep, timeout_at};

use crate::pipeline::{Bench, PLAIN, assert_proven, columns, large};

/// Gives rows of `id` and a memo of this many bytes as fast as they are taken, and notes when that was. Ends at the deadline.
#[derive(Default)]
struct Fast {
    rows: i64,
    memo: usize,
    /// After so many rows, nothing comes for so long.
    idle: Option<(i64, Duration)>,
    taken: Mutex<Vec<Instant>>,
}

impl Fast {
    fn rows(rows: i64) -> Self {
        Self { rows, ..Self::default() }
    }

    /// The seconds from the first row to the last.
    fn seconds(&self) -> f64 {
        let taken = self.taken.lock().unwrap();
        assert_eq!(taken.len() as i64, self.rows);
        (taken[taken.len() - 1] - taken[0]).as_secs_f64()
    }

    async fn give<S: RowSink>(&self, sink: &mut S) -> Result<EndOfResult, SourceError> {
        sink.start(&columns(), ScriptedSource::AS_OF)?;
        let memo = "x".repeat(self.memo);
        for id in 1..=self.rows {
            self.taken.lock().unwrap().push(Instant::now());
            sink.cell(OwnedCell::Int(id).as_cell());
            sink.cell(OwnedCell::Text(memo.clone()).as_cell());
            if sink.end_row()? == SinkState::Full {
                sink.flush().await?;
            }
            if let Some((_, time)) = self.idle.filter(|(after, _)| *after == id) {
                sleep(time).await;
            }
        }
        Ok(EndOfResult { rows: self.rows.unsigned_abs(), as_of: ScriptedSource::AS_OF })
    }
}

impl RowSource for Fast {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        timeout_at(query.deadline, self.give(sink)).await.unwrap_or(Err(SourceError::TimedOut))
    }
}

fn bench(pace: &str) -> Bench {
    Bench::of(&format!("{PLAIN}[pace]\n{pace}"))
}

/// How long an export takes at a pace, in seconds.
async fn seconds(pace: &str, source: Fast) -> f64 {
    bench(pace).export(&source).await.unwrap();
    source.seconds()
}

fn assert_about(actual: f64, expected: f64) {
    assert!((actual - expected).abs() <= 0.15, "expected about {expected} s, got {actual} s");
}

#[tokio::test(start_paused = true)]
async fn rows_come_no_faster_than_they_may() {
    // A second's worth comes at once.
    assert_about(seconds("rows_per_second = 1000", Fast::rows(2_500)).await, 1.5);
    assert_about(seconds("rows_per_second = 1000", Fast::rows(1_000)).await, 0.0);
    assert_about(seconds("rows_per_second = 1", Fast::rows(10)).await, 8.0);
    assert_about(seconds("rows_per_second = 18446744073709551615", Fast::rows(1_000)).await, 0.0);
}

#[tokio::test(start_paused = true)]
async fn bytes_come_no_faster_than_they_may() {
    let kilobytes = |rows| Fast { memo: 992, ..Fast::rows(rows) };
    assert_about(seconds("bytes_per_second = 200_000", kilobytes(1_000)).await, 4.0);
    // A row that is larger than a second's worth is waited for once it is there.
    let large = Fast { memo: 1_000_000, ..Fast::rows(4) };
    assert_about(seconds("bytes_per_second = 100_000", large).await, 29.0);
}

#[tokio::test(start_paused = true)]
async fn the_slower_of_two_caps_counts() {
    let kilobytes = || Fast { memo: 992, ..Fast::rows(1_000) };
    let pace = "rows_per_second = 500\nbytes_per_second = 200_000";
    assert_about(seconds(pace, kilobytes()).await, 4.0);
    let pace = "rows_per_second = 100\nbytes_per_second = 200_000";
    assert_about(seconds(pace, kilobytes()).await, 9.0);
}

#[tokio::test(start_paused = true)]
async fn time_in_which_nothing_came_is_not_made_up_for() {
    let idle = Some((1_000, Duration::from_secs(10)));
    let source = Fast { idle, ..Fast::rows(4_000) };
    assert_about(seconds("rows_per_second = 1000", source).await, 12.0);
}

/// The server must not wait for minutes until it can send again.
#[tokio::test(start_paused = true)]
async fn waiting_is_cut_into_small_pieces() {
    let source = Fast::rows(20_000);
    bench("rows_per_second = 5000").export(&source).await.unwrap();
    let taken = source.taken.lock().unwrap();
    let longest = taken.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= Duration::from_millis(200), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_does_not_depend_on_its_pace() {
    for output in ["", "compression = \"gzip\"", "compression = \"zstd\"", "format = \"jsonl\""] {
        let of = |pace: &str| Bench::of(&format!("{PLAIN}[pace]\n{pace}\n[output]\n{output}"));
        let (fast, slow) = (of(""), of("rows_per_second = 5\nbytes_per_second = 3_000_000"));
        let receipts = [fast.export(&large()).await.unwrap(), slow.export(&large()).await.unwrap()];
        assert_eq!(receipts[0].files[0].sha256, receipts[1].files[0].sha256, "{output}");
        let keys: Vec<_> = [&fast, &slow].map(|bench| bench.store.keys()).into();
        assert_eq!(keys[0], keys[1]);
        let pieces = [&fast, &slow].map(|bench| bench.store.pieces(crate::pipeline::KEY).len());
        assert_eq!(pieces[0], pieces[1], "{output}: parts are cut where they were");
        assert_eq!(fast.progress.heard(), slow.progress.heard(), "{output}: and sent when they were");
        assert_proven(&receipts[1], &slow.file());
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_a_cap_has_to_do_with_names_it() {
    let bench = bench("rows_per_second = 10\nbytes_per_second = 1000");
    let source = Fast { memo: 992, ..Fast::rows(1_000) };
    let error = bench.export(&source).await.unwrap_err();
    bench.assert_nothing_left();
    let held_back = match &error {
        ExportError::Source(SourceError::HeldBack { key, seconds }) => (*key, *seconds),
        error => panic!("{error:?}"),
    };
    assert_eq!(held_back, ("pace.bytes_per_second", 60));
    let (_, failure) = of_export(&error);
    assert_snapshot!(format!("{} {}", failure.message, failure.advice), @"The query took longer than it may. For 60 s of that time, pace.bytes_per_second held it back. Ask for less at once, for example a shorter period. Or ask the people who run this export to change pace.bytes_per_second.");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_no_cap_has_to_do_with_does_not() {
    let idle = Some((1, Duration::from_secs(300)));
    let error = bench("rows_per_second = 1000").export(&Fast { idle, ..Fast::rows(2) }).await.unwrap_err();
    assert!(matches!(error, ExportError::RunEnded(NotContinuable::NoResume)), "{error:?}");
}

/// Only the deadline has to do with it: an error that came first stays what it is.
#[tokio::test(start_paused = true)]
async fn an_error_of_a_paced_export_stays_what_it_is() {
    let bench = bench("rows_per_second = 5");
    let source = large().failing_after(20, || SourceError::Killed);
    let error = bench.export(&source).await.unwrap_err();
    assert!(matches!(error, ExportError::Source(SourceError::Killed)), "{error:?}");
    bench.assert_nothing_left();
}
