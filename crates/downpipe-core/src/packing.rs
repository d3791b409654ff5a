//! Chunks of files become parts of an object, on another thread where that takes time.

use std::io;

use downpipe_format::{Compression, EncodeError, Packer};

use crate::offload::Offload;
use crate::parts::part_bytes;

/// A [`Packer`] that compresses a chunk while the rows of the next one are read.
pub(crate) struct Packing {
    packer: Offload<Packer, io::Error>,
    compresses: bool,
    /// What the packer had, in bytes, when it was last idle.
    buffered: usize,
}

impl Packing {
    /// For one object.
    pub(crate) fn new(compression: Compression) -> Self {
        Self::with(Packer::new(compression), compression)
    }

    /// For the rest of an object of which another run has sent parts.
    pub(crate) fn go_on(compression: Compression) -> Self {
        Self::with(Packer::go_on(compression), compression)
    }

    fn with(mut packer: Packer, compression: Compression) -> Self {
        let compresses = compression != Compression::None;
        if compresses {
            packer.reuse(part_buffer());
        }
        Self { packer: Offload::new(packer), compresses, buffered: 0 }
    }

    /// Whether what is pushed becomes something else.
    pub(crate) fn compresses(&self) -> bool {
        self.compresses
    }

    /// Bytes that are packed and not given away yet. What is being compressed now is not among them.
    pub(crate) fn buffered(&self) -> usize {
        self.buffered
    }

    /// Begins a file. The one before must have ended.
    pub(crate) fn begin_file(&mut self, name: &str) -> Result<(), EncodeError> {
        let Some(packer) = self.packer.idle() else { unreachable!("what ended has been waited for") };
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
    pub(crate) async fn has(&mut self, bytes: usize) -> Result<bool, EncodeError> {
        self.change(|_| Ok(())).await?;
        Ok(self.buffered >= bytes)
    }

    /// Takes the bytes for a part, and leaves a buffer for those of the next one.
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

    /// Ends the object, and gives what is left of it.
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

/// A buffer for a part and for what a chunk adds to it. As large as that from the start: grown step by step, or replaced because
/// the next part is a little longer, buffers leave as much again behind in holes.
fn part_buffer() -> Vec<u8> {
    Vec::with_capacity(part_bytes(1) + part_bytes(1) / 8)
}
