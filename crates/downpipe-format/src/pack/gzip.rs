//! Writes gzip. A file is one or more members, and unpacks to all of them in order. RFC 1952, section 2.2

use std::io::{self, Write as _};

use flate2::GzBuilder;
use flate2::write::GzEncoder;

use super::level::DEFLATE_LEVEL;
use crate::buffer;

/// Writes a member for every part.
#[derive(Default)]
pub(super) struct Gzip {
    member: Option<GzEncoder<Vec<u8>>>,
    /// Whether there has been a member. A file has at least one.
    has_member: bool,
    /// The buffer of the next member.
    spare_buffer: Vec<u8>,
}

impl Gzip {
    /// Resumes a file of which another run has written a member.
    pub(super) fn resume(&mut self) {
        self.has_member = true;
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
        self.spare_buffer = buffer::after(&part, &mut self.spare_buffer);
        Ok(part)
    }

    pub(super) fn reuse(&mut self, buffer: Vec<u8>) {
        self.spare_buffer = buffer;
    }

    pub(super) fn finish(&mut self) -> io::Result<Vec<u8>> {
        if !self.has_member {
            self.member();
        }
        self.take_part()
    }

    /// Returns the current member. It has neither time nor name, so that the same bytes always give the same file.
    fn member(&mut self) -> &mut GzEncoder<Vec<u8>> {
        self.has_member = true;
        let buffer = &mut self.spare_buffer;
        self.member.get_or_insert_with(|| {
            let level = flate2::Compression::new(DEFLATE_LEVEL);
            GzBuilder::new().mtime(0).write(std::mem::take(buffer), level)
        })
    }
}
