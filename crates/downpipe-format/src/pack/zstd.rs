//! Writes Zstandard. A file is one or more frames, and unpacks to all of them in order. RFC 8878, section 3

use std::io;

use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation as _, OutBuffer};
use zstd::zstd_safe::CCtx;

use crate::buffer::take_all;

/// The level. Its context takes 3.6 MB, of which 2 MB are the window, which readers of the file need, too.
///
/// On the CSV with which [`DEFLATE_LEVEL`](super::level::DEFLATE_LEVEL) was measured, level 3 does 218 and 476 MB/s and leaves 36 and
/// 13 % of the bytes. Level 1 does 357 and 711 MB/s and leaves 36 and 22 %.
const LEVEL: i32 = 3;

/// Writes a frame for every part, all with one context.
#[derive(Default)]
pub(super) struct Zstd {
    /// Created with the first bytes.
    encoder: Option<Encoder<'static>>,
    out: Vec<u8>,
    spare_buffer: Vec<u8>,
    in_frame: bool,
    /// Whether there has been a frame. A file has at least one.
    has_frame: bool,
}

impl Zstd {
    /// Resumes a file of which another run has written a frame.
    pub(super) fn resume(&mut self) {
        self.has_frame = true;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        (self.in_frame, self.has_frame) = (true, true);
        let mut input = InBuffer::around(bytes);
        while input.pos() < bytes.len() {
            self.step(|encoder, out| encoder.run(&mut input, out))?;
        }
        Ok(())
    }

    pub(super) fn buffered(&self) -> usize {
        self.out.len()
    }

    pub(super) fn take_part(&mut self) -> io::Result<Vec<u8>> {
        if !self.in_frame {
            return Ok(Vec::new());
        }
        // Until it holds no more bytes. Then it is ready for the next frame.
        while self.step(|encoder, out| encoder.finish(out, false))? > 0 {}
        self.in_frame = false;
        Ok(take_all(&mut self.out, &mut self.spare_buffer))
    }

    pub(super) fn reuse(&mut self, buffer: Vec<u8>) {
        *(if self.encoder.is_none() { &mut self.out } else { &mut self.spare_buffer }) = buffer;
    }

    pub(super) fn finish(&mut self) -> io::Result<Vec<u8>> {
        self.in_frame |= !self.has_frame;
        self.take_part()
    }

    /// Lets the encoder append to the buffer, which has room for a block.
    fn step(
        &mut self,
        run: impl FnOnce(&mut Encoder<'static>, &mut OutBuffer<'_, Vec<u8>>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(new_encoder()?),
        };
        self.out.reserve(CCtx::out_size());
        let end = self.out.len();
        run(encoder, &mut OutBuffer::around_pos(&mut self.out, end))
    }
}

fn new_encoder() -> io::Result<Encoder<'static>> {
    let mut encoder = Encoder::new(LEVEL)?;
    encoder.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(encoder)
}
