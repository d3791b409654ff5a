//! Writes zip archives that are sent while they are written.
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, cited by section
//!
//! Entries are written as Java and Go write theirs: the lengths follow the data, in 32 bits if they fit. The crate `zip` must know
//! beforehand whether an entry passes 4 GiB, which is not known here. If it assumes so for every entry, Java 17 cannot read small
//! ones from a stream. In the tests, that crate reads the archives.

use std::io::{self, Write as _};

use flate2::Crc;
use flate2::write::DeflateEncoder;

use super::level::DEFLATE_LEVEL;
use crate::buffer::take_all;

/// Bit 3: the checksum and the lengths follow the data. Bit 11: names are in UTF-8. 4.4.4
const FLAGS: u16 = 1 << 3 | 1 << 11;
/// The method "deflated". 4.4.5
const DEFLATED: u16 = 8;
/// 1980-01-01 00:00, the format's first time, so that the same bytes always give the same archive. 4.4.6
const TIME: u32 = (1 << 5 | 1) << 16;
/// The version of the format that has Deflate. 4.4.3
const VERSION_DEFLATE: u16 = 20;
/// The version of the format that has lengths of 64 bits. 4.4.3
const VERSION_ZIP64: u16 = 45;
/// Made on Unix, so that attributes are those of Unix. 4.4.2
const MADE_BY: u16 = 3 << 8 | VERSION_ZIP64;
/// A regular file that every user may read. 4.4.15
const ATTRIBUTES: u32 = 0o100_644 << 16;

/// Writes an archive. Of a file that has ended it keeps its entry in the directory: less than 100 bytes and the name.
#[derive(Default)]
pub(super) struct Zip {
    /// Bytes that wait. Within a file, its compressor has them.
    out: Vec<u8>,
    spare_buffer: Vec<u8>,
    entry: Option<Entry>,
    /// Bytes that were taken.
    taken: u64,
    directory: Vec<u8>,
    entries: u64,
}

/// The file that is being written.
struct Entry {
    name: String,
    name_len: u16,
    /// Where it begins in the archive.
    offset: u64,
    crc: Crc,
    data: DeflateEncoder<Vec<u8>>,
}

impl Zip {
    pub(super) fn begin_file(&mut self, name: &str) -> io::Result<()> {
        let name_len = u16::try_from(name.len()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "a name in a zip archive has 65,535 bytes at most")
        })?;
        let offset = self.position();
        let mut out = std::mem::take(&mut self.out);
        // Local file header. 4.3.7
        put32(&mut out, 0x0403_4b50);
        put16(&mut out, VERSION_DEFLATE);
        put16(&mut out, FLAGS);
        put16(&mut out, DEFLATED);
        put32(&mut out, TIME);
        // Checksum and lengths follow the data.
        out.extend_from_slice(&[0; 12]);
        put16(&mut out, name_len);
        put16(&mut out, 0);
        out.extend_from_slice(name.as_bytes());
        // A workbook is compressed already. The method "stored" would not do: read from a stream, its data has no end.
        let level = if name.ends_with(".xlsx") { 0 } else { DEFLATE_LEVEL };
        let data = DeflateEncoder::new(out, flate2::Compression::new(level));
        self.entry = Some(Entry { name: name.to_owned(), name_len, offset, crc: Crc::new(), data });
        Ok(())
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(entry) = &mut self.entry else { return Ok(()) };
        entry.crc.update(bytes);
        entry.data.write_all(bytes)
    }

    pub(super) fn end_file(&mut self) -> io::Result<()> {
        let Some(Entry { name, name_len, offset, crc, mut data }) = self.entry.take() else { return Ok(()) };
        data.try_finish()?;
        let (compressed, uncompressed) = (data.total_out(), data.total_in());
        self.out = data.finish()?;

        self.put_descriptor(crc.sum(), compressed, uncompressed);
        self.put_directory_entry(&name, name_len, crc.sum(), [compressed, uncompressed, offset]);
        self.entries += 1;
        Ok(())
    }

    /// Writes the data descriptor. 4.3.9
    fn put_descriptor(&mut self, crc: u32, compressed: u64, uncompressed: u64) {
        let out = &mut self.out;
        put32(out, 0x0807_4b50);
        put32(out, crc);
        match (fitting32(compressed), fitting32(uncompressed)) {
            (Some(compressed), Some(uncompressed)) => {
                put32(out, compressed);
                put32(out, uncompressed);
            }
            _ => {
                put64(out, compressed);
                put64(out, uncompressed);
            }
        }
    }

    /// Writes the file's entry in the directory. 4.3.12
    fn put_directory_entry(
        &mut self,
        name: &str,
        name_len: u16,
        crc: u32,
        [compressed, uncompressed, offset]: [u64; 3],
    ) {
        let short = match (fitting32(compressed), fitting32(uncompressed), fitting32(offset)) {
            (Some(compressed), Some(uncompressed), Some(offset)) => Some((compressed, uncompressed, offset)),
            _ => None,
        };
        let directory = &mut self.directory;
        put32(directory, 0x0201_4b50);
        put16(directory, MADE_BY);
        put16(directory, if short.is_some() { VERSION_DEFLATE } else { VERSION_ZIP64 });
        put16(directory, FLAGS);
        put16(directory, DEFLATED);
        put32(directory, TIME);
        put32(directory, crc);
        let (short_compressed, short_uncompressed, short_offset) =
            short.unwrap_or((u32::MAX, u32::MAX, u32::MAX));
        put32(directory, short_compressed);
        put32(directory, short_uncompressed);
        put16(directory, name_len);
        put16(directory, if short.is_some() { 0 } else { 28 });
        // Comment, disk, internal attributes: none.
        directory.extend_from_slice(&[0; 6]);
        put32(directory, ATTRIBUTES);
        put32(directory, short_offset);
        directory.extend_from_slice(name.as_bytes());
        if short.is_none() {
            // 4.5.3
            put16(directory, 1);
            put16(directory, 24);
            put64(directory, uncompressed);
            put64(directory, compressed);
            put64(directory, offset);
        }
    }

    pub(super) fn buffered(&self) -> usize {
        self.entry.as_ref().map_or(&self.out, |entry| entry.data.get_ref()).len()
    }

    pub(super) fn take_part(&mut self) -> Vec<u8> {
        let out = self.entry.as_mut().map_or(&mut self.out, |entry| entry.data.get_mut());
        self.taken += out.len() as u64;
        take_all(out, &mut self.spare_buffer)
    }

    pub(super) fn reuse(&mut self, buffer: Vec<u8>) {
        *(if self.position() == 0 { &mut self.out } else { &mut self.spare_buffer }) = buffer;
    }

    pub(super) fn finish(&mut self) -> Vec<u8> {
        let start = self.position();
        let size = self.directory.len() as u64;
        self.out.append(&mut self.directory);
        let short = match (u16::try_from(self.entries), fitting32(size), fitting32(start)) {
            (Ok(entries), Some(size), Some(start)) if entries < u16::MAX => Some((entries, size, start)),
            _ => None,
        };
        if short.is_none() {
            self.put_end_64(size, start);
        }
        let out = &mut self.out;
        // End of the directory. 4.3.16
        let (entries, size, start) = short.unwrap_or((u16::MAX, u32::MAX, u32::MAX));
        put32(out, 0x0605_4b50);
        put32(out, 0);
        put16(out, entries);
        put16(out, entries);
        put32(out, size);
        put32(out, start);
        put16(out, 0);
        self.take_part()
    }

    /// Writes the end of the directory in 64 bits.
    fn put_end_64(&mut self, size: u64, start: u64) {
        let out = &mut self.out;
        // Its length, which does not include the first 12 bytes, is 44. 4.3.14
        put32(out, 0x0606_4b50);
        put64(out, 44);
        put16(out, MADE_BY);
        put16(out, VERSION_ZIP64);
        put64(out, 0);
        put64(out, self.entries);
        put64(out, self.entries);
        put64(out, size);
        put64(out, start);
        // Where it is, on the only disk. 4.3.15
        put32(out, 0x0706_4b50);
        put32(out, 0);
        put64(out, start + size);
        put32(out, 1);
    }

    /// Returns the bytes of the archive so far.
    fn position(&self) -> u64 {
        self.taken + self.buffered() as u64
    }
}

/// Returns a number that 32 bits hold. All bits set would mean that 64 bits are elsewhere. 4.4.1.4
fn fitting32(number: u64) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| *number < u32::MAX)
}

// Numbers are little-endian. 4.4.1.1

fn put16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use super::*;

    /// A disk that has only zeros before these bytes.
    struct Behind {
        start: u64,
        bytes: Vec<u8>,
        at: u64,
    }

    impl Read for Behind {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(at) = self.at.checked_sub(self.start) else {
                let len = buffer.len().min(usize::try_from(self.start - self.at).unwrap());
                buffer[..len].fill(0);
                self.at += len as u64;
                return Ok(len);
            };
            let mut rest = self.bytes.get(usize::try_from(at).unwrap()..).unwrap_or_default();
            let len = rest.read(buffer)?;
            self.at += len as u64;
            Ok(len)
        }
    }

    impl Seek for Behind {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            let end = self.start + self.bytes.len() as u64;
            let at = match to {
                SeekFrom::Start(at) => Some(at),
                SeekFrom::Current(by) => self.at.checked_add_signed(by),
                SeekFrom::End(by) => end.checked_add_signed(by),
            };
            self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
            Ok(self.at)
        }
    }

    /// Returns the end of an archive with one more file, after so many bytes were taken.
    fn ending(taken: u64) -> Vec<u8> {
        let mut zip = Zip { taken, ..Zip::default() };
        zip.begin_file("a.csv").unwrap();
        zip.push(b"a,b\n1,2\n").unwrap();
        zip.end_file().unwrap();
        zip.finish()
    }

    #[test]
    fn file_behind_4_gib_of_others_is_found() {
        for start in [0, 1000, u64::from(u32::MAX) - 1, u64::from(u32::MAX), 5 << 30] {
            let disk = Behind { start, bytes: ending(start), at: 0 };
            let mut archive = ::zip::ZipArchive::new(disk).unwrap();
            let mut file = archive.by_name("a.csv").unwrap();
            assert_eq!(file.header_start(), start);
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "a,b\n1,2\n");
        }
    }

    #[test]
    fn directory_that_fits_32_bits_has_no_64_bit_end() {
        let end64 = |bytes: &[u8]| bytes.windows(4).any(|four| four == b"PK\x06\x06");
        assert!(!end64(&ending(1000)));
        assert!(end64(&ending(5 << 30)));
        assert!(!end64(&Zip { entries: 65_534, ..Zip::default() }.finish()));
        assert!(end64(&Zip { entries: 65_535, ..Zip::default() }.finish()));
    }
}
