//! Exports that take several runs.

use std::sync::Mutex;
use std::time::Duration;

use downpipe_core::checkpoint::Checkpoint;
use downpipe_core::failure::Next;
use downpipe_core::params::Value;
use downpipe_core::pipeline::{Broken, ExportError, Exported, NotContinuable, Order, clear_up, export};
use downpipe_core::receipt::Receipt;
use downpipe_core::resume::{Key, KeyError};
use downpipe_core::source::{EndOfResult, Query, RowSink, RowSource, SinkError, SinkState, SourceError};
use downpipe_core::sql::SqlPiece;
use downpipe_core::store::{NewObject, WriteToken};
use downpipe_core::testing::{MemoryStore, OwnedCell, RecordingProgress, ScriptedSource, StoreFault};
use downpipe_format::{Column, ColumnKind};
use tokio::time::Instant;

use crate::pipeline::KEY;
use crate::samples::{accept, catalog, job_id};

/// A definition that can be gone on with.
fn resumable(output: &str) -> String {
    format!(
        "title = \"Orders\"\nsql = \"SELECT id, memo FROM orders WHERE id > :after ORDER BY id\"\n\
         [resume]\ncolumn = \"ID\"\nstart = 0\n[output]\n{output}"
    )
}

/// Rows with ascending ids, of which a read gives those after the key, until its time is up.
struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<OwnedCell>>,
    /// The rows that one run has the time for.
    rows_a_run: usize,
    /// Keys after which was read.
    read_after: Mutex<Vec<i64>>,
}

impl Table {
    /// So many rows of so many bytes, which do not compress well.
    fn new(rows: i64, row_bytes: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut memo = || {
            let letter = |_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                char::from(b'a' + u8::try_from(state % 26).unwrap())
            };
            (0..row_bytes).map(letter).collect::<String>()
        };
        let integer = ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 };
        Self {
            columns: vec![column("id", integer), column("memo", ColumnKind::Text)],
            rows: (1..=rows).map(|id| vec![OwnedCell::Int(id * 3), memo().as_str().into()]).collect(),
            rows_a_run: usize::MAX,
            read_after: Mutex::default(),
        }
    }

    fn read_after(&self) -> Vec<i64> {
        self.read_after.lock().unwrap().clone()
    }
}

impl RowSource for Table {
    async fn read<S: RowSink>(&self, query: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let after = query.sql.iter().find_map(|piece| match piece {
            SqlPiece::Value(Value::Integer(key)) => Some(*key),
            _ => None,
        });
        let after = after.unwrap();
        self.read_after.lock().unwrap().push(after);
        sink.accept(&self.columns)?;
        let wanted = sink.start(&self.columns, ScriptedSource::AS_OF)?;
        let is_after = |row: &&Vec<OwnedCell>| !matches!(row[0], OwnedCell::Int(id) if id <= after);
        let mut rows = 0;
        for row in self.rows.iter().filter(is_after) {
            if rows == self.rows_a_run {
                return Err(SourceError::TimedOut);
            }
            rows += 1;
            wanted.cells.iter().for_each(|index| sink.cell(row[*index].as_cell()));
            sink.key(row[wanted.key.unwrap()].as_cell())?;
            if sink.end_row()? == SinkState::Full {
                sink.flush().await?;
            }
        }
        Ok(EndOfResult { rows: rows as u64, as_of: ScriptedSource::AS_OF })
    }
}

fn column(name: &str, kind: ColumnKind) -> Column {
    Column { name: name.to_owned(), kind }
}

/// A run of an attempt, as a worker makes it.
async fn run(
    definition: &str,
    store: &MemoryStore,
    source: &Table,
    attempt: u32,
    from: Option<Checkpoint>,
) -> Result<Exported, Broken> {
    let catalog = catalog(definition);
    let request = accept(&catalog, r#"{"export":"orders"}"#).unwrap();
    let token = WriteToken { job: job_id(), attempt };
    let order = Order::new(&request, KEY.to_owned(), token, Instant::now() + Duration::from_secs(60));
    // What a ledger would have kept.
    let from = from.map(|from| serde_json::from_str(&serde_json::to_string(&from).unwrap()).unwrap());
    export(source, store, &RecordingProgress::new(), &order.go_on(from), &request).await
}

/// Runs until it is done, and the number of runs.
async fn in_runs(definition: &str, store: &MemoryStore, source: &Table) -> (Receipt, u32) {
    let mut from = None;
    for attempt in 1..100 {
        match run(definition, store, source, attempt, from).await.unwrap() {
            Exported::Complete(receipt) => return (*receipt, attempt),
            Exported::Paused(checkpoint) => from = Some(*checkpoint),
        }
    }
    panic!("it does not come to its end")
}

#[tokio::test]
async fn many_runs_write_what_one_run_would_have_written() {
    for output in [
        "format = \"csv\"",
        "format = \"csv\"\ncompression = \"gzip\"",
        "format = \"csv\"\ncompression = \"zstd\"",
        "format = \"jsonl\"",
        "profile = \"excel\"",
    ] {
        let definition = resumable(output);
        // Rows of 5 MB make parts of two; compressed, of two or three.
        let mut table = Table::new(11, 5 << 20);
        let whole = MemoryStore::new();
        let (expected, runs) = in_runs(&definition, &whole, &table).await;
        assert_eq!((runs, expected.continued), (1, false));
        table.rows_a_run = 4;
        let store = MemoryStore::new();
        let (receipt, runs) = in_runs(&definition, &store, &table).await;
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
async fn a_run_goes_on_wherever_the_one_before_was_cut_off() {
    let definition = resumable("");
    let mut table = Table::new(9, 5 << 20);
    let whole = MemoryStore::new();
    in_runs(&definition, &whole, &table).await;
    for rows in 3..10 {
        table.rows_a_run = rows;
        let store = MemoryStore::new();
        in_runs(&definition, &store, &table).await;
        assert!(store.get(KEY) == whole.get(KEY), "{rows} rows a run");
    }
}

#[tokio::test]
async fn a_sheet_that_is_full_is_not_begun_again() {
    let definition = resumable("profile = \"excel\"");
    let mut table = Table::new(0, 0);
    let memo = "x".repeat(20);
    table.rows = (1..=1_200_000).map(|id| vec![OwnedCell::Int(id), memo.as_str().into()]).collect();
    let whole = MemoryStore::new();
    let (expected, _) = in_runs(&definition, &whole, &table).await;
    table.rows_a_run = 600_000;
    let store = MemoryStore::new();
    let (receipt, runs) = in_runs(&definition, &store, &table).await;
    assert!(runs == 3 && receipt.files.len() == 2, "{runs} runs");
    assert_eq!(receipt.files, expected.files);
    for file in &receipt.files {
        let key = file.address.strip_prefix("memory://").unwrap();
        assert!(store.get(key) == whole.get(key), "{key}");
    }
    assert_eq!(store.keys().len(), 3, "two files and a receipt");
}

#[tokio::test]
async fn an_attempt_that_fails_leaves_what_the_next_goes_on_with() {
    let definition = resumable("");
    let table = Table::new(10, 5 << 20);
    let whole = MemoryStore::new();
    in_runs(&definition, &whole, &table).await;
    let store = MemoryStore::new();
    let fails = store.failing(StoreFault::Part(4));
    let Err(Broken { error, checkpoint }) = run(&definition, &fails, &table, 1, None).await else {
        panic!("a part was lost")
    };
    assert!(matches!(
        error,
        ExportError::Source(SourceError::Sink(SinkError::Store(_))) | ExportError::Store(_)
    ));
    let checkpoint = *checkpoint.unwrap();
    assert_eq!((checkpoint.parts.len(), checkpoint.rows), (3, 6));
    assert_eq!(checkpoint.key, Key::Integer(18));
    let Exported::Complete(receipt) = run(&definition, &store, &table, 2, Some(checkpoint)).await.unwrap()
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

/// It may be gone, aborted by a lifecycle rule say, or somebody may have written to it.
#[tokio::test]
async fn an_upload_that_is_not_as_it_was_is_begun_again() {
    let definition = resumable("");
    let mut table = Table::new(10, 5 << 20);
    table.rows_a_run = 5;
    let store = MemoryStore::new();
    let paused = |exported: Exported| match exported {
        Exported::Paused(checkpoint) => *checkpoint,
        Exported::Complete(_) => panic!("its time was up"),
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
            Exported::Complete(receipt) if !receipt.continued && receipt.rows == 10
        ));
        assert_eq!((store.open_uploads(), store.orphaned_parts()), (0, 0));
        let object = NewObject::known_by(KEY, WriteToken { job: job_id(), attempt });
        assert!(clear_up(&store, &object, None).await);
    }
}

#[tokio::test]
async fn columns_that_are_not_the_same_any_more_are_refused() {
    let definition = resumable("");
    let mut table = Table::new(10, 5 << 20);
    table.rows_a_run = 5;
    let store = MemoryStore::new();
    let Exported::Paused(checkpoint) = run(&definition, &store, &table, 1, None).await.unwrap() else {
        panic!()
    };
    table.columns[1].name = "note".to_owned();
    let Broken { error, checkpoint } =
        run(&definition, &store, &table, 2, Some(*checkpoint)).await.unwrap_err();
    assert!(
        matches!(error, ExportError::Source(SourceError::Sink(SinkError::ColumnsChanged { .. }))),
        "{error:?}"
    );
    let object = NewObject::known_by(KEY, WriteToken { job: job_id(), attempt: 2 });
    assert!(clear_up(&store, &object, checkpoint.as_deref()).await);
    assert_eq!((store.open_uploads(), store.orphaned_parts()), (0, 0));
}

#[tokio::test]
async fn a_key_that_does_not_ascend_fails_and_says_which_row() {
    for (place, key, reason) in [
        (7, OwnedCell::Int(3), KeyError::NotAscending),
        (7, OwnedCell::Int(21), KeyError::NotAscending),
        (2, OwnedCell::Null, KeyError::Null),
    ] {
        let mut table = Table::new(10, 10);
        table.rows[place][0] = key;
        let store = MemoryStore::new();
        let Broken { error, checkpoint } = run(&resumable(""), &store, &table, 1, None).await.unwrap_err();
        let ExportError::Source(SourceError::Sink(SinkError::Key { row, column, reason: actual })) = error
        else {
            panic!("{error:?}")
        };
        assert_eq!((row, column.as_str(), actual), (place as u64 + 1, "ID", reason));
        assert_eq!((checkpoint, store.keys()), (None, Vec::new()));
    }
}

#[tokio::test]
async fn a_resume_column_must_be_there() {
    let mut table = Table::new(1, 1);
    table.columns[0].name = "number".to_owned();
    let Broken { error, .. } = run(&resumable(""), &MemoryStore::new(), &table, 1, None).await.unwrap_err();
    insta::assert_snapshot!(downpipe_core::failure::chain(&error), @r#"resume.column: expected a column of the query, got "ID""#);
}

/// The person who asked is told what would have helped.
#[tokio::test]
async fn a_run_that_no_other_can_follow_says_why() {
    let plain = "title = \"Orders\"\nsql = \"SELECT id, memo FROM orders WHERE id > :from\"\nparams = { from = { type = \"integer\", default = 0 } }\n";
    for (definition, rows, reason) in [
        (plain.to_owned(), 5, NotContinuable::NoResume),
        (resumable("format = \"xlsx\""), 1, NotContinuable::Format),
        (resumable("compression = \"zip\""), 5, NotContinuable::Format),
        (resumable(""), 1, NotContinuable::NoProgress),
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
        let token = WriteToken { job: job_id(), attempt: 1 };
        let order = Order::new(&request, KEY.to_owned(), token, Instant::now() + Duration::from_secs(60));
        let broken = export(&source, &store, &RecordingProgress::new(), &order, &request).await.unwrap_err();
        assert!(
            matches!(broken.error, ExportError::RunEnded(actual) if actual == reason),
            "{:?}",
            broken.error
        );
        assert_eq!((broken.checkpoint, store.keys(), store.open_uploads()), (None, Vec::new(), 0));
    }
}

/// One slow run must not end what many have written.
#[tokio::test]
async fn a_run_without_progress_is_tried_again_when_others_had_some() {
    let mut table = Table::new(10, 5 << 20);
    table.rows_a_run = 5;
    let store = MemoryStore::new();
    let Exported::Paused(first) = run(&resumable(""), &store, &table, 1, None).await.unwrap() else {
        panic!()
    };
    table.rows_a_run = 1;
    let Broken { error, checkpoint } =
        run(&resumable(""), &store, &table, 2, Some(*first.clone())).await.unwrap_err();
    assert!(matches!(error, ExportError::RunEnded(NotContinuable::Stalled)), "{error:?}");
    assert_eq!(downpipe_core::failure::of_export(&error).0, Next::Retry);
    let left = checkpoint.unwrap();
    assert_eq!(
        (left.rows, &left.parts),
        (first.rows, &first.parts),
        "what was written is there to be gone on with"
    );
}

/// It stood still between taking the job and looking at what was left, and somebody else has had the job since.
#[tokio::test]
async fn who_was_taken_for_dead_removes_nothing() {
    let mut table = Table::new(10, 5 << 20);
    table.rows_a_run = 5;
    let store = MemoryStore::new();
    let Exported::Paused(left) = run(&resumable(""), &store, &table, 1, None).await.unwrap() else {
        panic!()
    };
    let mut unusable = *left;
    unusable.definition_sha256 = "another".to_owned();
    let catalog = catalog(&resumable(""));
    let request = accept(&catalog, r#"{"export":"orders"}"#).unwrap();
    let token = WriteToken { job: job_id(), attempt: 2 };
    let order = Order::new(&request, KEY.to_owned(), token, Instant::now() + Duration::from_secs(60));
    let progress = RecordingProgress::losing_lease(job_id(), 2, 0);
    let exported = export(&table, &store, &progress, &order.go_on(Some(unusable)), &request).await;
    let Err(Broken { error: ExportError::Source(SourceError::Sink(SinkError::Ledger(_))), .. }) = exported
    else {
        panic!("{exported:?}")
    };
    assert_eq!(store.open_uploads(), 1, "its successor may be going on with it");
    assert_eq!(table.read_after().len(), 1, "and it reads nothing");
}

/// The same rows for a definition that names no key.
struct Unkeyed(Table);

impl RowSource for Unkeyed {
    async fn read<S: RowSink>(&self, _: &Query, sink: &mut S) -> Result<EndOfResult, SourceError> {
        let wanted = sink.start(&self.0.columns, ScriptedSource::AS_OF)?;
        for row in &self.0.rows[..self.0.rows_a_run] {
            wanted.cells.iter().for_each(|index| sink.cell(row[*index].as_cell()));
            if let Some(key) = wanted.key {
                sink.key(row[key].as_cell())?;
            }
            if sink.end_row()? == SinkState::Full {
                sink.flush().await?;
            }
        }
        Err(SourceError::TimedOut)
    }
}

/// Texts of a collation that only the server knows: nobody can go on after one.
#[tokio::test]
async fn a_key_that_nobody_can_go_on_after_does_no_harm_to_what_fits_into_one_run() {
    let mut table = Table::new(4, 5 << 20);
    for (row, key) in table.rows.iter_mut().zip(["a", "ä", "b_", "ö"]) {
        row[0] = key.into();
    }
    let store = MemoryStore::new();
    let exported = run(&resumable(""), &store, &table, 1, None).await.unwrap();
    assert!(matches!(exported, Exported::Complete(receipt) if receipt.rows == 4));
    table.rows_a_run = 4;
    table.rows.push(table.rows[3].clone());
    table.rows[4][0] = "ü".into();
    let broken = run(&resumable(""), &MemoryStore::new(), &table, 1, None).await.unwrap_err();
    assert!(matches!(broken.error, ExportError::RunEnded(NotContinuable::Key)), "{:?}", broken.error);
}
