//! The way of the data: rows from a [source](crate::source) become a file in a [store](crate::store), complete and proven,
//! or an error and nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use downpipe_format::{Format, LOAD_DATA_SESSION, Layout, Style};
use jiff::tz::TimeZone;
use tokio::time::{Instant, timeout, timeout_at};

use crate::definition::Limits;
use crate::failure::chain;
use crate::file_writer::{FileWriter, Written, WrittenFile};
use crate::job::JobId;
use crate::ledger::LedgerError;
use crate::object_writer::StoredObject;
use crate::params::Value;
use crate::receipt::{FileReceipt, Receipt, changes_to_json};
use crate::request::ExportRequest;
use crate::source::{EndOfResult, Query, RowSource, SinkError, SourceError, Stop};
use crate::store::{NewObject, ObjectStore, StoreError, WriteToken};

/// What a file may take to be completed when its query has used all of its time.
const TO_COMPLETE: Duration = Duration::from_secs(15);

/// What it takes besides when the file is a spreadsheet: a workbook is put together and sent when its last row is there, and files
/// that are several get their names by copies within the store.
const TO_FINISH_SHEETS: Duration = Duration::from_secs(60);

/// What clearing up may take.
const TO_CLEAR_UP: Duration = Duration::from_secs(10);

/// Everything an export needs to know.
#[derive(Debug, Clone)]
pub struct Order {
    /// What to ask the database.
    pub query: Query,
    /// Where the file goes.
    pub object: NewObject,
    /// What it is like.
    pub style: Style,
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
        let left = deadline.saturating_duration_since(Instant::now());
        let to_finish =
            request.style.rows_per_file().map_or(Duration::ZERO, |_| TO_FINISH_SHEETS.min(left / 4));
        let last_row = deadline - to_finish;
        // A limit beyond the end of time is none.
        let capped = definition
            .limits
            .seconds
            .and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
        Self {
            query: Query {
                sql: request.sql(),
                deadline: capped.map_or(last_row, |capped| capped.min(last_row)),
                stop: Stop::never(),
            },
            object: NewObject {
                key,
                file_name: request.file_name(),
                content_type: request.style.content_type(),
                token,
                retention: definition.output.retention,
                metadata: metadata(request),
            },
            style: request.style.clone(),
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
    let end = match source.read(&order.query, &mut file).await.and_then(|end| verify(end, file.rows())) {
        Ok(end) => end,
        Err(error) => {
            let several = file.has_several();
            give_up(store, order, file, several).await;
            return Err(error.into());
        }
    };
    let written = match in_time(order, file.complete(&end)).await {
        Ok(written) => written,
        Err(error) => {
            // It failed in being completed, and may be complete all the same: an answer can be lost.
            give_up(store, order, file, true).await;
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

/// Removes what attempts at a job have left whose workers died.
pub async fn clear_after_crash<S: ObjectStore>(store: &S, order: &Order) {
    clear_up("what a crashed attempt left", store.clear(&order.object)).await;
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

/// Leaves nothing of the files behind: not the object that was being written, and no other that may be complete.
async fn give_up<S: ObjectStore, P: Progress>(
    store: &S,
    order: &Order,
    file: FileWriter<'_, S, P>,
    any_complete: bool,
) {
    let clearing = async {
        let abandoned = file.abandon().await;
        let cleared = if any_complete { store.clear(&order.object).await } else { Ok(()) };
        abandoned.and(cleared)
    };
    clear_up("what was written", clearing).await;
}

async fn clear_up(what: &str, clearing: impl Future<Output = Result<(), StoreError>>) {
    match timeout(TO_CLEAR_UP, clearing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(error = chain(&error), "{what} could not be removed"),
        Err(_) => tracing::error!("{what} could not be removed in time"),
    }
}

/// The database's count must be ours. Too few rows would be a short file, too many somebody else's rows.
fn verify(end: EndOfResult, written: u64) -> Result<EndOfResult, SourceError> {
    if end.rows == written {
        Ok(end)
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
    let NewObject { token, retention, .. } = &order.object;
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
        format: order.style.format().as_str().to_owned(),
        profile: order.style.profile().name.to_string(),
        compression: order.style.compression().as_str().to_owned(),
        encoding: is_text(&order.style).then(|| order.style.profile().charset.name().to_owned()),
        time_zone: time_zone(&order.style),
        columns: written.columns,
        rows: written.rows,
        bytes: written.files.iter().map(|file| file.stored.total.bytes).sum(),
        files: written.files.into_iter().map(|file| file_receipt(store, file)).collect(),
        changes: changes_to_json(&written.changes),
        load_session: written.load_data.as_ref().map(|_| LOAD_DATA_SESSION.to_owned()),
        load_data: written.load_data,
        continued: false,
    }
}

fn file_receipt<S: ObjectStore>(store: &S, file: WrittenFile) -> FileReceipt {
    let WrittenFile { stored: StoredObject { object, total, sha256 }, rows } = file;
    FileReceipt {
        address: store.address(&object.key),
        file_name: object.file_name,
        rows,
        bytes: total.bytes,
        sha256,
        crc64nvme: total.crc64nvme_base64(),
    }
}

/// The receipt in short: what is known when an object is begun. S3 takes metadata only then, so a file that came in parts says
/// nothing of its rows.
fn metadata(request: &ExportRequest<'_>) -> BTreeMap<&'static str, String> {
    let ExportRequest { definition, style, .. } = request;
    BTreeMap::from([
        ("downpipe-export", definition.name.clone()),
        ("downpipe-definition-sha256", definition.sha256.clone()),
        ("downpipe-format", style.format().as_str().to_owned()),
        ("downpipe-profile", style.profile().name.to_string()),
    ])
}

/// Whether the profile's encoding is the file's.
fn is_text(style: &Style) -> bool {
    matches!(style.format(), Format::Csv | Format::Tsv)
}

/// The clock that instants are shown on.
fn time_zone(style: &Style) -> String {
    let zone = style.profile().time_zone.as_ref().filter(|_| style.shows_local_time());
    zone.and_then(TimeZone::iana_name).unwrap_or("UTC").to_owned()
}

/// A receipt is read by people; nanoseconds tell them nothing.
fn whole_milliseconds(at: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
