//! Sending one object to the store: bytes become parts.

use std::collections::VecDeque;
use std::pin::Pin;

use bytes::Bytes;

use super::background::BackgroundWorker;
use super::hasher::Digests;
use super::part_uploader::{PartUploads, part_bytes};
use crate::job::{Checkpoint, ObjectDigest, RowPosition, StoredPart};
use crate::store::{NewObject, ObjectStore, StoreError, Upload as _};

/// Writes one object.
pub(crate) struct ObjectWriter<'a, S: ObjectStore> {
    object: NewObject,
    /// Bytes that were sent.
    bytes: u64,
    /// Hashes a part while it is sent and the next one is filled.
    digests: BackgroundWorker<Hashing>,
    /// Parts after which another run could resume, the oldest first: those that may not have arrived, and the last one that has.
    marks: VecDeque<PartMark>,
    /// Begun with the first full part. Most results are smaller than that, and one request stores them.
    uploads: Option<PartUploads<S::Upload>>,
    /// An upload that is being begun. The caller may stop waiting for it at any moment, and the store has begun it all the same. It is
    /// kept, so that it can still be aborted.
    beginning: Option<Beginning<'a, S::Upload>>,
}

type Beginning<'a, U> = Pin<Box<dyn Future<Output = Result<U, StoreError>> + Send + 'a>>;

/// An object that is whole in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredObject {
    pub(crate) object: NewObject,
    pub(crate) total: ObjectDigest,
    pub(crate) sha256: String,
}

/// The end of a part at which a row ends.
struct PartMark {
    part: u32,
    bytes: u64,
    row: RowPosition,
    /// The digests up to there, as soon as they are known.
    digests: Option<Digests>,
}

/// How far the object is in the store.
pub(crate) struct UploadPosition {
    pub(crate) upload: Option<String>,
    pub(crate) object_key: String,
    pub(crate) parts: Vec<StoredPart>,
    pub(crate) bytes: u64,
    pub(crate) digests: Digests,
    pub(crate) row: RowPosition,
}

impl UploadPosition {
    /// The position before anything of the object is there.
    pub(crate) fn before(object: &NewObject, row: RowPosition) -> Self {
        Self {
            upload: None,
            object_key: object.key.clone(),
            parts: Vec::new(),
            bytes: 0,
            digests: Digests::new(),
            row,
        }
    }
}

/// The digests, and copies of them at the ends of parts.
struct Hashing {
    digests: Digests,
    copies: Vec<(u32, Digests)>,
}

impl StoredObject {
    /// Returns this object with the proof of its content among its metadata.
    pub(crate) fn proven(&self, mut object: NewObject, rows: u64) -> NewObject {
        object.metadata.insert("downpipe-rows", rows.to_string());
        object.metadata.insert("downpipe-sha256", self.sha256.clone());
        object
    }
}

impl<'a, S: ObjectStore> ObjectWriter<'a, S> {
    pub(crate) fn new(object: NewObject) -> Self {
        let digests = BackgroundWorker::new(Hashing { digests: Digests::new(), copies: Vec::new() });
        Self { object, bytes: 0, digests, marks: VecDeque::new(), uploads: None, beginning: None }
    }

    /// Resumes an object that an earlier run began.
    pub(crate) fn resume(object: NewObject, upload: S::Upload, from: &Checkpoint, digests: Digests) -> Self {
        let uploads = PartUploads::resume(upload, from.parts.clone(), from.bytes);
        let mark = PartMark {
            part: uploads.contiguous_parts(),
            bytes: from.bytes,
            row: from.row_position(),
            digests: Some(digests.clone()),
        };
        Self {
            object,
            bytes: from.bytes,
            digests: BackgroundWorker::new(Hashing { digests, copies: Vec::new() }),
            marks: VecDeque::from([mark]),
            uploads: Some(uploads),
            beginning: None,
        }
    }

    /// Returns the bytes that were sent.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the size at which the next part is cut.
    pub(crate) fn part_bytes(&self) -> usize {
        part_bytes(self.uploads.as_ref().map_or(1, PartUploads::next_number))
    }

    /// Gives the object its final key and name, if nothing of it has been sent under another.
    pub(crate) fn readdress(&mut self, object: NewObject) {
        if self.uploads.is_none() {
            self.object = object;
        }
    }

    /// Waits until another part may be sent, and returns a buffer for the one after it.
    pub(crate) async fn wait_for_capacity(&mut self) -> Result<Vec<u8>, StoreError> {
        let Some(uploads) = &mut self.uploads else { return Ok(Vec::new()) };
        uploads.wait_for_capacity().await?;
        Ok(uploads.take_spare_buffer())
    }

    /// Sends a part. With a position, it ends with that row, and another run could resume after it.
    pub(crate) async fn part(
        &mut self,
        store: &'a S,
        body: Vec<u8>,
        position: Option<RowPosition>,
    ) -> Result<(), StoreError> {
        let uploads = match &mut self.uploads {
            Some(uploads) => uploads,
            none => {
                none.insert(PartUploads::new(begin_upload(&mut self.beginning, store, &self.object).await?))
            }
        };
        let body = Bytes::from(body);
        self.bytes += body.len() as u64;
        let part = uploads.next_number();
        uploads.send(body.clone()).await?;
        let is_marked = position.is_some();
        // The only moment at which no part is hashed: the part before is done, and this one comes next.
        let Ok(_) = self.digests.wait().await;
        self.note_digests();
        self.marks.extend(position.map(|row| PartMark { part, bytes: self.bytes, row, digests: None }));
        let hashing = move |hashing: &mut Hashing| {
            hashing.digests.update(&body);
            if is_marked {
                hashing.copies.push((part, hashing.digests.clone()));
            }
            Ok(())
        };
        // Waits for the part before. So parts are hashed in order, and at most one is kept only because it is not hashed yet.
        let Ok(()) = self.digests.start(hashing).await;
        Ok(())
    }

    /// Returns how far the object is in the store, if another run could resume there.
    pub(crate) fn position(&mut self) -> Option<UploadPosition> {
        self.note_digests();
        let uploads = self.uploads.as_mut()?;
        uploads.note_arrivals();
        let arrived = uploads.contiguous_parts();
        let reached = |mark: &PartMark| mark.part <= arrived && mark.digests.is_some();
        while self.marks.get(1).is_some_and(reached) {
            self.marks.pop_front();
        }
        let mark = self.marks.front().filter(|mark| reached(mark))?;
        Some(UploadPosition {
            upload: Some(uploads.name()),
            object_key: self.object.key.clone(),
            parts: uploads.first(mark.part),
            bytes: mark.bytes,
            digests: mark.digests.clone()?,
            row: mark.row.clone(),
        })
    }

    /// Waits for parts in flight, and leaves the object to the run that resumes it.
    pub(crate) async fn pause(&mut self) {
        if let Some(uploads) = &mut self.uploads {
            uploads.pause().await;
        }
        let Ok(_) = self.digests.wait().await;
    }

    /// Hands the copies of the digests to the marks that wait for them.
    fn note_digests(&mut self) {
        let Some(hashing) = self.digests.idle() else { return };
        for (part, digests) in hashing.copies.drain(..) {
            if let Some(mark) = self.marks.iter_mut().find(|mark| mark.part == part) {
                mark.digests = Some(digests);
            }
        }
    }

    /// Sends the last part and completes the object, in which there are so many rows. Only to be called for a result that is
    /// proven whole, or under a staged name.
    pub(crate) async fn complete(
        &mut self,
        store: &S,
        rest: Vec<u8>,
        rows: u64,
    ) -> Result<StoredObject, StoreError> {
        let rest = Bytes::from(rest);
        self.bytes += rest.len() as u64;
        let Ok(hashing) = self.digests.wait().await;
        hashing.digests.update(&rest);
        let total = ObjectDigest { bytes: self.bytes, crc64nvme: hashing.digests.crc64nvme() };
        let sha256 = hashing.digests.sha256();
        let mut stored = StoredObject { object: self.object.clone(), total, sha256 };
        match &mut self.uploads {
            None => {
                stored.object = stored.proven(stored.object.clone(), rows);
                store.put(&stored.object, rest, total).await?;
            }
            Some(uploads) => {
                if !rest.is_empty() {
                    uploads.send(rest).await?;
                }
                uploads.complete(total).await?;
            }
        }
        Ok(stored)
    }

    /// Aborts the upload and leaves nothing behind.
    pub(crate) async fn abort(self) -> Result<(), StoreError> {
        match (self.uploads, self.beginning) {
            (Some(uploads), _) => uploads.abort().await,
            (None, Some(beginning)) => match beginning.await {
                Ok(upload) => upload.abort().await,
                Err(_) => Ok(()),
            },
            (None, None) => Ok(()),
        }
    }
}

/// Begins an upload, and keeps it in `beginning` until it has begun.
async fn begin_upload<'a, S: ObjectStore>(
    beginning: &mut Option<Beginning<'a, S::Upload>>,
    store: &'a S,
    object: &NewObject,
) -> Result<S::Upload, StoreError> {
    let object = object.clone();
    let begun = beginning.insert(Box::pin(async move { store.begin(&object).await })).await;
    *beginning = None;
    begun
}
