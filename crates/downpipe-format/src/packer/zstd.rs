//! Zstandard: a file is one or more frames, and unpacks to all of them in a row. RFC 8878, section 3

use std::io;

use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation as _, OutBuffer};
use zstd::zstd_safe::CCtx;

use crate::buffer::take_all;

/// Level 3 does 218 and 476 MB/s on the CSV that [`DEFLATE_LEVEL`](super::DEFLATE_LEVEL) was measured with and leaves 36 and
/// 13 % of the bytes; level 1 does 357 and 711 MB/s and leaves 36 and 22 %. Its context takes 3.6 MB, of which 2 MB are the
/// window, which whoever reads the file needs too.
const LEVEL: i32 = 3;

/// Writes a frame for every part, all with one context.
#[derive(Default)]
pub(super) struct Zstd {
    /// Made when the first bytes come.
    encoder: Option<Encoder<'static>>,
    out: Vec<u8>,
    spare: Vec<u8>,
    in_frame: bool,
    /// Whether there has been a frame, without which a file is none.
    begun: bool,
}

impl Zstd {
    /// There is a frame already, which somebody else wrote.
    pub(super) fn begun(&mut self) {
        self.begun = true;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        (self.in_frame, self.begun) = (true, true);
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
        // Until it says that it holds nothing any more. It is ready for the next frame then.
        while self.step(|encoder, out| encoder.finish(out, false))? > 0 {}
        self.in_frame = false;
        Ok(take_all(&mut self.out, &mut self.spare))
    }

    pub(super) fn reuse(&mut self, buffer: Vec<u8>) {
        *(if self.encoder.is_none() { &mut self.out } else { &mut self.spare }) = buffer;
    }

    pub(super) fn finish(&mut self) -> io::Result<Vec<u8>> {
        self.in_frame |= !self.begun;
        self.take_part()
    }

    /// Lets the encoder write to the end of the buffer, where it has room for a block.
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
