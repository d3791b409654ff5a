//! gzip: a file is one or more members, and unpacks to all of them in a row. RFC 1952, section 2.2

use std::io::{self, Write as _};

use flate2::{GzBuilder, write::GzEncoder};

use super::DEFLATE_LEVEL;
use crate::buffer;

/// Writes a member for every part.
#[derive(Default)]
pub(super) struct Gzip {
    member: Option<GzEncoder<Vec<u8>>>,
    /// Whether there has been a member, without which a file is none.
    begun: bool,
    /// For the next member.
    buffer: Vec<u8>,
}

impl Gzip {
    /// There is a member already, which somebody else wrote.
    pub(super) fn begun(&mut self) {
        self.begun = true;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.member().write_all(bytes)
    }

    pub(super) fn buffered(&self) -> usize {
        self.member.as_ref().map_or(0, |member| member.get_ref().len())
    }

    pub(super) fn take_part(&mut self) -> io::Result<Vec<u8>> {
        let Some(member) = self.member.take() else { return Ok(Vec::new()) };
        let part = member.finish()?;
        self.buffer = buffer::after(&part, &mut self.buffer);
        Ok(part)
    }

    pub(super) fn reuse(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }

    pub(super) fn finish(&mut self) -> io::Result<Vec<u8>> {
        if !self.begun {
            self.member();
        }
        self.take_part()
    }

    /// The member that is being written. Without a time and a name, so that the same bytes always give the same file.
    fn member(&mut self) -> &mut GzEncoder<Vec<u8>> {
        self.begun = true;
        let buffer = &mut self.buffer;
        self.member.get_or_insert_with(|| {
            let level = flate2::Compression::new(DEFLATE_LEVEL);
            GzBuilder::new().mtime(0).write(std::mem::take(buffer), level)
        })
    }
}
