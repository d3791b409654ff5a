//! Compressing a file's bytes, on another thread, while the next rows are read.

use std::io;

use downpipe_format::{Compression, EncodeError, Packer};

use super::background::BackgroundWorker;
use super::part_uploader::part_bytes;

/// Compresses a chunk while the rows of the next one are read.
pub(crate) struct Compressor {
    packer: BackgroundWorker<Packer, io::Error>,
    compresses: bool,
    /// Bytes that the packer had when it was last idle.
    buffered: usize,
}

impl Compressor {
    /// A compressor for one object.
    pub(crate) fn new(compression: Compression) -> Self {
        Self::with(Packer::new(compression), compression)
    }

    /// A compressor for the rest of an object of which another run has sent parts.
    pub(crate) fn resume(compression: Compression) -> Self {
        Self::with(Packer::resume(compression), compression)
    }

    fn with(mut packer: Packer, compression: Compression) -> Self {
        let compresses = compression != Compression::None;
        if compresses {
            packer.reuse(part_buffer());
        }
        Self { packer: BackgroundWorker::new(packer), compresses, buffered: 0 }
    }

    /// Whether the bytes that are pushed become others.
    pub(crate) fn compresses(&self) -> bool {
        self.compresses
    }

    /// Returns the bytes that are packed and not taken yet, without those that are being compressed now.
    pub(crate) fn buffered(&self) -> usize {
        self.buffered
    }

    /// Begins a file. The one before must have ended.
    pub(crate) fn begin_file(&mut self, name: &str) -> Result<(), EncodeError> {
        let Some(packer) = self.packer.idle() else { unreachable!("the end of a file has been waited for") };
        packer.begin_file(name).map_err(EncodeError::Compress)
    }

    /// Packs a chunk: at once, or on another thread.
    pub(crate) async fn push(&mut self, chunk: Vec<u8>) -> Result<(), EncodeError> {
        if self.compresses {
            self.packer.start(|packer| packer.push(chunk)).await.map_err(EncodeError::Compress)
        } else {
            self.change(|packer| packer.push(chunk)).await
        }
    }

    /// Waits for what is being compressed, and says whether there are so many bytes.
    pub(crate) async fn holds(&mut self, bytes: usize) -> Result<bool, EncodeError> {
        self.change(|_| Ok(())).await?;
        Ok(self.buffered >= bytes)
    }

    /// Takes the bytes for a part, and leaves the buffer for those of the next one.
    pub(crate) async fn take_part(&mut self, buffer: Vec<u8>) -> Result<Vec<u8>, EncodeError> {
        let buffer = if self.compresses && buffer.capacity() == 0 { part_buffer() } else { buffer };
        self.change(|packer| {
            packer.reuse(buffer);
            packer.take_part()
        })
        .await
    }

    /// Ends the file.
    pub(crate) async fn end_file(&mut self) -> Result<(), EncodeError> {
        self.change(Packer::end_file).await
    }

    /// Ends the object, and returns what is left of it.
    pub(crate) async fn finish(&mut self) -> Result<Vec<u8>, EncodeError> {
        self.change(Packer::finish).await
    }

    async fn change<R>(
        &mut self,
        change: impl FnOnce(&mut Packer) -> io::Result<R>,
    ) -> Result<R, EncodeError> {
        let packer = self.packer.wait().await.map_err(EncodeError::Compress)?;
        let changed = change(packer).map_err(EncodeError::Compress);
        self.buffered = packer.buffered();
        changed
    }
}

/// Returns a buffer for a part and for what a chunk adds to it. It has that capacity from the start: growing it step by step, or
/// replacing it because the next part is a little longer, would fragment as much memory again.
fn part_buffer() -> Vec<u8> {
    Vec::with_capacity(part_bytes(1) + part_bytes(1) / 8)
}
