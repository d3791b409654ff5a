//! Removing what attempts at a job have left.

use std::time::Duration;

use tokio::time::timeout;

use crate::error_chain::error_chain;
use crate::job::Checkpoint;
use crate::store::{NewObject, ResumableStore, StoreError};

/// The time that a removal may take.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Removes what attempts at a job have left, and says whether nothing is left. Only for a job that has ended without a file, as the
/// ledger says: no attempt may resume it.
pub async fn cleanup_job<S: ResumableStore>(
    store: &S,
    object: &NewObject,
    checkpoint: Option<&Checkpoint>,
) -> bool {
    let removal = async {
        let aborted = match checkpoint {
            Some(from) => abort_upload(store, from).await,
            None => Ok(()),
        };
        aborted.and(store.delete_job_objects(object).await).and(store.abort_job_uploads(object).await)
    };
    best_effort("what earlier attempts left", removal).await
}

/// Aborts the upload of a checkpoint, if it has one.
pub(crate) async fn abort_upload<S: ResumableStore>(store: &S, from: &Checkpoint) -> Result<(), StoreError> {
    match &from.upload {
        Some(upload) => store.abort_upload(&from.object_key, upload).await,
        None => Ok(()),
    }
}

/// Removes something if the store answers in time, else logs that it is left.
pub(crate) async fn best_effort(what: &str, removal: impl Future<Output = Result<(), StoreError>>) -> bool {
    match timeout(REMOVAL_TIMEOUT, removal).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::error!(error = error_chain(&error), "{what} could not be removed"),
        Err(_) => tracing::error!("{what} could not be removed in time"),
    }
    false
}
