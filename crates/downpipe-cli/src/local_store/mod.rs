//! Files on this machine: a folder, or standard output.

mod file;
mod files;
mod stdout;

pub(crate) use file::FileStore;
pub(crate) use stdout::StdoutStore;

use downpipe_core::store::StoreError;

fn refused(operation: &'static str, error: std::io::Error) -> StoreError {
    StoreError::Refused { operation, source: Box::new(error) }
}
