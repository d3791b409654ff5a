//! Tests the throttle of an export, on a paused clock that advances only while the export waits.

use std::sync::Mutex;
use std::time::Duration;

use downpipe_core::export::{ExportError, NotResumable};
use downpipe_core::failure::of_export;
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SinkState, SourceError};
use downpipe_core::testing::{OwnedCell, ScriptedSource};
use insta::assert_snapshot;
use tokio::time::{Instant, sleep, timeout_at};

use crate::pipeline::{PLAIN, TestExport, assert_proven, columns, large};

/// A source that sends rows of `id` and a memo of this many bytes without delay, and records when
/// each was taken. It ends at the deadline.
#[derive(Default)]
struct Fast {
    rows: i64,
    memo: usize,
    /// The source pauses after so many rows for so long.
    idle: Option<(i64, Duration)>,
    taken: Mutex<Vec<Instant>>,
}

impl Fast {
    fn rows(rows: i64) -> Self {
        Self { rows, ..Self::default() }
    }

    /// Returns the seconds from the first row to the last.
    fn seconds(&self) -> f64 {
        let taken = self.taken.lock().unwrap();
        assert_eq!(taken.len() as i64, self.rows);
        (taken[taken.len() - 1] - taken[0]).as_secs_f64()
    }

    async fn give<S: RowSink>(&self, sink: &mut S) -> Result<EndOfResult, SourceError> {
        sink.start(&columns(), &ScriptedSource::snapshot())?;
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
        Ok(EndOfResult { rows: self.rows.unsigned_abs(), snapshot: ScriptedSource::snapshot() })
    }
}

impl RowSource for Fast {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        timeout_at(query.deadline, self.give(sink)).await.unwrap_or(Err(SourceError::TimedOut))
    }
}

fn fixture(throttle: &str) -> TestExport {
    TestExport::of(&format!("{PLAIN}[throttle]\n{throttle}"))
}

/// Exports under a throttle, and returns the seconds that it took.
async fn seconds(throttle: &str, source: Fast) -> f64 {
    fixture(throttle).export(&source).await.unwrap();
    source.seconds()
}

fn assert_about(actual: f64, expected: f64) {
    assert!((actual - expected).abs() <= 0.15, "expected about {expected} s, got {actual} s");
}

#[tokio::test(start_paused = true)]
async fn rows_under_a_cap_come_no_faster() {
    // The first second's amount comes at once.
    assert_about(seconds("rows_per_second = 1000", Fast::rows(2_500)).await, 1.5);
    assert_about(seconds("rows_per_second = 1000", Fast::rows(1_000)).await, 0.0);
    assert_about(seconds("rows_per_second = 1", Fast::rows(10)).await, 8.0);
    assert_about(seconds("rows_per_second = 18446744073709551615", Fast::rows(1_000)).await, 0.0);
}

#[tokio::test(start_paused = true)]
async fn bytes_under_a_cap_come_no_faster() {
    let kilobytes = |rows| Fast { memo: 992, ..Fast::rows(rows) };
    assert_about(seconds("bytes_per_second = 200_000", kilobytes(1_000)).await, 4.0);
    // A row larger than a second's amount is sent, and then waited for.
    let large = Fast { memo: 1_000_000, ..Fast::rows(4) };
    assert_about(seconds("bytes_per_second = 100_000", large).await, 29.0);
}

#[tokio::test(start_paused = true)]
async fn slower_of_two_caps_decides() {
    let kilobytes = || Fast { memo: 992, ..Fast::rows(1_000) };
    let throttle = "rows_per_second = 500\nbytes_per_second = 200_000";
    assert_about(seconds(throttle, kilobytes()).await, 4.0);
    let throttle = "rows_per_second = 100\nbytes_per_second = 200_000";
    assert_about(seconds(throttle, kilobytes()).await, 9.0);
}

#[tokio::test(start_paused = true)]
async fn idle_time_under_a_cap_is_not_made_up_for() {
    let idle = Some((1_000, Duration::from_secs(10)));
    let source = Fast { idle, ..Fast::rows(4_000) };
    assert_about(seconds("rows_per_second = 1000", source).await, 12.0);
}

/// The server must not wait for minutes before it can send again.
#[tokio::test(start_paused = true)]
async fn waiting_under_a_cap_is_cut_into_small_pieces() {
    let source = Fast::rows(20_000);
    fixture("rows_per_second = 5000").export(&source).await.unwrap();
    let taken = source.taken.lock().unwrap();
    let longest = taken.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= Duration::from_millis(200), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn file_under_a_cap_equals_that_without_one() {
    for output in ["", "compression = \"gzip\"", "compression = \"zstd\"", "format = \"jsonl\""] {
        let of =
            |throttle: &str| TestExport::of(&format!("{PLAIN}[throttle]\n{throttle}\n[output]\n{output}"));
        let (fast, slow) = (of(""), of("rows_per_second = 5\nbytes_per_second = 3_000_000"));
        let receipts = [fast.export(&large()).await.unwrap(), slow.export(&large()).await.unwrap()];
        assert_eq!(receipts[0].files[0].sha256, receipts[1].files[0].sha256, "{output}");
        let keys: Vec<_> = [&fast, &slow].map(|fixture| fixture.store.keys()).into();
        assert_eq!(keys[0], keys[1]);
        let pieces = [&fast, &slow].map(|fixture| fixture.store.pieces(crate::pipeline::KEY).len());
        assert_eq!(pieces[0], pieces[1], "{output}: parts are cut where they were");
        assert_eq!(fast.progress.heard(), slow.progress.heard(), "{output}: and sent when they were");
        assert_proven(&receipts[1], &slow.file());
    }
}

#[tokio::test(start_paused = true)]
async fn deadline_reached_because_of_a_cap_names_it() {
    let fixture = fixture("rows_per_second = 10\nbytes_per_second = 1000");
    let source = Fast { memo: 992, ..Fast::rows(1_000) };
    let error = fixture.export(&source).await.unwrap_err();
    fixture.assert_nothing_left();
    let held_back = match &error {
        ExportError::Source(SourceError::HeldBack { key, seconds }) => (*key, *seconds),
        error => panic!("{error:?}"),
    };
    assert_eq!(held_back, ("throttle.bytes_per_second", 60));
    let (_, failure) = of_export(&error);
    let words = failure.words(downpipe_core::language::Language::En);
    assert_snapshot!(format!("{} {}", words.message, words.advice), @"The query took longer than it may. For 60 s of that time, throttle.bytes_per_second held it back. Ask for less at once, for example a shorter period. Or ask the people who run this export to change throttle.bytes_per_second.");
}

#[tokio::test(start_paused = true)]
async fn deadline_reached_without_a_cap_names_none() {
    let idle = Some((1, Duration::from_secs(300)));
    let error = fixture("rows_per_second = 1000").export(&Fast { idle, ..Fast::rows(2) }).await.unwrap_err();
    assert!(matches!(error, ExportError::RunEnded(NotResumable::NoResume)), "{error:?}");
}

/// Only a timeout names the cap. An earlier error is kept.
#[tokio::test(start_paused = true)]
async fn error_of_a_throttled_export_is_kept() {
    let fixture = fixture("rows_per_second = 5");
    let source = large().failing_after(20, || SourceError::Killed);
    let error = fixture.export(&source).await.unwrap_err();
    assert!(matches!(error, ExportError::Source(SourceError::Killed)), "{error:?}");
    fixture.assert_nothing_left();
}
