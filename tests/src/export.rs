//! An export through the whole pipeline, from the server to files in a folder.

use std::path::PathBuf;
use std::time::Duration;

use downpipe_core::job::JobId;
use downpipe_core::pipeline::{self, ExportError, Order};
use downpipe_core::receipt::Receipt;
use downpipe_core::request::ExportRequest;
use downpipe_core::store::WriteToken;
use downpipe_core::testing::{MemoryStore, RecordingProgress};
use downpipe_mysql::MySqlSource;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::database::TestDatabase;
use crate::rows::{catalog, message};

/// What an export has left.
#[derive(Debug)]
pub struct Exported {
    /// Its receipt.
    pub receipt: Receipt,
    /// Its files, in order.
    pub files: Vec<PathBuf>,
    /// Where they are; gone with this.
    pub folder: TempDir,
}

impl Exported {
    /// The file, when there is one.
    pub fn file(&self) -> &PathBuf {
        assert_eq!(self.files.len(), 1);
        &self.files[0]
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.file()).unwrap()
    }
}

/// Exports a query as `[output]` says, with what else the definition has: `profile = "excel"\n[columns.a]\nhide = true`.
pub async fn export(database: &TestDatabase, sql: &str, output: &str) -> Exported {
    try_export(database, sql, output).await.unwrap()
}

/// As [`export`].
///
/// # Errors
/// When the export fails.
pub async fn try_export(database: &TestDatabase, sql: &str, output: &str) -> Result<Exported, ExportError> {
    let catalog = catalog(&format!("title = \"Test\"\nsql = '''{sql}'''\n[output]\n{output}"));
    let message = message("test");
    let request = ExportRequest::accept(&message, &catalog).unwrap();
    let token = WriteToken { job: JobId::of_request(&message, "1"), attempt: 1 };
    let deadline = Instant::now() + Duration::from_secs(300);
    let order = Order::new(&request, format!("test/{}", request.file_name()), token, deadline);
    let (source, store) = (MySqlSource::new(database.database()), MemoryStore::new());
    let exported = pipeline::export(&source, &store, &RecordingProgress::new(), &order, &request).await;
    let receipt = exported.map_err(|broken| broken.error)?.into_receipt().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &downpipe_core::receipt::FileReceipt| {
        let path = folder.path().join(&file.file_name);
        let key = file.address.strip_prefix("memory://").unwrap();
        std::fs::write(&path, store.get(key).unwrap()).unwrap();
        path
    };
    Ok(Exported { files: receipt.files.iter().map(write).collect(), receipt, folder })
}
