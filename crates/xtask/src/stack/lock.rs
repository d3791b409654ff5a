//! One `up` or `down` at a time. The operating system drops the lock when its holder dies.

use std::fs::{self, File, TryLockError};

use anyhow::{Context, Result};

use super::paths::Paths;

/// Held for as long as the value lives.
pub(super) struct StackLock {
    _file: File,
}

impl StackLock {
    pub(super) fn acquire(paths: &Paths) -> Result<Self> {
        let path = paths.lock_file();
        fs::create_dir_all(paths.stack())
            .with_context(|| format!("cannot create {}", paths.stack().display()))?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("waiting for another `cargo xtask stack` to finish");
                file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
            }
            Err(TryLockError::Error(err)) => {
                return Err(err).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        Ok(Self { _file: file })
    }
}
