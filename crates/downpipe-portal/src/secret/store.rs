//! Keeps the portal's secret, and reads it again from time to time: keys are replaced without a stop.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use downpipe_app::config::SecretLocation;
use downpipe_app::secret_text::{SecretTextError, secret_text};
use downpipe_aws::SdkConfig;
use downpipe_core::error_chain::error_chain;
use downpipe_core::mutex::lock;
use tokio::time::Instant;

use super::{InvalidSecret, PortalSecret};

/// How long a secret is used before it is read again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// How long the old one is used after it could not be read.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Why the secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// It cannot be read.
    #[error("DOWNPIPE_PORTAL_SECRET")]
    Unreadable(#[from] SecretTextError),
    /// It is not what it should be.
    #[error("DOWNPIPE_PORTAL_SECRET: {0}")]
    Invalid(#[from] InvalidSecret),
}

/// The portal's secret, read again when a request finds it old.
#[derive(Debug)]
pub struct SecretStore {
    /// Where it is. `None` for one that never changes.
    place: Option<(SecretLocation, SdkConfig)>,
    read: Mutex<Read>,
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Read {
    secret: Arc<PortalSecret>,
    again_at: Instant,
}

impl SecretStore {
    /// Keeps a secret that never changes.
    #[must_use]
    pub fn fixed(secret: PortalSecret) -> Self {
        Self::starting_with(secret, None)
    }

    /// Reads the secret for the first time.
    pub(crate) async fn open(location: &SecretLocation, aws: &SdkConfig) -> Result<Self, SecretError> {
        let secret = read(location, aws).await?;
        Ok(Self::starting_with(secret, Some((location.clone(), aws.clone()))))
    }

    fn starting_with(secret: PortalSecret, place: Option<(SecretLocation, SdkConfig)>) -> Self {
        let read = Read { secret: Arc::new(secret), again_at: Instant::now() + READ_AGAIN_AFTER };
        Self { place, read: Mutex::new(read), reading: tokio::sync::Mutex::default() }
    }

    /// Returns the secret as it was last read.
    pub(crate) fn last_read(&self) -> Arc<PortalSecret> {
        Arc::clone(&lock(&self.read).secret)
    }

    fn is_old(&self) -> bool {
        lock(&self.read).again_at <= Instant::now()
    }

    /// Returns the secret. Reads it again if it is old; other requests use the old one meanwhile. One that cannot be read, or is
    /// wrong, takes no other's place.
    pub(crate) async fn current(&self) -> Arc<PortalSecret> {
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
                    tracing::warn!(error = error_chain(&error), "the portal's secret stays what it was");
                    kept.again_at = Instant::now() + RETRY_AFTER;
                }
            }
        }
        self.last_read()
    }
}

async fn read(location: &SecretLocation, aws: &SdkConfig) -> Result<PortalSecret, SecretError> {
    Ok(PortalSecret::parse(&secret_text(location, aws).await?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(app: &str) -> String {
        let key = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, [7; 32]);
        format!(
            r#"{{"apps":{{"{app}":{{"exports":["orders"],"keys":[{{"kid":"1","alg":"HS256","key":"{key}"}}]}}}}}}"#
        )
    }

    #[tokio::test(start_paused = true)]
    async fn secret_is_read_again_after_five_minutes_and_kept_while_it_is_wrong() {
        let folder = std::env::temp_dir().join(format!("downpipe-portal-{:x}", fastrand::u64(..)));
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("secret.json");
        std::fs::write(&file, secret("shop")).unwrap();
        let aws = SdkConfig::builder().build();
        let store = SecretStore::open(&SecretLocation::File(file.clone()), &aws).await.unwrap();
        std::fs::write(&file, secret("other")).unwrap();
        let has = async |app: &str| store.current().await.app(app).is_some();
        tokio::time::advance(READ_AGAIN_AFTER - Duration::from_secs(1)).await;
        assert!(has("shop").await);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(has("other").await && !has("shop").await);
        std::fs::write(&file, "{}").unwrap();
        tokio::time::advance(READ_AGAIN_AFTER).await;
        assert!(has("other").await);
        std::fs::write(&file, secret("third")).unwrap();
        tokio::time::advance(RETRY_AFTER).await;
        assert!(has("third").await);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
