//! Keeps a secret, and reads it again from time to time: keys are replaced without a stop.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use downpipe_aws::SdkConfig;
use downpipe_core::error_chain::error_chain;
use downpipe_core::mutex::lock;
use tokio::time::Instant;

use crate::config::SecretLocation;
use crate::secret_text::{SecretTextError, secret_text};

/// How long a secret is used before it is read again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// How long the old one is used after it could not be read.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// What a secret's text is read as.
pub trait SecretForm: Sized {
    /// The variable that says where the secret is.
    const VARIABLE: &'static str;

    /// What is wrong with a text. It quotes nothing of it.
    type Invalid: Error + Send + Sync + 'static;

    /// Reads the secret's text.
    ///
    /// # Errors
    /// With what is wrong.
    fn parse(text: &str) -> Result<Self, Self::Invalid>;
}

/// Why a secret cannot be used. The message names the variable that says where it is.
#[derive(Debug, thiserror::Error)]
pub enum KeptSecretError {
    /// It cannot be read.
    #[error("{variable}")]
    Unreadable {
        /// The variable.
        variable: &'static str,
        /// Why.
        source: SecretTextError,
    },
    /// It is not what it should be.
    #[error("{variable}: {source}")]
    Invalid {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// A secret that is read again when it is asked for and old.
#[derive(Debug)]
pub struct KeptSecret<T> {
    /// Where it is. `None` for one that never changes.
    place: Option<(SecretLocation, SdkConfig)>,
    read: Mutex<Read<T>>,
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Read<T> {
    secret: Arc<T>,
    again_at: Instant,
}

impl<T: SecretForm> KeptSecret<T> {
    /// Keeps a secret that never changes.
    #[must_use]
    pub fn fixed(secret: T) -> Self {
        Self::starting_with(secret, None)
    }

    /// Reads the secret for the first time.
    ///
    /// # Errors
    /// When it cannot be read, or is not what it should be.
    pub async fn open(location: &SecretLocation, aws: &SdkConfig) -> Result<Self, KeptSecretError> {
        let secret = read(location, aws).await?;
        Ok(Self::starting_with(secret, Some((location.clone(), aws.clone()))))
    }

    fn starting_with(secret: T, place: Option<(SecretLocation, SdkConfig)>) -> Self {
        let read = Read { secret: Arc::new(secret), again_at: Instant::now() + READ_AGAIN_AFTER };
        Self { place, read: Mutex::new(read), reading: tokio::sync::Mutex::default() }
    }

    /// Returns the secret as it was last read.
    #[must_use]
    pub fn last_read(&self) -> Arc<T> {
        Arc::clone(&lock(&self.read).secret)
    }

    fn is_old(&self) -> bool {
        lock(&self.read).again_at <= Instant::now()
    }

    /// Returns the secret. Reads it again if it is old; other callers use the old one meanwhile. One that cannot be read, or is wrong,
    /// takes no other's place.
    pub async fn current(&self) -> Arc<T> {
        if let Some((location, aws)) = &self.place
            && self.is_old()
            && let Ok(_reading) = self.reading.try_lock()
        {
            let read = read(location, aws).await;
            let mut kept = lock(&self.read);
            match read {
                Ok(secret) => {
                    *kept = Read { secret: Arc::new(secret), again_at: Instant::now() + READ_AGAIN_AFTER };
                }
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "a secret stays what it was");
                    kept.again_at = Instant::now() + RETRY_AFTER;
                }
            }
        }
        self.last_read()
    }
}

async fn read<T: SecretForm>(location: &SecretLocation, aws: &SdkConfig) -> Result<T, KeptSecretError> {
    let variable = T::VARIABLE;
    let text = secret_text(location, aws).await;
    let text = text.map_err(|source| KeptSecretError::Unreadable { variable, source })?;
    T::parse(&text).map_err(|error| KeptSecretError::Invalid { variable, source: Box::new(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Number(u8);

    impl SecretForm for Number {
        const VARIABLE: &'static str = "DOWNPIPE_NUMBER";
        type Invalid = std::num::ParseIntError;

        fn parse(text: &str) -> Result<Self, Self::Invalid> {
            text.parse().map(Self)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn secret_is_read_again_after_five_minutes_and_kept_while_it_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "1").unwrap();
        let aws = SdkConfig::builder().build();
        let kept = KeptSecret::<Number>::open(&SecretLocation::File(file.clone()), &aws).await.unwrap();
        std::fs::write(&file, "2").unwrap();
        tokio::time::advance(READ_AGAIN_AFTER - Duration::from_secs(1)).await;
        assert_eq!(kept.current().await.0, 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((kept.current().await.0, kept.last_read().0), (2, 2));
        std::fs::write(&file, "{}").unwrap();
        tokio::time::advance(READ_AGAIN_AFTER).await;
        assert_eq!(kept.current().await.0, 2);
        std::fs::write(&file, "3").unwrap();
        tokio::time::advance(RETRY_AFTER).await;
        assert_eq!(kept.current().await.0, 3);
    }

    #[tokio::test]
    async fn secret_that_cannot_be_used_at_the_start_is_named_by_its_variable() {
        let aws = SdkConfig::builder().build();
        let open = async |path: &std::path::Path| {
            let opened = KeptSecret::<Number>::open(&SecretLocation::File(path.to_owned()), &aws).await;
            error_chain(&opened.map(drop).unwrap_err())
        };
        let folder = tempfile::tempdir().unwrap();
        let missing = open(&folder.path().join("missing")).await;
        assert!(missing.starts_with("DOWNPIPE_NUMBER: the file "), "{missing}");
        let file = folder.path().join("secret");
        std::fs::write(&file, "hunter2").unwrap();
        assert_eq!(open(&file).await, "DOWNPIPE_NUMBER: invalid digit found in string");
    }
}
