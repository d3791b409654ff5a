//! What becomes of an export when something breaks: an error, and nothing left behind.

use std::io;

use downpipe_core::ledger::LedgerError;
use downpipe_core::pipeline::ExportError;
use downpipe_core::source::{SinkError, SourceError};
use downpipe_core::store::StoreError;
use downpipe_core::testing::{RecordingProgress, StoreFault};
use insta::assert_snapshot;

use crate::pipeline::{Bench, KEY, PLAIN, large, small};
use crate::samples::job_id;

#[tokio::test]
async fn a_store_that_fails_gets_nothing_half_done() {
    let faults = [
        StoreFault::Begin,
        StoreFault::Part(1),
        StoreFault::Part(2),
        StoreFault::Part(3),
        StoreFault::Complete,
    ];
    for fault in faults {
        let bench = Bench::failing(fault);
        let error = bench.export(&large()).await.unwrap_err();
        let store_failed = matches!(
            error,
            ExportError::Store(StoreError::Unavailable { .. })
                | ExportError::Source(SourceError::Sink(SinkError::Store(StoreError::Unavailable { .. })))
        );
        assert!(store_failed, "{fault:?}: {error:?}");
        bench.assert_nothing_left();
    }
    let bench = Bench::failing(StoreFault::Put);
    let error = bench.export(&small()).await.unwrap_err();
    assert!(matches!(error, ExportError::Store(StoreError::Unavailable { .. })), "{error:?}");
    bench.assert_nothing_left();
}

#[tokio::test]
async fn a_source_that_fails_leaves_nothing() {
    let broken = || SourceError::Disconnected(Box::new(io::Error::other("gone")));
    for (source, after) in [(small(), 0), (small(), 2), (small(), 3), (large(), 17), (large(), 20)] {
        let bench = Bench::new();
        let error = bench.export(&source.failing_after(after, broken)).await.unwrap_err();
        assert!(matches!(error, ExportError::Source(SourceError::Disconnected(_))), "{error:?}");
        bench.assert_nothing_left();
    }
}

#[tokio::test]
async fn a_count_that_differs_is_a_short_result() {
    for (source, claimed) in [(small(), 2), (small(), 4), (small(), 0), (large(), 21)] {
        let bench = Bench::new();
        let error = bench.export(&source.claiming(claimed)).await.unwrap_err();
        assert!(matches!(error, ExportError::Source(SourceError::Short(_))), "{error:?}");
        bench.assert_nothing_left();
    }
    let error = Bench::new().export(&small().claiming(4)).await.unwrap_err();
    assert_snapshot!(error, @"the result ended early: the database counted 4 rows, 3 were written");
}

#[tokio::test]
async fn a_limit_is_an_error_and_never_a_short_file() {
    let with = |limits: &str| Bench::of(&format!("{PLAIN}[limits]\n{limits}"));
    let bytes = "id,memo\n1,one\n2,\n3,\"\"\n".len();
    for enough in ["rows = 3".to_owned(), format!("bytes = {bytes}")] {
        assert!(with(&enough).export(&small()).await.is_ok(), "{enough}");
    }
    for (too_few, words) in [
        ("rows = 2".to_owned(), "more than 2 rows".to_owned()),
        (format!("bytes = {}", bytes - 1), format!("more than {} bytes", bytes - 1)),
    ] {
        let bench = with(&too_few);
        let error = bench.export(&small()).await.unwrap_err();
        assert_eq!(error.to_string(), words);
        bench.assert_nothing_left();
    }
    let bench = with("rows = 17");
    let error = bench.export(&large()).await.unwrap_err();
    assert!(matches!(
        error,
        ExportError::Source(SourceError::Sink(SinkError::Limit { what: "rows", most: 17 }))
    ));
    bench.assert_nothing_left();
}

#[tokio::test]
async fn a_definition_that_does_not_fit_its_query_is_an_error() {
    let bench = Bench::of(&format!("{PLAIN}[columns.total]\nhide = true"));
    assert_snapshot!(bench.export(&small()).await.unwrap_err(), @"columns.total: the query returns no such column; it returns id, memo");
    bench.assert_nothing_left();
}

#[tokio::test]
async fn who_loses_the_lease_stops() {
    // In the middle, and at the last moment before a small or a large file is completed.
    for (source, after) in [(large(), 1), (large(), 2), (small(), 0)] {
        let mut bench = Bench::new();
        bench.progress = RecordingProgress::losing_lease(job_id(), 1, after);
        let error = bench.export(&source).await.unwrap_err();
        let lost = ExportError::Source(SourceError::Sink(SinkError::Ledger(LedgerError::LeaseLost {
            job: job_id(),
            attempt: 1,
        })));
        assert_eq!(format!("{error:?}"), format!("{lost:?}"));
        bench.assert_nothing_left();
    }
}

#[tokio::test]
async fn the_next_attempt_clears_what_was_never_recorded() {
    let first = Bench { alone: false, ..Bench::failing(StoreFault::PutReceipt) };
    first.export(&large()).await.unwrap_err();
    assert_eq!(first.store.token(KEY).unwrap().attempt, 1, "complete, and never recorded");
    let second = Bench { store: first.store.failing(StoreFault::Put), attempt: 2, ..Bench::new() };
    assert!(second.export(&small()).await.is_err());
    assert_eq!((second.store.token(KEY), second.store.open_uploads()), (None, 0));
}

#[tokio::test]
async fn a_file_without_its_receipt_does_not_stay() {
    for source in [small(), large()] {
        let bench = Bench::failing(StoreFault::PutReceipt);
        let error = bench.export(&source).await.unwrap_err();
        assert!(matches!(error, ExportError::Store(StoreError::Unavailable { .. })), "{error:?}");
        bench.assert_nothing_left();
    }
}

/// The file may be complete when its export has failed: on the last attempt there would be nobody to clear it away.
#[tokio::test]
async fn a_file_whose_completion_was_never_confirmed_does_not_stay() {
    for source in [small(), large()] {
        let bench = Bench::failing(StoreFault::Answer);
        let error = bench.export(&source).await.unwrap_err();
        assert!(matches!(error, ExportError::Store(StoreError::Unavailable { .. })), "{error:?}");
        bench.assert_nothing_left();
    }
}

#[tokio::test]
async fn a_key_that_is_taken_is_left_alone() {
    let owner = Bench { alone: false, ..Bench::failing(StoreFault::PutReceipt) };
    owner.export(&small()).await.unwrap_err();
    let before = owner.file();
    let again = Bench { store: owner.store.failing(StoreFault::PutReceipt), alone: false, ..Bench::new() };
    let error = again.export(&small()).await.unwrap_err();
    assert!(matches!(error, ExportError::Store(StoreError::Unavailable { .. })), "{error:?}");
    assert_eq!(again.file(), before, "an object of the very same attempt means that an answer was lost");
    let newer = Bench { store: owner.store.healed(), attempt: 2, ..Bench::new() };
    newer.export(&large()).await.unwrap();
    let newest = newer.file();
    // An older attempt, taken for dead, that wakes only now.
    let zombie = Bench { store: owner.store.healed(), ..Bench::new() };
    for source in [small(), large()] {
        let error = zombie.export(&source).await.unwrap_err();
        assert!(matches!(error, ExportError::Store(StoreError::Exists { .. })), "{error:?}");
        assert!(zombie.file() == newest, "the newer attempt's object is untouched");
        assert_eq!((zombie.store.open_uploads(), zombie.store.orphaned_parts()), (0, 0));
    }
}

#[tokio::test]
async fn clearing_must_work_before_anything_is_read() {
    let bench = Bench { attempt: 2, ..Bench::failing(StoreFault::Clear) };
    let source = small();
    assert!(matches!(bench.export(&source).await, Err(ExportError::Store(StoreError::Unavailable { .. }))));
    assert!(source.queries().is_empty());
}
