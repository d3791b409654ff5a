//! Removing an object that was looked at: that object, and not another that has taken its place since.

use downpipe_core::store::StoreError;

use super::bucket::{Bucket, Found};
use crate::errors::{code_of, is_absent, store_error};

/// Attempts to remove an object that is replaced meanwhile. Nothing of ours replaces one twice.
const MAX_ATTEMPTS: u32 = 3;

/// What came of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    /// The object is not there any more.
    Gone,
    /// Another object has taken its place, and stays.
    Replaced,
}

impl Bucket {
    /// Removes an object with this entity tag.
    pub(super) async fn remove_object(&self, key: &str, etag: Option<&str>) -> Result<Removal, StoreError> {
        let Some(etag) = etag else { return self.remove_unconditionally(key).await };
        let request = self.client.delete_object().bucket(&self.name).key(key).if_match(etag);
        match request.send().await {
            Ok(_) => Ok(Removal::Gone),
            Err(error) if is_absent(&error, "NoSuchKey") => Ok(Removal::Gone),
            Err(error) => match code_of(&error) {
                Some("PreconditionFailed") => Ok(Removal::Replaced),
                Some("NotImplemented") => self.remove_if_still(key, etag).await,
                _ => Err(store_error("removing the object", error)),
            },
        }
    }

    /// Looks once more and then removes, for a store without conditional removal such as LocalStack.
    async fn remove_if_still(&self, key: &str, etag: &str) -> Result<Removal, StoreError> {
        match self.find(key).await? {
            None => Ok(Removal::Gone),
            Some(found) if found.etag.as_deref() == Some(etag) => self.remove_unconditionally(key).await,
            Some(_) => Ok(Removal::Replaced),
        }
    }

    /// Removes an object of which the store gives no entity tag.
    async fn remove_unconditionally(&self, key: &str) -> Result<Removal, StoreError> {
        let removed = self.client.delete_object().bucket(&self.name).key(key).send().await;
        removed.map(|_| Removal::Gone).map_err(|error| store_error("removing the object", error))
    }

    /// Removes an object if it is ours, and returns it if it is not.
    pub(super) async fn remove_if(
        &self,
        key: &str,
        is_ours: impl Fn(&Found) -> bool,
    ) -> Result<Option<Found>, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(found) = self.find(key).await? else { return Ok(None) };
            if !is_ours(&found) {
                return Ok(Some(found));
            }
            if self.remove_object(key, found.etag.as_deref()).await? == Removal::Gone {
                return Ok(None);
            }
        }
        let source = "the object is replaced again and again".into();
        Err(StoreError::Unavailable { operation: "removing the object", source })
    }
}
