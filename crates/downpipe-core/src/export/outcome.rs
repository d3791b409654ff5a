//! How an export ended.

use crate::job::{Checkpoint, Receipt};
use crate::source::{SinkError, SourceError};
use crate::store::StoreError;

/// How an export ended well.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportOutcome {
    /// With a file and its receipt.
    Completed(Box<Receipt>),
    /// With the end of its run. The next run resumes the file.
    Paused(Box<Checkpoint>),
}

impl ExportOutcome {
    /// Returns the receipt, if there is a file.
    #[must_use]
    pub fn into_receipt(self) -> Option<Receipt> {
        match self {
            Self::Completed(receipt) => Some(*receipt),
            Self::Paused(_) => None,
        }
    }
}

/// An export that did not end well.
#[derive(Debug)]
pub struct ExportFailed {
    /// What happened.
    pub error: ExportError,
    /// What is in the store, for the next attempt to resume, or for [`cleanup_job`](super::cleanup_job) to remove when there is none.
    /// Without it, nothing was left there.
    pub checkpoint: Option<Box<Checkpoint>>,
}

impl std::fmt::Display for ExportFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

/// Transparent: message and cause are the error's.
impl std::error::Error for ExportFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Why a run that ends cannot be followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotResumable {
    /// The definition does not say how.
    #[error("the definition has no [resume]")]
    NoResume,
    /// The file's end needs all of it.
    #[error("a file of this format can only be written in one run")]
    Format,
    /// No run could resume after such a key.
    #[error("the resume column is neither a whole number, a decimal, a date, bytes nor a plain text")]
    Key,
    /// Not one part was written.
    #[error("the run did not get as far as the end of a part of the file")]
    NoProgress,
    /// Earlier runs have written parts, and this one none. The next may succeed.
    #[error("the run wrote no part of the file, as runs before had")]
    Stalled,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run's time was up, and there can be no other.
    #[error("the run's time was up: {0}")]
    RunEnded(NotResumable),
    /// The rows could not be read to their end, or the sink has failed.
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

impl From<ExportError> for ExportFailed {
    fn from(error: ExportError) -> Self {
        Self { error, checkpoint: None }
    }
}
