//! An export: from the first row to the receipt, or from one checkpoint to the next.
//!
//! [`export`] is the story. Below it, in the order of the data: the file writer takes rows, the compressor packs their bytes, the
//! object writer cuts these into parts, and the part uploader sends them.

mod background;
mod checkpoint_tracker;
mod cleanup;
mod compressor;
mod file_writer;
mod fit;
mod hasher;
mod key_order;
mod object_pipeline;
mod object_writer;
mod outcome;
mod output_files;
mod part_uploader;
mod plan;
mod progress;
mod rate_limit;
mod receipt;
#[cfg(test)]
mod test_plan;
mod value_fault;

pub use self::cleanup::cleanup_job;
pub use self::fit::{Fit, ResultColumn};
pub use self::outcome::{ExportError, ExportFailed, ExportOutcome, NotResumable};
pub use self::plan::ExportPlan;
pub use self::progress::Progress;

use tokio::time::timeout_at;

use self::cleanup::{abort_upload, best_effort};
use self::file_writer::FileWriter;
use self::rate_limit::ThrottledSink;
use crate::export::receipt as proof;
use crate::job::{Checkpoint, Receipt};
use crate::source::{EndOfResult, Query, RowSink, RowSource, SinkError, Snapshot, SourceError};
use crate::store::{ObjectStore, ResumableStore, StoreError};

/// Runs an export from the first row to the receipt, or from a checkpoint to the next.
///
/// # Errors
/// When there is no complete file with a receipt. Unless there is a checkpoint in the error, there is then no object at the key
/// and no part in the store. If removing them fails too, that is logged, and the error that came first is returned; the next
/// attempt removes what is left.
pub async fn export<R: RowSource, S: ResumableStore, P: Progress>(
    source: &R,
    store: &S,
    progress: &P,
    plan: &ExportPlan<'_>,
) -> Result<ExportOutcome, ExportFailed> {
    let start = Box::pin(begin(store, progress, plan)).await;
    let mut file = match start.map_err(ExportError::from)? {
        Start::File(file) => file,
        Start::Done(receipt) => return Ok(ExportOutcome::Completed(receipt)),
    };
    // Boxed, as are the steps of it: one future that holds all of them would be too deep for a thread's stack in a debug build.
    let receipt = match Box::pin(write(source, store, plan, &mut file)).await {
        Ok(receipt) => receipt,
        Err(error) => return Box::pin(handle_write_error(store, plan, file, error)).await,
    };
    let recorded = async {
        // A worker that has lost the job must not put its receipt beside the file of its successor.
        progress.on_progress(receipt.rows, receipt.bytes).await?;
        Ok(store.put_receipt(&plan.object, receipt.to_json().into()).await?)
    };
    if let Err(error) = with_finish_deadline(plan, recorded).await {
        if plan.is_single_attempt() {
            return Err(fail(store, plan, file, error, CompletedObjects::Possible).await);
        }
        // The receipt may be there, and with it all that the next attempt needs to take the file for finished. So this attempt no
        // longer removes it: the next one looks at it, or the worker that records the job's failure.
        return Err(ExportFailed { error, checkpoint: file.pause().await.map(Box::new) });
    }
    Ok(ExportOutcome::Completed(Box::new(receipt)))
}

/// Runs an export in one attempt, into a store that keeps no receipt beside a file.
///
/// # Errors
/// When there is no complete file. Then there is no object at the key and no part in the store, as far as the store can remove
/// them.
pub async fn export_once<R: RowSource, S: ObjectStore, P: Progress>(
    source: &R,
    store: &S,
    progress: &P,
    plan: ExportPlan<'_>,
) -> Result<Receipt, ExportError> {
    let plan = plan.without_resume();
    let mut file = FileWriter::new(store, progress, &plan);
    let error = match Box::pin(write(source, store, &plan, &mut file)).await {
        Ok(receipt) => return Ok(receipt),
        Err(error) => error,
    };
    match handle_write_error(store, &plan, file, error).await {
        Err(failed) => Err(failed.error),
        Ok(_) => unreachable!("an export without resume is never paused"),
    }
}

/// Why a file was not written.
enum WriteError {
    /// The rows were not read to their end.
    Read(SourceError),
    /// They were, and the file was not completed.
    Complete(ExportError),
}

/// Writes the file from where it is to its end, and returns its receipt.
async fn write<R: RowSource, S: ObjectStore, P: Progress>(
    source: &R,
    store: &S,
    plan: &ExportPlan<'_>,
    file: &mut FileWriter<'_, S, P>,
) -> Result<Receipt, WriteError> {
    let query = Query { sql: plan.request.sql(file.resumed_after()), ..plan.query.clone() };
    let rows_before = file.rows_before();
    let end = Box::pin(read(source, &query, file)).await;
    let end = end.map_err(|error| value_fault::name_parameter(error, plan.request));
    let end = end.and_then(|end| verify(end, file.rows() - rows_before)).map_err(WriteError::Read)?;
    let as_of = file.as_of().unwrap_or(end.snapshot.as_of);
    let end = EndOfResult { snapshot: Snapshot { as_of, ..end.snapshot }, ..end };
    let written = with_finish_deadline(plan, Box::pin(file.complete(&end))).await;
    let written = written.map_err(WriteError::Complete)?;
    Ok(Receipt { continued: rows_before > 0, ..proof::receipt(store, plan, &end, written) })
}

/// Reads the query into a sink, no faster than its throttle allows.
async fn read<R: RowSource, S: RowSink>(
    source: &R,
    query: &Query,
    sink: &mut S,
) -> Result<EndOfResult, SourceError> {
    match ThrottledSink::new(sink, query) {
        Some(mut throttled) => source.read(query, &mut throttled).await,
        None => source.read(query, sink).await,
    }
}

/// What there is to begin with.
#[expect(clippy::large_enum_variant, reason = "there is one for an export")]
enum Start<'a, S: ObjectStore, P: Progress> {
    /// A file, new or resumed.
    File(FileWriter<'a, S, P>),
    /// The receipt of an earlier attempt that finished the file, and whose worker died before it recorded that.
    Done(Box<Receipt>),
}

/// Resumes what earlier attempts have left if that is possible, else removes it.
async fn begin<'a, S: ResumableStore, P: Progress>(
    store: &'a S,
    progress: &'a P,
    plan: &'a ExportPlan<'a>,
) -> Result<Start<'a, S, P>, SinkError> {
    if plan.object.token.attempt > 1 {
        if let Some(receipt) = store.find_receipt(&plan.object).await? {
            tracing::info!("an earlier attempt had finished the file");
            return Ok(Start::Done(Box::new(receipt)));
        }
        if let Some(from) = plan.from.as_ref().filter(|from| fits(plan, from))
            && let Some(file) = FileWriter::resume(store, progress, plan, from).await?
        {
            tracing::info!(rows = from.rows, "the file is resumed");
            return Ok(Start::File(file));
        }
        progress.ensure_lease_held().await?;
        if let Some(from) = &plan.from {
            tracing::warn!(rows = from.rows, "the file cannot be resumed, and is started again");
            abort_upload(store, from).await?;
        }
        store.delete_job_objects(&plan.object).await?;
        best_effort("an upload that was never ended", store.abort_job_uploads(&plan.object)).await;
    }
    Ok(Start::File(FileWriter::new(store, progress, plan)))
}

/// Whether a checkpoint is of this version of the definition, and of a file that can be resumed.
fn fits(plan: &ExportPlan<'_>, from: &Checkpoint) -> bool {
    plan.is_resumable() && from.definition_sha256 == plan.definition().version()
}

/// Ends a run that has not written its file.
async fn handle_write_error<S: ObjectStore, P: Progress>(
    store: &S,
    plan: &ExportPlan<'_>,
    file: FileWriter<'_, S, P>,
    error: WriteError,
) -> Result<ExportOutcome, ExportFailed> {
    match error {
        WriteError::Read(error) => handle_read_error(store, plan, file, error).await,
        // The file may be complete all the same: an answer can be lost.
        WriteError::Complete(error) => Err(fail(store, plan, file, error, CompletedObjects::Possible).await),
    }
}

/// Ends a run that has stopped reading before the end: with a checkpoint if its time was up, else with the error.
async fn handle_read_error<S: ObjectStore, P: Progress>(
    store: &S,
    plan: &ExportPlan<'_>,
    mut file: FileWriter<'_, S, P>,
    error: SourceError,
) -> Result<ExportOutcome, ExportFailed> {
    // A request of an earlier attempt may take effect after this one has removed what that left.
    let completed = if file.has_several() || plan.object.token.attempt > 1 {
        CompletedObjects::Possible
    } else {
        CompletedObjects::None
    };
    let is_end_of_run = matches!(error, SourceError::TimedOut) && !plan.ends_at_limit();
    let error = plan.query.waits.explain(error);
    if !is_end_of_run {
        return Err(fail(store, plan, file, error.into(), completed).await);
    }
    let reason = match pause(plan, &mut file).await {
        Ok(checkpoint) => return Ok(ExportOutcome::Paused(Box::new(checkpoint))),
        Err(reason) => reason,
    };
    let error = match (reason, error) {
        (NotResumable::Stalled, _) | (_, SourceError::TimedOut) => ExportError::RunEnded(reason),
        (_, held_back) => held_back.into(),
    };
    Err(fail(store, plan, file, error, completed).await)
}

/// Returns the checkpoint from which the next run resumes, if this run has made progress.
async fn pause<S: ObjectStore, P: Progress>(
    plan: &ExportPlan<'_>,
    file: &mut FileWriter<'_, S, P>,
) -> Result<Checkpoint, NotResumable> {
    if plan.resume_column().is_none() {
        return Err(NotResumable::NoResume);
    }
    if !plan.is_resumable() {
        return Err(NotResumable::Format);
    }
    if file.has_unusable_key() {
        return Err(NotResumable::Key);
    }
    let rows_before = file.rows_before();
    match file.pause().await {
        Some(checkpoint) if checkpoint.rows > rows_before => Ok(checkpoint),
        Some(_) if rows_before > 0 => Err(NotResumable::Stalled),
        _ => Err(NotResumable::NoProgress),
    }
}

/// Whether objects of this job may be complete in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CompletedObjects {
    None,
    Possible,
}

/// Fails. What another attempt could resume stays: if this worker's lease has expired, its successor may be at it already.
/// Anything else is removed.
async fn fail<S: ObjectStore, P: Progress>(
    store: &S,
    plan: &ExportPlan<'_>,
    mut file: FileWriter<'_, S, P>,
    error: ExportError,
    completed: CompletedObjects,
) -> ExportFailed {
    if let Some(checkpoint) = file.pause().await {
        return ExportFailed { error, checkpoint: Some(Box::new(checkpoint)) };
    }
    let clearing = async {
        let aborted = file.abort().await;
        let deleted = match completed {
            CompletedObjects::Possible => store.delete_job_objects(&plan.object).await,
            CompletedObjects::None => Ok(()),
        };
        aborted.and(deleted)
    };
    best_effort("what was written", clearing).await;
    ExportFailed { error, checkpoint: None }
}

/// Runs the last steps, which have no deadline of their own.
async fn with_finish_deadline<T>(
    plan: &ExportPlan<'_>,
    step: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, ExportError> {
    match timeout_at(plan.finish_by, step).await {
        Ok(result) => Ok(result?),
        // Nothing of a workbook is stored before its last row is there: it was simply too large for the time left.
        Err(_) if plan.style().rows_per_file().is_some() => Err(SourceError::TimedOut.into()),
        Err(elapsed) => {
            let source = Box::new(elapsed);
            Err(StoreError::Unavailable { operation: "completing the file in time", source }.into())
        }
    }
}

/// Holds the database's count against ours. Too few rows would be a short file, too many the rows of another query.
fn verify(end: EndOfResult, written: u64) -> Result<EndOfResult, SourceError> {
    if end.rows == written {
        Ok(end)
    } else {
        Err(SourceError::Short(format!("the database counted {} rows, {written} were written", end.rows)))
    }
}
