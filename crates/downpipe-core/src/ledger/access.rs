//! What the ledger remembers of access to files: downloads, and sessions that have ended. A port.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::error::LedgerError;
use crate::job::JobId;
use crate::requester::Requester;

/// How long a download is remembered.
pub const DOWNLOAD_RETENTION: Duration = Duration::from_secs(365 * 24 * 3600);

/// The most downloads of a job that are listed.
pub const MAX_DOWNLOADS: u32 = 1000;

/// A download of a file. It names the job in full, because the ledger forgets the job before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Download {
    /// The job.
    pub job: JobId,
    /// The name of the job's definition.
    pub export: String,
    /// The definition's title, as the receipt has it.
    pub title: String,
    /// The number of the file among the job's files, from 1.
    pub file: u32,
    /// Who downloaded it. `None` for the holder of a link that asks for no login.
    pub requester: Option<Requester>,
    /// How it was asked for.
    pub via: DownloadVia,
    /// The app whose token asked for it.
    pub app: Option<String>,
    /// The network address that asked for it, at most 64 characters.
    pub address: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// How a download was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownloadVia {
    /// By a link from an e-mail.
    Link,
    /// On the portal's page.
    Page,
    /// By the portal's API, with a person's own login.
    Api,
    /// By the portal's API, with a token of an app.
    App,
}

impl DownloadVia {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Link, Self::Page, Self::Api, Self::App];

    /// Returns the way's name, in the ledger and for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Page => "page",
            Self::Api => "api",
            Self::App => "app",
        }
    }
}

impl Serialize for DownloadVia {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl FromStr for DownloadVia {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let via = Self::ALL.into_iter().find(|via| via.as_str() == name);
        via.ok_or_else(|| format!("expected link, page, api or app, got {name:?}"))
    }
}

/// Keeps downloads and ended sessions, beside the table of jobs. What is past its time is never returned, whether or not it has been
/// deleted.
pub trait AccessRecords: Send + Sync {
    /// Records a download.
    fn record_download(&self, download: &Download) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Returns the downloads of a job's files within [`DOWNLOAD_RETENTION`], the oldest first: the latest [`MAX_DOWNLOADS`].
    fn downloads(&self, job: &JobId) -> impl Future<Output = Result<Vec<Download>, LedgerError>> + Send;

    /// Records that the session of this digest has ended, for as long as its cookie would be good. Recording it again changes nothing.
    fn end_session(
        &self,
        digest: &str,
        until: Timestamp,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Returns whether the session of this digest has ended, as far as it is not past its time.
    fn is_session_ended(&self, digest: &str) -> impl Future<Output = Result<bool, LedgerError>> + Send;
}
