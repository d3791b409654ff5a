//! The way of the data: rows from a [source](crate::source) become a file in a [store](crate::store), complete and proven,
//! or an error and nothing.

use std::time::Duration;

use tokio::time::{timeout, timeout_at};

use crate::checkpoint::Checkpoint;
use crate::failure::chain;
use crate::file_writer::FileWriter;
use crate::ledger::LedgerError;
pub use crate::order::Order;
use crate::pace::Paced;
use crate::proof;
use crate::receipt::Receipt;
use crate::request::ExportRequest;
use crate::source::{EndOfResult, Query, RowSink, RowSource, SinkError, SourceError};
use crate::store::{NewObject, ObjectStore, StoreError};

/// What clearing up may take.
const TO_CLEAR_UP: Duration = Duration::from_secs(10);

/// Hears how far an export is: once for every part, before the file is completed, and before its receipt is written.
pub trait Progress: Send + Sync {
    /// So many rows and bytes are written.
    ///
    /// # Errors
    /// When the export must stop because the job is somebody else's now.
    fn advanced(&self, rows: u64, bytes: u64) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Makes sure that the job is still this worker's, before something is removed or completed that would be its successor's if it
    /// were not. A worker may have stood still for any time since it last knew.
    ///
    /// # Errors
    /// When the job is somebody else's now, or nobody can say.
    fn confirmed(&self) -> impl Future<Output = Result<(), LedgerError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Whether the last checkpoint is old enough for another: they cost a little.
    fn wants_checkpoint(&self) -> bool {
        false
    }

    /// Another run could go on from here.
    fn reached(&self, _: Checkpoint) {}
}

/// How an export ended well.
#[derive(Debug, Clone, PartialEq)]
pub enum Exported {
    /// With a file and its receipt.
    Complete(Box<Receipt>),
    /// With the end of its run. The file is to be gone on with.
    Paused(Box<Checkpoint>),
}

impl Exported {
    /// The receipt, if there is a file.
    #[must_use]
    pub fn into_receipt(self) -> Option<Receipt> {
        match self {
            Self::Complete(receipt) => Some(*receipt),
            Self::Paused(_) => None,
        }
    }
}

/// An export that did not end well.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Broken {
    /// What happened.
    #[source]
    pub error: ExportError,
    /// What is in the store, for the next attempt to go on with, or to be [cleared](clear_up) away when there is none. Without it,
    /// nothing was left there.
    pub checkpoint: Option<Box<Checkpoint>>,
}

/// Why a run that ends cannot be followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotContinuable {
    /// The definition does not say how.
    #[error("the definition has no [resume]")]
    NoResume,
    /// The file's end needs all of it.
    #[error("a file of this format can only be written in one run")]
    Format,
    /// Nobody can go on after such a key.
    #[error("the resume column is neither a whole number, a decimal, a date, bytes nor a plain text")]
    Key,
    /// Not one part was written.
    #[error("the run did not get as far as the end of a part of the file")]
    NoProgress,
    /// Earlier runs have written parts, and this one none. The next may do better.
    #[error("the run wrote no part of the file, as runs before had")]
    Stalled,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run's time was up, and there can be no other.
    #[error("the run's time was up: {0}")]
    RunEnded(NotContinuable),
    /// The rows could not be read to their end, or not be taken.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file could not be completed.
    #[error("the file could not be stored")]
    Store(#[from] StoreError),
}

impl From<SinkError> for ExportError {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Store(error) => Self::Store(error),
            error => Self::Source(error.into()),
        }
    }
}

/// Runs an export from the first row to the receipt, or from a checkpoint to the next.
///
/// # Errors
/// When there is no complete file with a receipt. Unless there is a checkpoint in the error, there is then no object at the key
/// and no part in the store. Were clearing up to fail too, that is logged, and the error that came first is returned; the next
/// attempt clears what was left.
pub async fn export<R: RowSource, S: ObjectStore, P: Progress>(
    source: &R,
    store: &S,
    progress: &P,
    order: &Order,
    request: &ExportRequest<'_>,
) -> Result<Exported, Broken> {
    let begun = Box::pin(begin(store, progress, order)).await;
    let mut file = match begun.map_err(ExportError::from)? {
        Begun::File(file) => file,
        Begun::Done(receipt) => return Ok(Exported::Complete(receipt)),
    };
    let after = file.resumed_after();
    let query = Query { sql: request.sql(after), ..order.query.clone() };
    let rows_before = file.rows_before();
    // Boxed, as is what comes after: one future that holds all of them would be too deep for a thread's stack in a debug build.
    let end = Box::pin(read(source, &query, &mut file)).await;
    let end = match end.and_then(|end| verify(end, file.rows() - rows_before)) {
        Ok(end) => end,
        Err(error) => return stop(store, order, file, error).await,
    };
    let end = EndOfResult { as_of: file.as_of().unwrap_or(end.as_of), ..end };
    let written = match in_time(order, Box::pin(file.complete(&end))).await {
        Ok(written) => written,
        Err(error) => {
            // It failed in being completed, and may be complete all the same: an answer can be lost.
            return Err(give_up(store, order, file, error, true).await);
        }
    };
    let continued = rows_before > 0;
    let receipt = Receipt { continued, ..proof::receipt(store, order, request, &end, written) };
    let recorded = async {
        // Whoever has lost the job must not put their receipt beside somebody else's file.
        progress.advanced(receipt.rows, receipt.bytes).await?;
        Ok(store.put_receipt(&order.object, receipt.to_json().into()).await?)
    };
    if let Err(error) = in_time(order, recorded).await {
        if order.alone {
            return Err(give_up(store, order, file, error, true).await);
        }
        // The receipt may be there, and with it all that another attempt needs to take the file for finished. It is no longer
        // ours to remove: the next attempt looks at it, or whoever records that there will be none.
        return Err(Broken { error, checkpoint: file.pause().await.map(Box::new) });
    }
    Ok(Exported::Complete(Box::new(receipt)))
}

/// Reads the query into a sink, no faster than it may be read.
async fn read<R: RowSource, S: RowSink>(
    source: &R,
    query: &Query,
    sink: &mut S,
) -> Result<EndOfResult, SourceError> {
    match Paced::new(sink, query) {
        Some(mut paced) => source.read(query, &mut paced).await,
        None => source.read(query, sink).await,
    }
}

/// What there is to begin with.
#[expect(clippy::large_enum_variant, reason = "there is one for an export")]
enum Begun<'a, S: ObjectStore, P: Progress> {
    /// A file, to be written or to be gone on with.
    File(FileWriter<'a, S, P>),
    /// The receipt of an earlier attempt that did everything, and died before it could say so.
    Done(Box<Receipt>),
}

/// Looks at what earlier attempts have left: it is gone on with if that is possible, else it is cleared away.
async fn begin<'a, S: ObjectStore, P: Progress>(
    store: &'a S,
    progress: &'a P,
    order: &'a Order,
) -> Result<Begun<'a, S, P>, SinkError> {
    if order.object.token.attempt > 1 {
        if let Some(receipt) = store.find_receipt(&order.object).await? {
            tracing::info!("an earlier attempt had finished the file");
            return Ok(Begun::Done(Box::new(receipt)));
        }
        let fits =
            |from: &&Checkpoint| order.continuable && from.definition_sha256 == order.definition_sha256;
        if let Some(from) = order.from.as_ref().filter(fits)
            && let Some(file) = FileWriter::go_on(store, progress, order, from).await?
        {
            tracing::info!(rows = from.rows, "the file is gone on with");
            return Ok(Begun::File(file));
        }
        progress.confirmed().await?;
        if let Some(from) = &order.from {
            tracing::warn!(rows = from.rows, "the file cannot be gone on with, and is begun again");
            discard(store, from).await?;
        }
        store.clear(&order.object).await?;
        in_good_time("an upload that was never ended", store.clear_uploads(&order.object)).await;
    }
    Ok(Begun::File(FileWriter::new(store, progress, order)))
}

/// Reading has stopped before its end.
async fn stop<S: ObjectStore, P: Progress>(
    store: &S,
    order: &Order,
    mut file: FileWriter<'_, S, P>,
    error: SourceError,
) -> Result<Exported, Broken> {
    // What an earlier attempt had asked for when it broke off may have been done since it was cleared up after.
    let several = file.has_several() || order.object.token.attempt > 1;
    let is_end_of_run = matches!(error, SourceError::TimedOut) && !order.is_limited;
    let error = order.query.waits.explain(error);
    if !is_end_of_run {
        return Err(give_up(store, order, file, error.into(), several).await);
    }
    let reason = if order.resume_column.is_none() {
        NotContinuable::NoResume
    } else if !order.continuable {
        NotContinuable::Format
    } else if file.has_unusable_key() {
        NotContinuable::Key
    } else {
        let rows_before = file.rows_before();
        match file.pause().await {
            Some(checkpoint) if checkpoint.rows > rows_before => {
                return Ok(Exported::Paused(Box::new(checkpoint)));
            }
            Some(_) if rows_before > 0 => NotContinuable::Stalled,
            _ => NotContinuable::NoProgress,
        }
    };
    let error = match (reason, error) {
        (NotContinuable::Stalled, _) | (_, SourceError::TimedOut) => ExportError::RunEnded(reason),
        (_, held_back) => held_back.into(),
    };
    Err(give_up(store, order, file, error, several).await)
}

/// Stops. What others could go on with stays: they may be at it already, if this worker was taken for dead. Anything else is
/// removed.
async fn give_up<S: ObjectStore, P: Progress>(
    store: &S,
    order: &Order,
    mut file: FileWriter<'_, S, P>,
    error: ExportError,
    any_complete: bool,
) -> Broken {
    if let Some(checkpoint) = file.pause().await {
        return Broken { error, checkpoint: Some(Box::new(checkpoint)) };
    }
    let clearing = async {
        let abandoned = file.abandon().await;
        let cleared = if any_complete { store.clear(&order.object).await } else { Ok(()) };
        abandoned.and(cleared)
    };
    in_good_time("what was written", clearing).await;
    Broken { error, checkpoint: None }
}

/// Removes what attempts at a job have left. Only for whoever has made sure in the ledger that nobody goes on with it.
pub async fn clear_up<S: ObjectStore>(
    store: &S,
    object: &NewObject,
    checkpoint: Option<&Checkpoint>,
) -> bool {
    let clearing = async {
        let discarded = match checkpoint {
            Some(from) => discard(store, from).await,
            None => Ok(()),
        };
        discarded.and(store.clear(object).await).and(store.clear_uploads(object).await)
    };
    in_good_time("what earlier attempts left", clearing).await
}

async fn discard<S: ObjectStore>(store: &S, from: &Checkpoint) -> Result<(), StoreError> {
    match &from.upload {
        Some(upload) => store.discard(&from.object_key, upload).await,
        None => Ok(()),
    }
}

impl From<ExportError> for Broken {
    fn from(error: ExportError) -> Self {
        Self { error, checkpoint: None }
    }
}

/// Runs the last steps, which have no deadline of their own.
async fn in_time<T>(
    order: &Order,
    step: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, ExportError> {
    match timeout_at(order.finish_by, step).await {
        Ok(result) => Ok(result?),
        // Nothing of a workbook is stored before its last row is there: it was simply too large for the time left.
        Err(_) if order.style.rows_per_file().is_some() => Err(SourceError::TimedOut.into()),
        Err(elapsed) => {
            let source = Box::new(elapsed);
            Err(StoreError::Unavailable { operation: "completing the file in time", source }.into())
        }
    }
}

async fn in_good_time(what: &str, clearing: impl Future<Output = Result<(), StoreError>>) -> bool {
    match timeout(TO_CLEAR_UP, clearing).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::error!(error = chain(&error), "{what} could not be removed"),
        Err(_) => tracing::error!("{what} could not be removed in time"),
    }
    false
}

/// The database's count must be ours. Too few rows would be a short file, too many somebody else's rows.
fn verify(end: EndOfResult, written: u64) -> Result<EndOfResult, SourceError> {
    if end.rows == written {
        Ok(end)
    } else {
        Err(SourceError::Short(format!("the database counted {} rows, {written} were written", end.rows)))
    }
}
