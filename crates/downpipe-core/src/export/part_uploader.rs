//! Sending the parts of one upload, several at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument as _;

use crate::job::{ObjectDigest, StoredPart};
use crate::store::{Part, StoreError, Upload};

/// The size of the first parts, in bytes. Two of them in flight and one being filled make most of the memory an export needs. S3 takes no part below 5 MiB but the last.
const FIRST_PART_BYTES: usize = 8 << 20;

/// Parts of one size before the size doubles. S3 takes 10,000 parts, so parts of 8 MiB would end at 78 GiB; doubled nine
/// times on the way they pass S3's largest object, 5 TiB, by far.
const PARTS_PER_SIZE: u32 = 1_000;

/// S3 takes no more. With parts that double that is far beyond its largest object, so an upload that gets here has a wrong size of
/// part. It must fail, and not end in a file without its end.
const MAX_PARTS: u32 = 10_000;

/// How long an abort waits for parts in flight. A part arrives within a second or two unless the store is in trouble, and then the
/// worker has little time left itself.
const GRACE: Duration = Duration::from_secs(5);

/// Returns the size at which part `number` (from 1) is cut, in bytes. It is cut at the end of the row that reaches it, so a part
/// is larger than this by at most one row.
pub(crate) fn part_bytes(number: u32) -> usize {
    FIRST_PART_BYTES << (number.saturating_sub(1) / PARTS_PER_SIZE).min(9)
}

/// An upload whose parts are sent in tasks of their own, a bounded number at a time.
pub(crate) struct PartUploads<U: Upload + 'static> {
    upload: Arc<U>,
    in_flight: JoinSet<Result<Arrival, StoreError>>,
    stored: BTreeMap<u32, StoredPart>,
    /// Parts that are stored from the first one on, without a gap.
    contiguous_parts: u32,
    next_number: u32,
    next_offset: u64,
    /// Buffers of parts that have arrived.
    spare_buffers: Vec<Bytes>,
    /// The error of a part that has failed, until a caller waits for parts.
    failed: Option<StoreError>,
}

/// A part that is in the store, and its bytes, whose buffer can be used again.
struct Arrival {
    stored: StoredPart,
    body: Bytes,
}

impl<U: Upload + 'static> PartUploads<U> {
    pub(crate) fn new(upload: U) -> Self {
        Self::resume(upload, Vec::new(), 0)
    }

    /// Resumes an upload in which there are these parts, from the first one on, with so many bytes.
    pub(crate) fn resume(upload: U, stored: Vec<StoredPart>, bytes: u64) -> Self {
        let stored: BTreeMap<u32, StoredPart> = stored.into_iter().map(|part| (part.number, part)).collect();
        let contiguous_parts = stored.last_key_value().map_or(0, |(number, _)| *number);
        Self {
            upload: Arc::new(upload),
            in_flight: JoinSet::new(),
            stored,
            contiguous_parts,
            next_number: contiguous_parts + 1,
            next_offset: bytes,
            spare_buffers: Vec::new(),
            failed: None,
        }
    }

    /// Returns the store's name of the upload.
    pub(crate) fn name(&self) -> String {
        self.upload.name()
    }

    /// Returns how many parts have arrived, from the first one on, without a gap.
    pub(crate) fn contiguous_parts(&self) -> u32 {
        self.contiguous_parts
    }

    /// Returns the first `parts` parts.
    pub(crate) fn first(&self, parts: u32) -> Vec<StoredPart> {
        self.stored.range(..=parts).map(|(_, part)| part.clone()).collect()
    }

    pub(crate) fn next_number(&self) -> u32 {
        self.next_number
    }

    /// Waits while as many parts are in flight as may be at once.
    pub(crate) async fn wait_for_capacity(&mut self) -> Result<(), StoreError> {
        while self.failed.is_some() || self.in_flight.len() >= self.upload.parallelism().max(1) {
            self.next_arrival().await?;
        }
        Ok(())
    }

    /// Sends a part, as soon as there is [capacity](Self::wait_for_capacity).
    pub(crate) async fn send(&mut self, body: Bytes) -> Result<(), StoreError> {
        if self.next_number > MAX_PARTS {
            let source = format!("expected at most {MAX_PARTS} parts, got one more").into();
            return Err(StoreError::Refused { operation: "storing a part", source });
        }
        self.wait_for_capacity().await?;
        // Buffers that were not taken by now do not pile up.
        self.spare_buffers.clear();
        let part = Part { number: self.next_number, offset: self.next_offset, body };
        self.next_number += 1;
        self.next_offset += part.body.len() as u64;
        let upload = Arc::clone(&self.upload);
        let arrive = async move {
            let body = part.body.clone();
            upload.part(part).await.map(|stored| Arrival { stored, body })
        };
        self.in_flight.spawn(arrive.in_current_span());
        Ok(())
    }

    /// Takes an empty buffer of a part that has arrived. Allocating and freeing one for every part would need more memory than is
    /// used at any one time: glibc keeps the pieces.
    pub(crate) fn take_spare_buffer(&mut self) -> Vec<u8> {
        // Not one that the hasher or the store still reads, nor one as large as a large cell: that capacity is not needed again.
        let max = 4 * part_bytes(self.next_number);
        let mut buffers = self.spare_buffers.drain(..).filter_map(|body| body.try_into_mut().ok());
        let mut buffer = buffers.find(|buffer| buffer.capacity() <= max).unwrap_or_default();
        // Before it becomes a vector, which would move what is in it.
        buffer.clear();
        buffer.into()
    }

    /// Waits for every part and completes the upload.
    pub(crate) async fn complete(&mut self, total: ObjectDigest) -> Result<(), StoreError> {
        while self.failed.is_some() || !self.in_flight.is_empty() {
            self.next_arrival().await?;
        }
        self.upload.complete(self.stored.values().cloned().collect(), total).await
    }

    /// Waits for the parts in flight, and leaves the upload to the run that resumes it. That sends again the parts that do not arrive.
    pub(crate) async fn pause(&mut self) {
        let arrivals = async {
            while self.failed.is_some() || !self.in_flight.is_empty() {
                // A part that has failed is not among the contiguous ones: the next run sends it again.
                drop(self.next_arrival().await);
            }
        };
        if tokio::time::timeout(GRACE, arrivals).await.is_err() {
            self.in_flight.shutdown().await;
        }
    }

    /// Aborts the upload, after the parts in flight. A part that is cut off may arrive after the abort all the same, and would stay
    /// behind, and cost money, for ever.
    pub(crate) async fn abort(mut self) -> Result<(), StoreError> {
        let arrivals = async { while self.in_flight.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, arrivals).await.is_err() {
            self.in_flight.shutdown().await;
        }
        self.upload.abort().await
    }

    /// Notes which parts have arrived, without waiting for any. The next call that waits returns the error of a part that has failed.
    pub(crate) fn note_arrivals(&mut self) {
        while self.failed.is_none()
            && let Some(joined) = self.in_flight.try_join_next()
        {
            self.failed = self.arrived(Some(joined)).err();
        }
    }

    async fn next_arrival(&mut self) -> Result<(), StoreError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let joined = self.in_flight.join_next().await;
        self.arrived(joined)
    }

    fn arrived(
        &mut self,
        joined: Option<Result<Result<Arrival, StoreError>, JoinError>>,
    ) -> Result<(), StoreError> {
        match joined {
            Some(Ok(arrived)) => {
                let Arrival { stored, body } = arrived?;
                self.stored.insert(stored.number, stored);
                while self.stored.contains_key(&(self.contiguous_parts + 1)) {
                    self.contiguous_parts += 1;
                }
                self.spare_buffers.push(body);
            }
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
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::*;

    /// Takes every part, and keeps it in `kept` if there is one.
    #[derive(Default)]
    struct Taker {
        kept: Option<Arc<Mutex<Vec<Bytes>>>>,
    }

    impl Upload for Taker {
        fn name(&self) -> String {
            "an upload".to_owned()
        }

        fn parallelism(&self) -> usize {
            2
        }

        async fn part(&self, part: Part) -> Result<StoredPart, StoreError> {
            if let Some(kept) = &self.kept {
                kept.lock().unwrap().push(part.body);
            }
            Ok(StoredPart { number: part.number, etag: String::new(), checksum: None })
        }

        async fn complete(&self, _: Vec<StoredPart>, _: ObjectDigest) -> Result<(), StoreError> {
            Ok(())
        }

        async fn abort(&self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    async fn buffer(uploads: &mut PartUploads<Taker>) -> Vec<u8> {
        uploads.wait_for_capacity().await.unwrap();
        uploads.take_spare_buffer()
    }

    #[tokio::test]
    async fn any_number_of_parts_shares_three_buffers() {
        let mut uploads = PartUploads::new(Taker::default());
        let mut places = BTreeSet::new();
        for _ in 0..100 {
            let mut part = buffer(&mut uploads).await;
            assert!(part.is_empty());
            part.resize(1000, 7);
            places.insert(part.as_ptr());
            uploads.send(part.into()).await.unwrap();
        }
        assert!(places.len() <= 3, "{}", places.len());
    }

    #[tokio::test]
    async fn buffer_that_the_store_still_has_is_not_reused() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let mut uploads = PartUploads::new(Taker { kept: Some(Arc::clone(&kept)) });
        for number in 0..10 {
            let mut part = buffer(&mut uploads).await;
            part.resize(1000, number);
            uploads.send(part.into()).await.unwrap();
        }
        uploads.complete(ObjectDigest { bytes: 10_000, crc64nvme: 0 }).await.unwrap();
        let mut kept = std::mem::take(&mut *kept.lock().unwrap());
        kept.sort();
        assert!(kept.into_iter().eq((0..10).map(|number| Bytes::from(vec![number; 1000]))));
    }

    #[tokio::test]
    async fn buffers_not_taken_do_not_pile_up() {
        let mut uploads = PartUploads::new(Taker::default());
        for _ in 0..100 {
            uploads.send(vec![7; 1000].into()).await.unwrap();
            assert!(uploads.spare_buffers.len() <= 2, "{}", uploads.spare_buffers.len());
        }
    }

    #[tokio::test]
    async fn buffer_of_a_large_cell_is_freed() {
        let mut uploads = PartUploads::new(Taker::default());
        let mut large = Vec::with_capacity(5 * part_bytes(1));
        large.push(1);
        uploads.send(large.into()).await.unwrap();
        uploads.next_arrival().await.unwrap();
        assert_eq!(uploads.take_spare_buffer().capacity(), 0);
    }

    #[tokio::test]
    async fn part_after_the_last_that_s3_takes_is_refused() {
        let mut uploads = PartUploads::new(Taker::default());
        for _ in 0..MAX_PARTS {
            uploads.send(vec![7].into()).await.unwrap();
        }
        let error = uploads.send(vec![7].into()).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
        assert_eq!(
            crate::error_chain::error_chain(&error),
            "storing a part: the store refused: expected at most 10000 parts, got one more"
        );
    }

    #[test]
    fn parts_up_to_the_last_hold_the_largest_object() {
        let total: u64 = (1..=10_000).map(|number| part_bytes(number) as u64).sum();
        assert!(total >= 5 << 40, "{total}");
        assert_eq!(part_bytes(1), 8 << 20);
        assert_eq!(part_bytes(1_000), 8 << 20);
        assert_eq!(part_bytes(1_001), 16 << 20);
        // S3 takes at most 5 GiB a part.
        assert_eq!(part_bytes(10_000), 4 << 30);
    }
}
