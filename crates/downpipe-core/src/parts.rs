//! Parts: how large they are, and how many are on their way at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument as _;

use crate::store::{Part, StoreError, StoredPart, Total, Upload};

/// The size of the first parts, in bytes. Two of them under way and one being filled make most of the memory an export
/// needs. S3 takes no part below 5 MiB but the last.
const FIRST_PART_BYTES: usize = 8 << 20;

/// Parts of one size before the size doubles. S3 takes 10,000 parts, so parts of 8 MiB would end at 78 GiB; doubled nine
/// times on the way they pass S3's largest object, 5 TiB, by far.
const PARTS_PER_SIZE: u32 = 1_000;

/// S3 takes no more. With parts that double that is far beyond its largest object, so whoever gets here has a size of part that
/// is wrong: that must not end in a file without its end.
const MOST_PARTS: u32 = 10_000;

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
    under_way: JoinSet<Result<Arrival, StoreError>>,
    stored: BTreeMap<u32, StoredPart>,
    /// Parts that are stored from the first one on, without a gap.
    whole: u32,
    next_number: u32,
    next_offset: u64,
    /// What parts that have arrived leave behind.
    left: Vec<Bytes>,
    /// A part that has failed, and of which nobody has heard yet.
    failed: Option<StoreError>,
}

/// A part that is in the store, and its bytes, whose buffer can be used again.
struct Arrival {
    stored: StoredPart,
    body: Bytes,
}

impl<U: Upload + 'static> PartUploads<U> {
    pub(crate) fn new(upload: U) -> Self {
        Self::go_on(upload, Vec::new(), 0)
    }

    /// Goes on with an upload in which there are these parts, from the first one on, with so many bytes.
    pub(crate) fn go_on(upload: U, stored: Vec<StoredPart>, bytes: u64) -> Self {
        let stored: BTreeMap<u32, StoredPart> = stored.into_iter().map(|part| (part.number, part)).collect();
        let whole = stored.last_key_value().map_or(0, |(number, _)| *number);
        Self {
            upload: Arc::new(upload),
            under_way: JoinSet::new(),
            stored,
            whole,
            next_number: whole + 1,
            next_offset: bytes,
            left: Vec::new(),
            failed: None,
        }
    }

    /// What the store calls the upload.
    pub(crate) fn name(&self) -> String {
        self.upload.name()
    }

    /// How many parts have arrived, from the first one on, without a gap.
    pub(crate) fn whole(&self) -> u32 {
        self.whole
    }

    /// The first parts, so many.
    pub(crate) fn first(&self, parts: u32) -> Vec<StoredPart> {
        self.stored.range(..=parts).map(|(_, part)| part.clone()).collect()
    }

    pub(crate) fn next_number(&self) -> u32 {
        self.next_number
    }

    /// Waits while as many parts are under way as may be at once.
    pub(crate) async fn room(&mut self) -> Result<(), StoreError> {
        while self.failed.is_some() || self.under_way.len() >= self.upload.parallelism().max(1) {
            self.next_arrival().await?;
        }
        Ok(())
    }

    /// Sends a part on its way, as soon as there is [`room`](Self::room).
    pub(crate) async fn send(&mut self, body: Bytes) -> Result<(), StoreError> {
        if self.next_number > MOST_PARTS {
            let source = format!("expected at most {MOST_PARTS} parts, got one more").into();
            return Err(StoreError::Refused { operation: "storing a part", source });
        }
        self.room().await?;
        // Buffers that nobody has asked for by now do not pile up.
        self.left.clear();
        let part = Part { number: self.next_number, offset: self.next_offset, body };
        self.next_number += 1;
        self.next_offset += part.body.len() as u64;
        let upload = Arc::clone(&self.upload);
        let arrive = async move {
            let body = part.body.clone();
            upload.part(part).await.map(|stored| Arrival { stored, body })
        };
        self.under_way.spawn(arrive.in_current_span());
        Ok(())
    }

    /// A buffer that a part has left behind, empty. Memory that is asked for and given back for every part is more than what
    /// is used at any one time: glibc keeps the pieces.
    pub(crate) fn spare(&mut self) -> Vec<u8> {
        // Unless somebody still looks at it, or it is as large as a large cell: that room is not needed again.
        let most = 4 * part_bytes(self.next_number);
        let mut buffers = self.left.drain(..).filter_map(|body| body.try_into_mut().ok());
        let mut buffer = buffers.find(|buffer| buffer.capacity() <= most).unwrap_or_default();
        // Before it becomes a vector, which would move what is in it.
        buffer.clear();
        buffer.into()
    }

    /// Waits for every part and puts them together.
    pub(crate) async fn complete(&mut self, total: Total) -> Result<(), StoreError> {
        while self.failed.is_some() || !self.under_way.is_empty() {
            self.next_arrival().await?;
        }
        self.upload.complete(self.stored.values().cloned().collect(), total).await
    }

    /// Waits for the parts under way, and leaves the upload to whoever goes on with it. Parts that do not arrive are sent again by
    /// them.
    pub(crate) async fn pause(&mut self) {
        let arrivals = async {
            while self.failed.is_some() || !self.under_way.is_empty() {
                // One that has failed ends what is whole, and that is all there is to it.
                drop(self.next_arrival().await);
            }
        };
        if tokio::time::timeout(GRACE, arrivals).await.is_err() {
            self.under_way.shutdown().await;
        }
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

    /// Takes note of what has arrived, without waiting for it. What has failed is said by whoever waits next.
    pub(crate) fn note_arrivals(&mut self) {
        while self.failed.is_none()
            && let Some(joined) = self.under_way.try_join_next()
        {
            self.failed = self.arrived(Some(joined)).err();
        }
    }

    async fn next_arrival(&mut self) -> Result<(), StoreError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let joined = self.under_way.join_next().await;
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
                while self.stored.contains_key(&(self.whole + 1)) {
                    self.whole += 1;
                }
                self.left.push(body);
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

    /// Takes every part, and keeps it if that is wanted.
    #[derive(Default)]
    struct Taker {
        kept: Option<Arc<Mutex<Vec<Bytes>>>>,
    }

    impl Upload for Taker {
        fn parallelism(&self) -> usize {
            2
        }

        async fn part(&self, part: Part) -> Result<StoredPart, StoreError> {
            if let Some(kept) = &self.kept {
                kept.lock().unwrap().push(part.body);
            }
            Ok(StoredPart { number: part.number, etag: String::new(), checksum: None })
        }

        async fn complete(&self, _: Vec<StoredPart>, _: Total) -> Result<(), StoreError> {
            Ok(())
        }

        async fn abort(&self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    async fn buffer(uploads: &mut PartUploads<Taker>) -> Vec<u8> {
        uploads.room().await.unwrap();
        uploads.spare()
    }

    #[tokio::test]
    async fn three_buffers_are_enough_for_any_number_of_parts() {
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
    async fn what_somebody_still_has_is_not_written_over() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let mut uploads = PartUploads::new(Taker { kept: Some(Arc::clone(&kept)) });
        for number in 0..10 {
            let mut part = buffer(&mut uploads).await;
            part.resize(1000, number);
            uploads.send(part.into()).await.unwrap();
        }
        uploads.complete(Total { bytes: 10_000, crc64nvme: 0 }).await.unwrap();
        let mut kept = std::mem::take(&mut *kept.lock().unwrap());
        kept.sort();
        assert!(kept.into_iter().eq((0..10).map(|number| Bytes::from(vec![number; 1000]))));
    }

    #[tokio::test]
    async fn buffers_that_nobody_asks_for_do_not_pile_up() {
        let mut uploads = PartUploads::new(Taker::default());
        for _ in 0..100 {
            uploads.send(vec![7; 1000].into()).await.unwrap();
            assert!(uploads.left.len() <= 2, "{}", uploads.left.len());
        }
    }

    #[tokio::test]
    async fn the_room_for_a_large_cell_is_given_back() {
        let mut uploads = PartUploads::new(Taker::default());
        let mut large = Vec::with_capacity(5 * part_bytes(1));
        large.push(1);
        uploads.send(large.into()).await.unwrap();
        uploads.next_arrival().await.unwrap();
        assert_eq!(uploads.spare().capacity(), 0);
    }

    #[tokio::test]
    async fn there_is_no_part_after_the_last_that_s3_takes() {
        let mut uploads = PartUploads::new(Taker::default());
        for _ in 0..MOST_PARTS {
            uploads.send(vec![7].into()).await.unwrap();
        }
        let error = uploads.send(vec![7].into()).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
        assert_eq!(
            crate::failure::chain(&error),
            "storing a part: the store refused: expected at most 10000 parts, got one more"
        );
    }

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
