//! Parts: how large they are, and how many are on their way at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::store::{Part, StoreError, StoredPart, Total, Upload};

/// The size of the first parts, in bytes. Two of them under way and one being filled make most of the memory an export
/// needs. S3 takes no part below 5 MiB but the last.
const FIRST_PART_BYTES: usize = 8 << 20;

/// Parts of one size before the size doubles. S3 takes 10,000 parts, so parts of 8 MiB would end at 78 GiB; doubled nine
/// times on the way they pass S3's largest object, 5 TiB, by far.
const PARTS_PER_SIZE: u32 = 1_000;

/// How long an abort waits for parts under way. A part arrives within a second or two unless the store is in trouble, and
/// then whoever aborts has little time left itself.
const GRACE: Duration = Duration::from_secs(5);

/// The size at which part `number` (from 1) is cut, in bytes. It is cut at the end of the row that reaches it, so a part
/// is larger than this by at most one row.
pub(crate) fn part_bytes(number: u32) -> usize {
    FIRST_PART_BYTES << (number.saturating_sub(1) / PARTS_PER_SIZE).min(9)
}

/// An upload whose parts travel in tasks of their own, a bounded number at a time.
pub(crate) struct PartUploads<U: Upload + 'static> {
    upload: Arc<U>,
    under_way: JoinSet<Result<StoredPart, StoreError>>,
    stored: Vec<StoredPart>,
    next_number: u32,
    next_offset: u64,
}

impl<U: Upload + 'static> PartUploads<U> {
    pub(crate) fn new(upload: U) -> Self {
        Self {
            upload: Arc::new(upload),
            under_way: JoinSet::new(),
            stored: Vec::new(),
            next_number: 1,
            next_offset: 0,
        }
    }

    pub(crate) fn next_number(&self) -> u32 {
        self.next_number
    }

    /// Sends a part on its way, first waiting until another has arrived if too many are under way.
    pub(crate) async fn send(&mut self, body: Vec<u8>) -> Result<(), StoreError> {
        while self.under_way.len() >= self.upload.parallelism().max(1) {
            self.next_arrival().await?;
        }
        let part = Part { number: self.next_number, offset: self.next_offset, body: body.into() };
        self.next_number += 1;
        self.next_offset += part.body.len() as u64;
        let upload = Arc::clone(&self.upload);
        self.under_way.spawn(async move { upload.part(part).await }.in_current_span());
        Ok(())
    }

    /// Waits for every part and puts them together.
    pub(crate) async fn complete(&mut self, total: Total) -> Result<(), StoreError> {
        while !self.under_way.is_empty() {
            self.next_arrival().await?;
        }
        self.stored.sort_by_key(|part| part.number);
        self.upload.complete(std::mem::take(&mut self.stored), total).await
    }

    /// Gives up. Parts under way are waited for, because one that is cut off may arrive after the abort all the same, and
    /// would stay behind, and cost money, for ever.
    pub(crate) async fn abort(mut self) -> Result<(), StoreError> {
        let arrivals = async { while self.under_way.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, arrivals).await.is_err() {
            self.under_way.shutdown().await;
        }
        self.upload.abort().await
    }

    async fn next_arrival(&mut self) -> Result<(), StoreError> {
        match self.under_way.join_next().await {
            Some(Ok(arrived)) => self.stored.push(arrived?),
            Some(Err(panic)) => {
                let source = Box::new(panic);
                return Err(StoreError::Unavailable { operation: "sending a part", source });
            }
            None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_hold_the_largest_object() {
        let total: u64 = (1..=10_000).map(|number| part_bytes(number) as u64).sum();
        assert!(total >= 5 << 40, "{total}");
        assert_eq!(part_bytes(1), 8 << 20);
        assert_eq!(part_bytes(1_000), 8 << 20);
        assert_eq!(part_bytes(1_001), 16 << 20);
        // S3 takes at most 5 GiB a part.
        assert_eq!(part_bytes(10_000), 4 << 30);
    }
}
