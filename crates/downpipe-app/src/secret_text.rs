//! Reads the text of a secret, wherever it is.

use downpipe_aws::{SdkConfig, SecretFetchError, fetch_secret};

use crate::config::SecretLocation;

/// Why a secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretTextError {
    /// The file cannot be read.
    #[error("the file {file} cannot be read")]
    File {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The secret cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] SecretFetchError),
}

/// Reads the text of a secret.
///
/// # Errors
/// When its file or Secrets Manager cannot be read.
pub async fn secret_text(secret: &SecretLocation, aws: &SdkConfig) -> Result<String, SecretTextError> {
    match secret {
        SecretLocation::Named(name) => Ok(fetch_secret(aws, name).await?),
        SecretLocation::File(path) => std::fs::read_to_string(path)
            .map_err(|source| SecretTextError::File { file: path.display().to_string(), source }),
    }
}
