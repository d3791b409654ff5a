//! Gives a worker process one of the stack's caches, and the secret that signs what it keeps there.

use std::process::Command;

use tempfile::NamedTempFile;

use crate::caches::caches;

/// A cache for worker processes, with a signing secret of its own: no other test's entries are valid here.
#[derive(Debug)]
pub struct WorkerCache {
    url: &'static str,
    authority: Option<&'static str>,
    signing_secret: NamedTempFile,
}

impl WorkerCache {
    /// Returns the stack's Valkey. A worker reaches it over TLS, and logs in with a token of IAM.
    pub fn valkey() -> Self {
        Self::at(&caches().valkey_url, caches().authority.to_str())
    }

    /// Returns the stack's Memcached.
    pub fn memcached() -> Self {
        Self::at(&caches().memcached_url, None)
    }

    fn at(url: &'static str, authority: Option<&'static str>) -> Self {
        let signing_secret = NamedTempFile::new().unwrap();
        // 32 bytes in base64 are 43 characters, of which the last has bits to spare.
        let key: String = std::iter::repeat_with(fastrand::alphanumeric).take(42).collect();
        std::fs::write(signing_secret.path(), format!(r#"{{"receipts":"{key}A="}}"#)).unwrap();
        Self { url, authority, signing_secret }
    }

    /// Makes a command use the cache.
    pub fn apply_to(&self, mut command: Command) -> Command {
        self.name_to(&mut command);
        command.env("DOWNPIPE_SIGNING_SECRET", format!("file:{}", self.signing_secret.path().display()));
        command
    }

    /// Names the cache to a command that does without the signing secret.
    pub fn name_to(&self, command: &mut Command) {
        command.env("DOWNPIPE_CACHE", self.url);
        if let Some(authority) = self.authority {
            command.env("DOWNPIPE_CACHE_CA", authority);
        }
    }
}
