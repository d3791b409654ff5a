//! Tests exports that fail: each ends in an error and leaves nothing behind.

use std::io;

use downpipe_core::export::ExportError;
use downpipe_core::ledger::LedgerError;
use downpipe_core::source::{SinkError, SourceError};
use downpipe_core::store::StoreError;
use downpipe_core::testing::{RecordingProgress, StoreFault};
use insta::assert_snapshot;

use crate::pipeline::{KEY, PLAIN, TestExport, large, small};
use crate::samples::job_id;

#[tokio::test]
async fn export_into_a_failing_store_leaves_nothing() {
    let faults = [
        StoreFault::Begin,
        StoreFault::Part(1),
        StoreFault::Part(2),
        StoreFault::Part(3),
        StoreFault::Complete,
    ];
    for fault in faults {
        let fixture = TestExport::failing(fault);
        let error = fixture.export(&large()).await.unwrap_err();
        let store_failed = matches!(
            error,
            ExportError::Store(StoreError::Unavailable { .. })
                | ExportError::Source(SourceError::Sink(SinkError::Store(StoreError::Unavailable { .. })))
        );
        assert!(store_failed, "{fault:?}: {error:?}");
        fixture.assert_nothing_left();
    }
    let fixture = TestExport::failing(StoreFault::Put);
    let error = fixture.export(&small()).await.unwrap_err();
    assert!(matches!(error, ExportError::Store(StoreError::Unavailable { .. })), "{error:?}");
    fixture.assert_nothing_left();
}

#[tokio::test]
async fn export_from_a_failing_source_leaves_nothing() {
    let broken = || SourceError::Disconnected(Box::new(io::Error::other("gone")));
    for (source, after) in [(small(), 0), (small(), 2), (small(), 3), (large(), 17), (large(), 20)] {
        let fixture = TestExport::new();
        let error = fixture.export(&source.failing_after(after, broken)).await.unwrap_err();
        assert!(matches!(error, ExportError::Source(SourceError::Disconnected(_))), "{error:?}");
        fixture.assert_nothing_left();
    }
}

#[tokio::test]
async fn row_count_that_differs_is_a_short_result() {
    for (source, claimed) in [(small(), 2), (small(), 4), (small(), 0), (large(), 21)] {
        let fixture = TestExport::new();
        let error = fixture.export(&source.claiming(claimed)).await.unwrap_err();
        assert!(matches!(error, ExportError::Source(SourceError::Short(_))), "{error:?}");
        fixture.assert_nothing_left();
    }
    let error = TestExport::new().export(&small().claiming(4)).await.unwrap_err();
    assert_snapshot!(error, @"the result ended early: the database counted 4 rows, 3 were written");
}

#[tokio::test]
async fn result_beyond_a_limit_fails_and_leaves_nothing() {
    let with = |limits: &str| TestExport::of(&format!("{PLAIN}[limits]\n{limits}"));
    let bytes = "id,memo\n1,one\n2,\n3,\"\"\n".len();
    for enough in ["rows = 3".to_owned(), format!("bytes = {bytes}")] {
        assert!(with(&enough).export(&small()).await.is_ok(), "{enough}");
    }
    for (too_few, words) in [
        ("rows = 2".to_owned(), "more than 2 rows".to_owned()),
        (format!("bytes = {}", bytes - 1), format!("more than {} bytes", bytes - 1)),
    ] {
        let fixture = with(&too_few);
        let error = fixture.export(&small()).await.unwrap_err();
        assert_eq!(error.to_string(), words);
        fixture.assert_nothing_left();
    }
    let fixture = with("rows = 17");
    let error = fixture.export(&large()).await.unwrap_err();
    assert!(matches!(
        error,
        ExportError::Source(SourceError::Sink(SinkError::Limit { what: "rows", most: 17 }))
    ));
    fixture.assert_nothing_left();
}

#[tokio::test]
async fn definition_that_does_not_fit_its_query_fails() {
    let fixture = TestExport::of(&format!("{PLAIN}[columns.total]\nhide = true"));
    assert_snapshot!(fixture.export(&small()).await.unwrap_err(), @"columns.total: the query returns no such column; it returns id, memo");
    fixture.assert_nothing_left();
}

#[tokio::test]
async fn export_that_loses_its_lease_stops() {
    // Loses the lease midway, and at the last moment before a small or large file is completed.
    for (source, after) in [(large(), 1), (large(), 2), (small(), 0)] {
        let mut fixture = TestExport::new();
        fixture.progress = RecordingProgress::losing_lease(job_id(), 1, after);
        let error = fixture.export(&source).await.unwrap_err();
        let lost = ExportError::Source(SourceError::Sink(SinkError::Ledger(LedgerError::LeaseLost {
            job: job_id(),
            attempt: 1,
        })));
        assert_eq!(format!("{error:?}"), format!("{lost:?}"));
        fixture.assert_nothing_left();
    }
}

#[tokio::test]
async fn next_attempt_deletes_a_file_that_was_never_recorded() {
    let first = TestExport { single_attempt: false, ..TestExport::failing(StoreFault::PutReceipt) };
    first.export(&large()).await.unwrap_err();
    assert_eq!(first.store.token(KEY).unwrap().attempt, 1, "complete, and never recorded");
    let second = TestExport { store: first.store.failing(StoreFault::Put), attempt: 2, ..TestExport::new() };
    assert!(second.export(&small()).await.is_err());
    assert_eq!((second.store.token(KEY), second.store.open_uploads()), (None, 0));
}

#[tokio::test]
async fn file_whose_receipt_fails_is_deleted() {
    for source in [small(), large()] {
        let fixture = TestExport::failing(StoreFault::PutReceipt);
        let error = fixture.export(&source).await.unwrap_err();
        assert!(matches!(error, ExportError::Store(StoreError::Unavailable { .. })), "{error:?}");
        fixture.assert_nothing_left();
    }
}

/// The file may be complete although its export failed. After the last attempt no worker would
/// delete it.
#[tokio::test]
async fn file_whose_completion_is_unconfirmed_is_deleted() {
    for source in [small(), large()] {
        let fixture = TestExport::failing(StoreFault::Answer);
        let error = fixture.export(&source).await.unwrap_err();
        assert!(matches!(error, ExportError::Store(StoreError::Unavailable { .. })), "{error:?}");
        fixture.assert_nothing_left();
    }
}

#[tokio::test]
async fn object_of_a_newer_attempt_is_left_alone() {
    let owner = TestExport { single_attempt: false, ..TestExport::failing(StoreFault::PutReceipt) };
    owner.export(&small()).await.unwrap_err();
    let before = owner.file();
    let again = TestExport {
        store: owner.store.failing(StoreFault::PutReceipt),
        single_attempt: false,
        ..TestExport::new()
    };
    let error = again.export(&small()).await.unwrap_err();
    assert!(matches!(error, ExportError::Store(StoreError::Unavailable { .. })), "{error:?}");
    assert_eq!(again.file(), before, "an object of the very same attempt means that an answer was lost");
    let newer = TestExport { store: owner.store.healed(), attempt: 2, ..TestExport::new() };
    newer.export(&large()).await.unwrap();
    let newest = newer.file();
    // An older attempt, presumed dead, continues only now.
    let zombie = TestExport { store: owner.store.healed(), ..TestExport::new() };
    for source in [small(), large()] {
        let error = zombie.export(&source).await.unwrap_err();
        assert!(matches!(error, ExportError::Store(StoreError::Exists { .. })), "{error:?}");
        assert!(zombie.file() == newest, "the newer attempt's object is untouched");
        assert_eq!((zombie.store.open_uploads(), zombie.store.orphaned_parts()), (0, 0));
    }
}

#[tokio::test]
async fn failed_cleanup_stops_the_attempt_before_it_reads() {
    let fixture = TestExport { attempt: 2, ..TestExport::failing(StoreFault::Clear) };
    let source = small();
    assert!(matches!(fixture.export(&source).await, Err(ExportError::Store(StoreError::Unavailable { .. }))));
    assert!(source.queries().is_empty());
}
