//! One object from a file's bytes to the store: they are compressed, cut into parts and sent.

use downpipe_format::{Compression, EncodeError, Encoder};

use super::compressor::Compressor;
use super::object_writer::{ObjectWriter, StoredObject, UploadPosition};
use crate::job::RowPosition;
use crate::source::SinkError;
use crate::store::{NewObject, ObjectStore, StoreError};

/// Bytes that go to a compressor at once; a part of the upload is made of many of these.
const CHUNK_BYTES: usize = 1 << 20;

/// Compresses and sends the files of one object: one, or all files of an archive.
pub(crate) struct ObjectPipeline<'a, S: ObjectStore> {
    store: &'a S,
    compressor: Compressor,
    object: ObjectWriter<'a, S>,
    /// The last row that has gone to the compressor, if another run could resume after it.
    position_in_compressor: Option<RowPosition>,
}

impl<'a, S: ObjectStore> ObjectPipeline<'a, S> {
    /// Begins an object.
    pub(crate) fn new(store: &'a S, object: NewObject, compression: Compression) -> Self {
        let (compressor, object) = (Compressor::new(compression), ObjectWriter::new(object));
        Self { store, compressor, object, position_in_compressor: None }
    }

    /// Resumes an object of which an earlier run has sent parts.
    pub(crate) fn resume(store: &'a S, object: ObjectWriter<'a, S>, compression: Compression) -> Self {
        Self { store, compressor: Compressor::resume(compression), object, position_in_compressor: None }
    }

    /// Whether the bytes become others on their way.
    pub(crate) fn compresses(&self) -> bool {
        self.compressor.compresses()
    }

    /// Returns the bytes at which it is worth while to [send](Self::send).
    pub(crate) fn chunk_bytes(&self) -> usize {
        if self.compressor.compresses() { CHUNK_BYTES } else { self.object.part_bytes() }
    }

    /// Returns the bytes that were sent or are ready to go.
    pub(crate) fn bytes(&self) -> u64 {
        self.object.bytes() + self.compressor.buffered() as u64
    }

    /// Gives the object its final key and name, if nothing of it has been sent under another.
    pub(crate) fn readdress(&mut self, object: NewObject) {
        self.object.readdress(object);
    }

    /// Begins a file. The one before must have ended.
    pub(crate) fn begin_file(&mut self, name: &str) -> Result<(), EncodeError> {
        self.compressor.begin_file(name)
    }

    /// Takes what the file has so far, and sends as many parts as there are. All rows up to the position are in it.
    pub(crate) async fn send(
        &mut self,
        file: &mut dyn Encoder,
        position: Option<RowPosition>,
    ) -> Result<(), SinkError> {
        while file.buffered() > 0 {
            if self.compressor.compresses() {
                // A part of the chunks before. This chunk is not waited for: it is compressed while the next rows are read.
                self.send_part().await?;
                self.compress(file, &position).await?;
            } else {
                // What is taken now travels at once. First there must be capacity for it, because a part that has arrived by
                // then leaves its buffer to the rows that come next.
                file.reuse(self.object.wait_for_capacity().await?);
                self.compress(file, &position).await?;
                self.send_part().await?;
            }
        }
        Ok(())
    }

    async fn compress(
        &mut self,
        file: &mut dyn Encoder,
        position: &Option<RowPosition>,
    ) -> Result<(), SinkError> {
        self.compressor.push(file.take(self.chunk_bytes())?).await?;
        // What is left of a chunk has rows whose position is not known.
        self.position_in_compressor = if file.buffered() == 0 { position.clone() } else { None };
        Ok(())
    }

    /// Sends what is compressed, if it is enough for a part.
    async fn send_part(&mut self) -> Result<(), SinkError> {
        if self.compressor.holds(self.object.part_bytes()).await? {
            let buffer = self.object.wait_for_capacity().await?;
            let part = self.compressor.take_part(buffer).await?;
            let position = self.position_in_compressor.take();
            self.object.part(self.store, part, position).await?;
        }
        Ok(())
    }

    /// Ends a file, all of which has been [sent](Self::send).
    pub(crate) async fn end_file(&mut self) -> Result<(), SinkError> {
        Ok(self.compressor.end_file().await?)
    }

    /// Completes the object, in which there are so many rows.
    pub(crate) async fn complete(&mut self, rows: u64) -> Result<StoredObject, SinkError> {
        let rest = self.compressor.finish().await?;
        Ok(self.object.complete(self.store, rest, rows).await?)
    }

    /// Returns how far the object is in the store, if another run could resume there.
    pub(crate) fn position(&mut self) -> Option<UploadPosition> {
        self.object.position()
    }

    /// Waits for parts in flight, and leaves the object to the run that resumes it.
    pub(crate) async fn pause(&mut self) {
        self.object.pause().await;
    }

    /// Aborts the object and leaves nothing of it behind.
    pub(crate) async fn abort(self) -> Result<(), StoreError> {
        self.object.abort().await
    }
}
