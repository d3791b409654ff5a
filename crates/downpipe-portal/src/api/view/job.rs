//! A job as the API shows it.

use downpipe_core::cache::LiveProgress;
use downpipe_core::catalog::Catalog;
use downpipe_core::job::{Failure, FailureWords, FileReceipt, Job, JobState};
use downpipe_core::language::Language;
use downpipe_core::ledger::Download;
use downpipe_core::message::Message;
use downpipe_core::request::ExportRequest;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Jobs, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobList {
    /// The jobs.
    pub(crate) jobs: Vec<JobView>,
    /// Where the next page begins: the value of `cursor`. Null on the last page.
    pub(crate) next: Option<String>,
}

/// What is known of a job besides what the ledger says of it.
#[derive(Default)]
pub(crate) struct Facts {
    /// How many jobs are ahead of it in the queue.
    pub(crate) ahead: Option<u64>,
    /// How far it is by its worker's last word.
    pub(crate) live: Option<LiveProgress>,
    /// When its files were downloaded.
    pub(crate) downloads: Vec<Download>,
    /// Whether it was asked for before.
    pub(crate) repeated: bool,
}

/// A job. What is unknown is null.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobView {
    /// Its identity.
    id: String,
    /// The name of its export.
    export: String,
    /// The export's name for people.
    title: Option<String>,
    /// `queued`, `running`, `waiting`, `ready`, `failed`, `cancelled` or `expired`.
    state: &'static str,
    /// Who asked for it.
    requested_by: String,
    /// The parameters' values.
    #[schema(value_type = Option<Object>)]
    params: Option<serde_json::Map<String, serde_json::Value>>,
    /// How text files are written.
    profile: Option<String>,
    /// The format.
    format: Option<String>,
    /// The compression.
    compression: Option<String>,
    /// How far it is.
    progress: ProgressView,
    /// Its place in the queue, while it is queued.
    queue: Option<QueueView>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its first attempt began.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// When its files are deleted.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Its files, once it is ready.
    files: Vec<FileView>,
    /// Why it failed.
    failure: Option<FailureView>,
    /// Whether the answer is a job that was asked for before.
    repeated: bool,
    /// After how many seconds to ask again. Null for a job that has ended.
    poll_after_seconds: Option<u64>,
}

/// How far a job is.
#[derive(Serialize, ToSchema)]
#[schema(as = Progress)]
struct ProgressView {
    /// Rows written.
    rows: u64,
    /// Bytes written.
    bytes: u64,
    /// How much that is of what was estimated: 99 at most until the file is ready.
    percent: Option<u64>,
    /// How many rows were estimated.
    of_rows: Option<u64>,
}

/// A job's place in the queue.
#[derive(Serialize, ToSchema)]
#[schema(as = Queue)]
struct QueueView {
    /// Jobs ahead of it.
    ahead: Option<u64>,
    /// In how many seconds it begins, about.
    starts_in_seconds: Option<u64>,
}

/// A file of a job.
#[derive(Serialize, ToSchema)]
#[schema(as = File)]
struct FileView {
    /// Its number, from 1.
    n: usize,
    /// Its name.
    file_name: String,
    /// Rows of data.
    rows: u64,
    /// Bytes.
    bytes: u64,
    /// SHA-256 in hexadecimal, as `sha256sum` prints it.
    sha256: String,
    /// When it was last downloaded. Null in lists, which do not look.
    #[schema(value_type = Option<String>, format = DateTime)]
    downloaded_at: Option<Timestamp>,
}

/// Why a job failed.
#[derive(Serialize, ToSchema)]
#[schema(as = Failure)]
struct FailureView {
    /// A stable name for programs.
    code: String,
    /// What happened, in the reader's language.
    message: String,
    /// What to do about it.
    advice: String,
}

impl JobView {
    /// Returns a job as its requester sees it, in their language.
    pub(crate) fn of(
        job: &Job,
        facts: &Facts,
        catalog: &Catalog,
        now: Timestamp,
        language: Language,
    ) -> Self {
        let receipt = job.receipt.as_ref();
        let title = receipt.map(|receipt| receipt.title.clone());
        let files = receipt.map(|receipt| receipt.files.as_slice()).unwrap_or_default();
        let Request { params, profile, format, compression } = Request::of(job, catalog);
        Self {
            id: job.id.to_string(),
            export: job.export.clone(),
            title: title.or_else(|| Some(catalog.get(&job.export)?.title.clone())),
            state: job.state.as_str(),
            requested_by: job.requested_by.to_string(),
            params,
            profile,
            format,
            compression,
            progress: ProgressView::of(job, facts.live.as_ref()),
            queue: (job.state == JobState::Queued)
                .then_some(QueueView { ahead: facts.ahead, starts_in_seconds: None }),
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            expires_at: receipt.map(|receipt| receipt.expires_at),
            files: (1..).zip(files).map(|(n, file)| FileView::of(n, file, &facts.downloads)).collect(),
            failure: job
                .failure
                .as_ref()
                .filter(|_| job.state == JobState::Failed)
                .map(|failure| FailureView::of(failure, language)),
            repeated: facts.repeated,
            poll_after_seconds: poll_after(job, now),
        }
    }

    /// Returns after how many seconds to ask again.
    pub(crate) fn poll_after_seconds(&self) -> Option<u64> {
        self.poll_after_seconds
    }
}

/// Returns after how many seconds to ask again: soon for a young job, of which a person waits for the end.
fn poll_after(job: &Job, now: Timestamp) -> Option<u64> {
    let age = now.duration_since(job.created_at).as_secs();
    let seconds = match age {
        ..10 => 2,
        10..60 => 5,
        _ => 10,
    };
    (!job.state.is_terminal()).then_some(seconds)
}

impl ProgressView {
    fn of(job: &Job, live: Option<&LiveProgress>) -> Self {
        // A worker writes to the cache more often than to the ledger.
        let (rows, bytes) = match live.filter(|live| live.rows >= job.rows) {
            Some(live) => (live.rows, live.bytes),
            None => (job.rows, job.bytes),
        };
        let of_rows = job.expected_rows;
        let percent = match job.state {
            JobState::Ready | JobState::Expired => Some(100),
            JobState::Failed | JobState::Cancelled => None,
            // More rows than were estimated say nothing of the end.
            _ => {
                of_rows.filter(|of_rows| *of_rows > 0 && rows <= *of_rows).map(|of_rows| share(rows, of_rows))
            }
        };
        Self { rows, bytes, percent, of_rows }
    }
}

/// Returns how many hundredths so many are: 99 at most.
fn share(rows: u64, of_rows: u64) -> u64 {
    let percent = u128::from(rows) * 100 / u128::from(of_rows);
    u64::try_from(percent).unwrap_or(u64::MAX).min(99)
}

impl FileView {
    fn of(n: usize, file: &FileReceipt, downloads: &[Download]) -> Self {
        let is_this = |download: &&Download| usize::try_from(download.file).is_ok_and(|file| file == n);
        Self {
            n,
            file_name: file.file_name.clone(),
            rows: file.rows,
            bytes: file.bytes,
            sha256: file.sha256.clone(),
            downloaded_at: downloads.iter().filter(is_this).map(|download| download.at).max(),
        }
    }
}

impl FailureView {
    /// Leaves out what only the operator may read.
    fn of(failure: &Failure, language: Language) -> Self {
        let FailureWords { message, advice } = failure.words(language);
        Self { code: failure.code.clone(), message, advice }
    }
}

/// What was asked for.
#[derive(Default)]
struct Request {
    params: Option<serde_json::Map<String, serde_json::Value>>,
    profile: Option<String>,
    format: Option<String>,
    compression: Option<String>,
}

impl Request {
    /// Reads what was asked for: from the receipt, or from the message and the definition as it is now.
    fn of(job: &Job, catalog: &Catalog) -> Self {
        if let Some(receipt) = &job.receipt {
            return Self {
                params: Some(receipt.params.clone()),
                profile: Some(receipt.profile.clone()),
                format: Some(receipt.format.clone()),
                compression: Some(receipt.compression.clone()),
            };
        }
        let Ok(Message::Export(message)) = Message::parse(&job.message) else { return Self::default() };
        let Ok(request) = ExportRequest::accept_unrestricted(&message, catalog) else {
            let (profile, format, compression) = (message.profile, message.format, message.compression);
            return Self { params: None, profile, format, compression };
        };
        let params = request.params.iter().map(|(name, value)| (name.clone(), value.to_json()));
        Self {
            params: Some(params.collect()),
            profile: Some(request.style.profile().name.to_string()),
            format: Some(request.style.format().as_str().to_owned()),
            compression: Some(request.style.compression().as_str().to_owned()),
        }
    }
}
