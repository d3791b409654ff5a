//! Tests exports that take several runs.

use std::time::Duration;

use downpipe_core::export::{
    ExportError, ExportFailed, ExportOutcome, ExportPlan, NotResumable, cleanup_job, export,
};
use downpipe_core::failure::Disposition;
use downpipe_core::job::{Checkpoint, JobAttempt, Key, KeyError, Receipt};
use downpipe_core::request::ExportRequest;
use downpipe_core::source::{CancellationToken, SinkError, SourceError};
use downpipe_core::store::NewObject;
use downpipe_core::testing::{MemoryStore, OwnedCell, RecordingProgress, ScriptedSource, StoreFault};
use tokio::time::Instant;

use crate::pipeline::KEY;
use crate::samples::{accept, catalog, job_id};
use crate::support::table_source::{Table, Unkeyed};

/// Returns a resumable definition.
fn resumable(output: &str) -> String {
    format!(
        "title = \"Orders\"\nsql = \"SELECT id, memo FROM orders WHERE id > :after ORDER BY id\"\n\
         [resume]\ncolumn = \"ID\"\nstart = 0\n[output]\n{output}"
    )
}

/// Makes a plan that is never cancelled.
fn plan<'a>(request: &'a ExportRequest<'a>, token: JobAttempt) -> ExportPlan<'a> {
    let deadline = Instant::now() + Duration::from_secs(60);
    ExportPlan::new(request, KEY.to_owned(), token, deadline, CancellationToken::new())
}

/// Makes one run, as a worker does.
async fn run(
    definition: &str,
    store: &MemoryStore,
    source: &Table,
    attempt: u32,
    from: Option<Checkpoint>,
) -> Result<ExportOutcome, ExportFailed> {
    let catalog = catalog(definition);
    let request = accept(&catalog, r#"{"export":"orders"}"#).unwrap();
    let token = JobAttempt { job: job_id(), attempt };
    let plan = plan(&request, token);
    // The checkpoint passes through JSON, as in a ledger.
    let from = from.map(|from| serde_json::from_str(&serde_json::to_string(&from).unwrap()).unwrap());
    export(source, store, &RecordingProgress::new(), &plan.resume(from)).await
}

/// Runs until the export is complete, and returns the receipt and the number of runs.
async fn export_in_runs(definition: &str, store: &MemoryStore, source: &Table) -> (Receipt, u32) {
    let mut from = None;
    for attempt in 1..100 {
        match run(definition, store, source, attempt, from).await.unwrap() {
            ExportOutcome::Completed(receipt) => return (*receipt, attempt),
            ExportOutcome::Paused(checkpoint) => from = Some(*checkpoint),
        }
    }
    panic!("it does not come to its end")
}

#[tokio::test]
async fn export_of_many_runs_equals_that_of_one_run() {
    for output in [
        "format = \"csv\"",
        "format = \"csv\"\ncompression = \"gzip\"",
        "format = \"csv\"\ncompression = \"zstd\"",
        "format = \"jsonl\"",
        "profile = \"excel\"",
    ] {
        let definition = resumable(output);
        // A part has two rows of 5 MB; compressed, two or three.
        let mut table = Table::new(11, 5 << 20);
        let whole = MemoryStore::new();
        let (expected, runs) = export_in_runs(&definition, &whole, &table).await;
        assert_eq!((runs, expected.continued), (1, false));
        table.rows_a_run = 4;
        let store = MemoryStore::new();
        let (receipt, runs) = export_in_runs(&definition, &store, &table).await;
        assert!(runs > 2, "{output}: {runs}");
        assert!(receipt.continued);
        assert!(store.get(KEY) == whole.get(KEY), "{output}");
        let proof =
            |receipt: &Receipt| (receipt.rows, receipt.bytes, receipt.changes.clone(), receipt.files.clone());
        assert_eq!(proof(&receipt), proof(&expected));
        assert_eq!((store.open_uploads(), store.orphaned_parts()), (0, 0));
        let read_after = table.read_after();
        assert!(
            read_after[1..].windows(2).all(|keys| keys[0] < keys[1]),
            "what was written is not read again: {read_after:?}"
        );
    }
}

#[tokio::test]
async fn run_cut_off_at_any_row_is_resumed() {
    let definition = resumable("");
    let mut table = Table::new(9, 5 << 20);
    let whole = MemoryStore::new();
    export_in_runs(&definition, &whole, &table).await;
    for rows in 3..10 {
        table.rows_a_run = rows;
        let store = MemoryStore::new();
        export_in_runs(&definition, &store, &table).await;
        assert!(store.get(KEY) == whole.get(KEY), "{rows} rows a run");
    }
}

#[tokio::test]
async fn full_sheet_is_not_written_again() {
    let definition = resumable("profile = \"excel\"");
    let mut table = Table::new(0, 0);
    let memo = "x".repeat(20);
    table.rows = (1..=1_200_000).map(|id| vec![OwnedCell::Int(id), memo.as_str().into()]).collect();
    let whole = MemoryStore::new();
    let (expected, _) = export_in_runs(&definition, &whole, &table).await;
    table.rows_a_run = 600_000;
    let store = MemoryStore::new();
    let (receipt, runs) = export_in_runs(&definition, &store, &table).await;
    assert!(runs == 3 && receipt.files.len() == 2, "{runs} runs");
    assert_eq!(receipt.files, expected.files);
    for file in &receipt.files {
        let key = file.address.strip_prefix("memory://").unwrap();
        assert!(store.get(key) == whole.get(key), "{key}");
    }
    assert_eq!(store.keys().len(), 3, "two files and a receipt");
}

#[tokio::test]
async fn failed_attempt_leaves_a_checkpoint_that_the_next_resumes() {
    let definition = resumable("");
    let table = Table::new(10, 5 << 20);
    let whole = MemoryStore::new();
    export_in_runs(&definition, &whole, &table).await;
    let store = MemoryStore::new();
    let fails = store.failing(StoreFault::Part(4));
    let Err(ExportFailed { error, checkpoint }) = run(&definition, &fails, &table, 1, None).await else {
        panic!("a part was lost")
    };
    assert!(matches!(
        error,
        ExportError::Source(SourceError::Sink(SinkError::Store(_))) | ExportError::Store(_)
    ));
    let checkpoint = *checkpoint.unwrap();
    assert_eq!((checkpoint.parts.len(), checkpoint.rows), (3, 6));
    assert_eq!(checkpoint.key, Key::Integer(18));
    let ExportOutcome::Completed(receipt) =
        run(&definition, &store, &table, 2, Some(checkpoint)).await.unwrap()
    else {
        panic!("it has all the time")
    };
    assert!(store.get(KEY) == whole.get(KEY));
    assert_eq!(
        (receipt.attempt, store.token(KEY).unwrap().attempt),
        (2, 1),
        "the upload is the first attempt's"
    );
    assert_eq!(table.read_after()[1..], [0, 18]);
}

/// A lifecycle rule may have aborted the upload, or another client may have written to it.
#[tokio::test]
async fn changed_upload_is_started_again() {
    let definition = resumable("");
    let mut table = Table::new(10, 5 << 20);
    table.rows_a_run = 5;
    let store = MemoryStore::new();
    let paused = |exported: ExportOutcome| match exported {
        ExportOutcome::Paused(checkpoint) => *checkpoint,
        ExportOutcome::Completed(_) => panic!("its time was up"),
    };
    let checkpoint = paused(run(&definition, &store, &table, 1, None).await.unwrap());
    let mut other_parts = checkpoint.clone();
    other_parts.parts[0].etag = "another".to_owned();
    let mut other_definition = checkpoint.clone();
    other_definition.definition_sha256 = "another".to_owned();
    let mut other_state = checkpoint.clone();
    other_state.sha256 = "of another version".to_owned();
    table.rows_a_run = usize::MAX;
    for (attempt, wrong) in (2..).zip([other_parts, other_definition, other_state, checkpoint]) {
        assert!(matches!(
            run(&definition, &store, &table, attempt, Some(wrong)).await.unwrap(),
            ExportOutcome::Completed(receipt) if !receipt.continued && receipt.rows == 10
        ));
        assert_eq!((store.open_uploads(), store.orphaned_parts()), (0, 0));
        let object = NewObject::known_by(KEY, JobAttempt { job: job_id(), attempt });
        assert!(cleanup_job(&store, &object, None).await);
    }
}

#[tokio::test]
async fn columns_changed_between_runs_are_refused() {
    let definition = resumable("");
    let mut table = Table::new(10, 5 << 20);
    table.rows_a_run = 5;
    let store = MemoryStore::new();
    let ExportOutcome::Paused(checkpoint) = run(&definition, &store, &table, 1, None).await.unwrap() else {
        panic!()
    };
    table.columns[1].name = "note".to_owned();
    let ExportFailed { error, checkpoint } =
        run(&definition, &store, &table, 2, Some(*checkpoint)).await.unwrap_err();
    assert!(
        matches!(error, ExportError::Source(SourceError::Sink(SinkError::ColumnsChanged { .. }))),
        "{error:?}"
    );
    let object = NewObject::known_by(KEY, JobAttempt { job: job_id(), attempt: 2 });
    assert!(cleanup_job(&store, &object, checkpoint.as_deref()).await);
    assert_eq!((store.open_uploads(), store.orphaned_parts()), (0, 0));
}

#[tokio::test]
async fn key_that_does_not_ascend_fails_with_its_row() {
    for (place, key, reason) in [
        (7, OwnedCell::Int(3), KeyError::NotAscending),
        (7, OwnedCell::Int(21), KeyError::NotAscending),
        (2, OwnedCell::Null, KeyError::Null),
    ] {
        let mut table = Table::new(10, 10);
        table.rows[place][0] = key;
        let store = MemoryStore::new();
        let ExportFailed { error, checkpoint } =
            run(&resumable(""), &store, &table, 1, None).await.unwrap_err();
        let ExportError::Source(SourceError::Sink(SinkError::Key { row, column, reason: actual })) = error
        else {
            panic!("{error:?}")
        };
        assert_eq!((row, column.as_str(), actual), (place as u64 + 1, "ID", reason));
        assert_eq!((checkpoint, store.keys()), (None, Vec::new()));
    }
}

#[tokio::test]
async fn missing_resume_column_is_refused() {
    let mut table = Table::new(1, 1);
    table.columns[0].name = "number".to_owned();
    let ExportFailed { error, .. } =
        run(&resumable(""), &MemoryStore::new(), &table, 1, None).await.unwrap_err();
    insta::assert_snapshot!(downpipe_core::error_chain::error_chain(&error), @r#"resume.column: expected a column of the query, got "ID""#);
}

/// The failure tells the requester what would help.
#[tokio::test]
async fn run_that_cannot_be_resumed_says_why() {
    let plain = "title = \"Orders\"\nsql = \"SELECT id, memo FROM orders WHERE id > :from\"\nparams = { from = { type = \"integer\", default = 0 } }\n";
    for (definition, rows, reason) in [
        (plain.to_owned(), 5, NotResumable::NoResume),
        (resumable("format = \"xlsx\""), 1, NotResumable::Format),
        (resumable("compression = \"zip\""), 5, NotResumable::Format),
        (resumable(""), 1, NotResumable::NoProgress),
    ] {
        let mut table = Table::new(10, 5 << 20);
        if rows == 1 {
            table = Table::new(10, 10);
        }
        table.rows_a_run = rows;
        let store = MemoryStore::new();
        let source = Unkeyed(table);
        let catalog = catalog(&definition);
        let request = accept(&catalog, r#"{"export":"orders"}"#).unwrap();
        let token = JobAttempt { job: job_id(), attempt: 1 };
        let plan = plan(&request, token);
        let broken = export(&source, &store, &RecordingProgress::new(), &plan).await.unwrap_err();
        assert!(
            matches!(broken.error, ExportError::RunEnded(actual) if actual == reason),
            "{:?}",
            broken.error
        );
        assert_eq!((broken.checkpoint, store.keys(), store.open_uploads()), (None, Vec::new(), 0));
    }
}

/// One slow run must not discard the work of earlier runs.
#[tokio::test]
async fn run_without_progress_after_others_is_retried() {
    let mut table = Table::new(10, 5 << 20);
    table.rows_a_run = 5;
    let store = MemoryStore::new();
    let ExportOutcome::Paused(first) = run(&resumable(""), &store, &table, 1, None).await.unwrap() else {
        panic!()
    };
    table.rows_a_run = 1;
    let ExportFailed { error, checkpoint } =
        run(&resumable(""), &store, &table, 2, Some(*first.clone())).await.unwrap_err();
    assert!(matches!(error, ExportError::RunEnded(NotResumable::Stalled)), "{error:?}");
    assert_eq!(downpipe_core::failure::of_export(&error).0, Disposition::Retry);
    let left = checkpoint.unwrap();
    assert_eq!((left.rows, &left.parts), (first.rows, &first.parts), "the written parts stay resumable");
}

#[tokio::test]
async fn checkpoint_under_another_session_setting_fails_and_names_it() {
    let mut table = Table::new(10, 5 << 20);
    table.rows_a_run = 5;
    let store = MemoryStore::new();
    let ExportOutcome::Paused(mut left) = run(&resumable(""), &store, &table, 1, None).await.unwrap() else {
        panic!()
    };
    assert_eq!(left.session, ScriptedSource::snapshot().session);
    let ansi = [("sql_mode".to_owned(), "ANSI_QUOTES".to_owned())];
    left.session = ansi.into_iter().collect();
    let broken = run(&resumable(""), &store, &table, 2, Some(*left)).await.unwrap_err();
    let (next, failure) = downpipe_core::failure::of_export(&broken.error);
    assert_eq!(
        (next, failure.code.as_str(), failure.for_operator),
        (Disposition::Fail, "session_changed", false)
    );
    assert!(
        failure
            .words(downpipe_core::language::Language::En)
            .message
            .contains(r#"sql_mode: expected "ANSI_QUOTES", got "STRICT_TRANS_TABLES""#),
        "{}",
        failure.words(downpipe_core::language::Language::En).message
    );
    assert!(broken.checkpoint.is_some(), "the checkpoint is left for cleanup");
}

/// The worker froze between claiming the job and reading what was left, and another worker has
/// claimed the job since.
#[tokio::test]
async fn worker_presumed_dead_removes_nothing() {
    let mut table = Table::new(10, 5 << 20);
    table.rows_a_run = 5;
    let store = MemoryStore::new();
    let ExportOutcome::Paused(left) = run(&resumable(""), &store, &table, 1, None).await.unwrap() else {
        panic!()
    };
    let mut unusable = *left;
    unusable.definition_sha256 = "another".to_owned();
    let catalog = catalog(&resumable(""));
    let request = accept(&catalog, r#"{"export":"orders"}"#).unwrap();
    let token = JobAttempt { job: job_id(), attempt: 2 };
    let plan = plan(&request, token);
    let progress = RecordingProgress::losing_lease(job_id(), 2, 0);
    let exported = export(&table, &store, &progress, &plan.resume(Some(unusable))).await;
    let Err(ExportFailed { error: ExportError::Source(SourceError::Sink(SinkError::Ledger(_))), .. }) =
        exported
    else {
        panic!("{exported:?}")
    };
    assert_eq!(store.open_uploads(), 1, "the successor may be using it");
    assert_eq!(table.read_after().len(), 1, "no row is read");
}

/// The order of these texts depends on a collation that only the server knows, so no run can resume
/// after one.
#[tokio::test]
async fn unresumable_key_does_not_fail_an_export_of_one_run() {
    let mut table = Table::new(4, 5 << 20);
    for (row, key) in table.rows.iter_mut().zip(["a", "ä", "b_", "ö"]) {
        row[0] = key.into();
    }
    let store = MemoryStore::new();
    let exported = run(&resumable(""), &store, &table, 1, None).await.unwrap();
    assert!(matches!(exported, ExportOutcome::Completed(receipt) if receipt.rows == 4));
    table.rows_a_run = 4;
    table.rows.push(table.rows[3].clone());
    table.rows[4][0] = "ü".into();
    let broken = run(&resumable(""), &MemoryStore::new(), &table, 1, None).await.unwrap_err();
    assert!(matches!(broken.error, ExportError::RunEnded(NotResumable::Key)), "{:?}", broken.error);
}

/// Otherwise the next attempt would take the rows of the last file for all there are.
#[tokio::test]
async fn export_whose_files_were_complete_before_a_fault_keeps_all_of_them() {
    const SHEET: i64 = 1_048_575;
    let definition = resumable("profile = \"excel\"");
    let table = Table::new(SHEET + 1, 0);
    let undisturbed = MemoryStore::new();
    run(&definition, &undisturbed, &table, 1, None).await.unwrap();
    for fault in [StoreFault::Rename(1), StoreFault::RenameHalfway(1), StoreFault::PutReceipt] {
        let store = MemoryStore::new();
        let failed = run(&definition, &store.clone().failing(fault), &table, 1, None).await.unwrap_err();
        let from = failed.checkpoint.map(|checkpoint| *checkpoint);
        let ExportOutcome::Completed(receipt) = run(&definition, &store, &table, 2, from).await.unwrap()
        else {
            panic!("{fault:?}")
        };
        let rows: Vec<u64> = receipt.files.iter().map(|file| file.rows).collect();
        assert_eq!((receipt.rows, rows), (1_048_576, vec![1_048_575, 1]), "{fault:?}");
        assert_eq!(store.keys(), undisturbed.keys(), "{fault:?}");
        for file in &receipt.files {
            let key = store.keys().into_iter().find(|key| file.address.ends_with(key.as_str())).unwrap();
            assert!(store.get(&key) == undisturbed.get(&key), "{fault:?}: {key} differs");
        }
    }
}
