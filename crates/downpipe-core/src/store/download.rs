//! Downloads by a person, who has no login at the store. A port.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::error::StoreError;
use crate::job::FileReceipt;

/// A URL that is enough to download a file, for a while. It is a credential: it belongs in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl {
    /// The URL.
    pub url: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl fmt::Debug for SignedUrl {
    /// Leaves the URL out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedUrl").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A store whose files a person downloads with a signed URL.
pub trait DownloadStore: Send + Sync {
    /// Signs a URL that downloads a file under its name, for this time. `None` for a file in another store. Whether the file is still
    /// there is not looked at.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn sign_download(
        &self,
        file: &FileReceipt,
        valid_for: Duration,
    ) -> impl Future<Output = Result<Option<SignedUrl>, StoreError>> + Send;
}
