//! The way of the data: rows from a [source](crate::source) become a file in a [store](crate::store), complete and proven,
//! or an error and nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use downpipe_format::{Layout, Profile};
use tokio::time::{Instant, timeout, timeout_at};

use crate::definition::Limits;
use crate::failure::chain;
use crate::file_writer::{FileWriter, Written};
use crate::job::JobId;
use crate::ledger::LedgerError;
use crate::params::Value;
use crate::receipt::{Receipt, changes_to_json};
use crate::request::ExportRequest;
use crate::source::{EndOfResult, Query, RowSource, SinkError, SourceError, Stop};
use crate::store::{NewObject, ObjectStore, StoreError, WriteToken};

/// What a file may take to be completed when its query has used all of its time.
const TO_COMPLETE: Duration = Duration::from_secs(15);

/// What clearing up may take.
const TO_CLEAR_UP: Duration = Duration::from_secs(10);

/// Everything an export needs to know.
#[derive(Debug, Clone)]
pub struct Order {
    /// What to ask the database.
    pub query: Query,
    /// Where the file goes.
    pub object: NewObject,
    /// How CSV is written.
    pub profile: Profile,
    /// Labels and wishes for the columns.
    pub layout: Layout,
    /// Where to stop with an error.
    pub limits: Limits,
    /// When the file must be complete, a while after the query's deadline. Whoever runs the export may be gone soon after.
    pub finish_by: Instant,
}

/// Hears how far an export is: once for every part, before the file is completed, and before its receipt is written.
pub trait Progress: Send + Sync {
    /// So many rows and bytes are written.
    ///
    /// # Errors
    /// When the export must stop because the job is somebody else's now.
    fn advanced(&self, rows: u64, bytes: u64) -> impl Future<Output = Result<(), LedgerError>> + Send;
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
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

impl Order {
    /// An order for a request. The job's identity and attempt mark the object as ours.
    #[must_use]
    pub fn new(request: &ExportRequest<'_>, key: String, token: WriteToken, deadline: Instant) -> Self {
        let definition = request.definition;
        // A limit beyond the end of time is none.
        let capped = definition
            .limits
            .seconds
            .and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
        Self {
            query: Query {
                sql: request.sql(),
                deadline: capped.map_or(deadline, |capped| capped.min(deadline)),
                stop: Stop::never(),
            },
            object: NewObject {
                key,
                file_name: request.file_name(),
                content_type: request.format.content_type().to_owned(),
                token,
                retention: definition.output.retention,
                metadata: BTreeMap::new(),
            },
            profile: request.profile,
            layout: definition.layout.clone(),
            limits: definition.limits,
            finish_by: deadline + TO_COMPLETE,
        }
    }
}

/// Runs an export from the first row to the receipt.
///
/// # Errors
/// When there is no complete file with a receipt; then there is no object at the key and no part in the store. Were clearing
/// up to fail too, that is logged, and the error that came first is returned; the next attempt clears what was left.
pub async fn export<R: RowSource, S: ObjectStore, P: Progress>(
    source: &R,
    store: &S,
    progress: &P,
    order: &Order,
    request: &ExportRequest<'_>,
) -> Result<Receipt, ExportError> {
    if order.object.token.attempt > 1 {
        store.clear(&order.object).await?;
    }
    let mut file = FileWriter::new(store, progress, order);
    let written = async {
        let end = source.read(&order.query, &mut file).await?;
        verify(&end, file.rows())?;
        let written = in_time(order, file.complete()).await?;
        Ok((end, written))
    };
    let (end, written) = match written.await {
        Ok(written) => written,
        Err(error) => {
            clear_up("an upload", file.abandon()).await;
            if matches!(error, ExportError::Store(_)) {
                // It failed in being completed, and may be complete all the same: an answer can be lost.
                clear_up("a file that nobody may count on", store.clear(&order.object)).await;
            }
            return Err(error);
        }
    };
    let receipt = write_receipt(store, order, request, &end, written);
    let recorded = async {
        // Whoever has lost the job must not put their receipt beside somebody else's file.
        progress.advanced(receipt.rows, receipt.bytes).await?;
        Ok(store.put_receipt(&order.object, receipt.to_json().into()).await?)
    };
    if let Err(error) = in_time(order, recorded).await {
        clear_up("a file without its receipt", store.clear(&order.object)).await;
        return Err(error);
    }
    Ok(receipt)
}

/// Runs the last steps, which have no deadline of their own.
async fn in_time<T>(
    order: &Order,
    step: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, ExportError> {
    match timeout_at(order.finish_by, step).await {
        Ok(result) => Ok(result?),
        Err(elapsed) => {
            let source = Box::new(elapsed);
            Err(StoreError::Unavailable { operation: "completing the file in time", source }.into())
        }
    }
}

async fn clear_up(what: &str, clearing: impl Future<Output = Result<(), StoreError>>) {
    match timeout(TO_CLEAR_UP, clearing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(error = chain(&error), "{what} could not be removed"),
        Err(_) => tracing::error!("{what} could not be removed in time"),
    }
}

/// The database's count must be ours. Too few rows would be a short file, too many somebody else's rows.
fn verify(end: &EndOfResult, written: u64) -> Result<(), SourceError> {
    if end.rows == written {
        Ok(())
    } else {
        Err(SourceError::Short(format!("the database counted {} rows, {written} were written", end.rows)))
    }
}

fn write_receipt<S: ObjectStore>(
    store: &S,
    order: &Order,
    request: &ExportRequest<'_>,
    end: &EndOfResult,
    written: Written,
) -> Receipt {
    let definition = request.definition;
    let NewObject { key, file_name, token, retention, .. } = &order.object;
    let WriteToken { job, attempt } = token;
    let completed_at = whole_milliseconds(jiff::Timestamp::now());
    let params = request.params.iter().map(|(name, value)| (name.clone(), Value::to_json(value))).collect();
    Receipt {
        job_id: JobId::to_string(job),
        attempt: *attempt,
        export: definition.name.clone(),
        title: definition.title.clone(),
        definition_sha256: definition.sha256.clone(),
        params,
        requested_by: request.requested_by.clone(),
        as_of: end.as_of,
        completed_at,
        expires_at: completed_at + jiff::SignedDuration::from_hours(24 * i64::from(retention.days())),
        address: store.address(key),
        file_name: file_name.clone(),
        format: request.format.as_str().to_owned(),
        profile: request.profile.name.to_owned(),
        compression: request.compression.as_str().to_owned(),
        columns: written.columns,
        rows: written.rows,
        bytes: written.total.bytes,
        sha256: written.sha256,
        crc64nvme: written.total.crc64nvme_base64(),
        changes: changes_to_json(&written.changes),
        continued: false,
    }
}

/// A receipt is read by people; nanoseconds tell them nothing.
fn whole_milliseconds(at: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
