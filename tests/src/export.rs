//! Runs exports through the whole pipeline, from a server to files in a folder.

use std::path::PathBuf;
use std::time::Duration;

use downpipe_core::export as pipeline;
use downpipe_core::export::{ExportError, ExportPlan};
use downpipe_core::job::{JobAttempt, JobId, Receipt};
use downpipe_core::message::{ExportMessage, RawParam};
use downpipe_core::request::ExportRequest;
use downpipe_core::source::CancellationToken;
use downpipe_core::testing::{MemoryStore, RecordingProgress};
use downpipe_mysql::MySqlSource;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::database::TestDatabase;
use crate::rows::{catalog, message};

/// The result of an export.
#[derive(Debug)]
pub struct ExportOutcome {
    /// The receipt.
    pub receipt: Receipt,
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// The folder with the files, which is deleted when this is dropped.
    pub folder: TempDir,
}

impl ExportOutcome {
    /// Returns the only file.
    pub fn file(&self) -> &PathBuf {
        assert_eq!(self.files.len(), 1);
        &self.files[0]
    }

    /// Reads the only file.
    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.file()).unwrap()
    }
}

/// Exports a query with this `[output]` section, and with sections after it: `profile =
/// "excel"\n[columns.a]\nhide = true`.
pub async fn export(database: &TestDatabase, sql: &str, output: &str) -> ExportOutcome {
    try_export(database, sql, output).await.unwrap()
}

/// Exports a query like [`export`], and returns its error.
///
/// Returns the export's error.
pub async fn try_export(
    database: &TestDatabase,
    sql: &str,
    output: &str,
) -> Result<ExportOutcome, ExportError> {
    let definition = format!("title = \"Test\"\nsql = '''{sql}'''\n[output]\n{output}");
    try_export_with(database, &definition, &[]).await
}

/// Exports a definition with these parameters.
///
/// Returns the export's error.
pub async fn try_export_with(
    database: &TestDatabase,
    definition: &str,
    params: &[(&str, &str)],
) -> Result<ExportOutcome, ExportError> {
    let text = |(name, value): &(&str, &str)| ((*name).to_owned(), RawParam::Text((*value).to_owned()));
    let message = ExportMessage { params: params.iter().map(text).collect(), ..message("test") };
    try_export_of(database, definition, &message).await
}

/// Exports what a message requests of a definition named `test`.
///
/// Returns the export's error.
pub async fn try_export_of(
    database: &TestDatabase,
    definition: &str,
    message: &ExportMessage,
) -> Result<ExportOutcome, ExportError> {
    let catalog = catalog(definition);
    let request = ExportRequest::accept(message, &catalog).unwrap();
    let token = JobAttempt { job: JobId::of_request(message, "1"), attempt: 1 };
    let deadline = Instant::now() + Duration::from_secs(300);
    let key = format!("test/{}", request.file_name());
    let plan = ExportPlan::new(&request, key, token, deadline, CancellationToken::new());
    let (source, store) = (MySqlSource::new(database.database()), MemoryStore::new());
    let exported = pipeline::export(&source, &store, &RecordingProgress::new(), &plan).await;
    let receipt = exported.map_err(|broken| broken.error)?.into_receipt().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &downpipe_core::job::FileReceipt| {
        let path = folder.path().join(&file.file_name);
        let key = file.address.strip_prefix("memory://").unwrap();
        std::fs::write(&path, store.get(key).unwrap()).unwrap();
        path
    };
    Ok(ExportOutcome { files: receipt.files.iter().map(write).collect(), receipt, folder })
}
