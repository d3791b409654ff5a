//! The files that a run has completed in a folder.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::mem;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use downpipe_core::store::NewObject;
use tempfile::TempPath;

/// The files that this run has completed. The folder is the user's, and the run removes nothing else in it.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Files without a final name, by key. They have hidden names, and are removed when this is dropped.
    staged: BTreeMap<String, TempPath>,
    /// Files with a final name, by key.
    named: BTreeMap<String, Named>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Named {
    /// Device and inode: whether what is at the path is still this file.
    identity: (u64, u64),
    /// Whether it has replaced a file that was there before.
    replaced: bool,
}

impl Files {
    /// Keeps a complete file: under a hidden name while it is staged, else at its path, where it replaces what is there.
    pub(super) fn keep(&mut self, folder: &Path, object: &NewObject, file: TempPath) -> io::Result<()> {
        if object.is_staged() {
            self.staged.insert(object.key.clone(), file);
            return Ok(());
        }
        self.name(folder, &object.key, file)
    }

    /// Gives a file its final name. After an error it is removed.
    fn name(&mut self, folder: &Path, key: &str, file: TempPath) -> io::Result<()> {
        let path = folder.join(key);
        let identity = identity(&file.metadata()?);
        let replaced = found(&path)?.is_some();
        file.persist(&path)?;
        self.named.insert(key.to_owned(), Named { identity, replaced });
        Ok(())
    }

    /// Gives a staged file its final name if it has so many bytes, and returns how many it has.
    pub(super) fn rename(&mut self, folder: &Path, from: &str, to: &str, bytes: u64) -> io::Result<u64> {
        let actual = match (self.staged.get(from), self.named.get(to)) {
            (Some(staged), _) => staged.metadata()?.len(),
            // Renamed already: then only its size is verified.
            (None, Some(_)) => folder.join(to).metadata()?.len(),
            (None, None) => return Err(io::Error::other("nothing has been written under its old name")),
        };
        if actual == bytes
            && let Some(staged) = self.staged.remove(from)
        {
            self.name(folder, to, staged)?;
        }
        Ok(actual)
    }

    /// Removes all files of this run.
    pub(super) fn remove(&mut self, folder: &Path) -> io::Result<()> {
        let staged = mem::take(&mut self.staged).into_values().map(TempPath::close);
        let named = mem::take(&mut self.named).into_iter().map(|(key, named)| {
            let path = folder.join(key);
            // A file that has replaced one of the user's stays, as that one cannot come back. So does one that the user has put in
            // the place of ours since.
            match found(&path)? {
                Some(found) if identity(&found) == named.identity && !named.replaced => {
                    std::fs::remove_file(path)
                }
                _ => Ok(()),
            }
        });
        // One that cannot be removed must not stop the removal of the others.
        staged.chain(named).fold(Ok(()), Result::and)
    }
}

/// Looks at the path itself, not at the target of a link there.
fn found(path: &Path) -> io::Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
