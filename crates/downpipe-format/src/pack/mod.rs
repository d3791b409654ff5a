//! Compresses the bytes of files into those of an object, and cuts them into parts.

mod gzip;
mod level;
mod zip;
mod zstd;

use std::{fmt, io};

use self::gzip::Gzip;
use self::zip::Zip;
use self::zstd::Zstd;
use crate::model::Compression;

/// Compresses the bytes of encoders into those of the object, a part of the upload at a time.
///
/// Every file of the object is begun, pushed and ended in turn. Parts may be taken at any time, also within a file. The parts in
/// order, and then what [`finish`](Self::finish) returns, are the object. Memory holds the bytes that wait, and what the compressor
/// needs: 0.3 MB for Deflate, 3.6 MB for Zstandard.
pub struct Packer {
    compressor: Compressor,
    files: u64,
    in_file: bool,
}

enum Compressor {
    None(Vec<u8>),
    Gzip(Gzip),
    Zstd(Zstd),
    Zip(Zip),
}

impl Packer {
    /// Creates a packer for one object.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        let compressor = match compression {
            Compression::None => Compressor::None(Vec::new()),
            Compression::Gzip => Compressor::Gzip(Gzip::default()),
            Compression::Zstd => Compressor::Zstd(Zstd::default()),
            Compression::Zip => Compressor::Zip(Zip::default()),
        };
        Self { compressor, files: 0, in_file: false }
    }

    /// Creates a packer for the rest of an object, of which another run has taken parts. Its file has begun.
    ///
    /// # Panics
    /// For a zip archive, which only the run that began it can finish.
    #[must_use]
    pub fn resume(compression: Compression) -> Self {
        let mut packer = Self::new(compression);
        match &mut packer.compressor {
            Compressor::None(_) => {}
            Compressor::Gzip(gzip) => gzip.resume(),
            Compressor::Zstd(zstd) => zstd.resume(),
            Compressor::Zip(_) => panic!("a zip archive cannot be resumed"),
        }
        (packer.files, packer.in_file) = (1, true);
        packer
    }

    /// Begins a file of the object. Only a zip archive keeps its name.
    ///
    /// # Errors
    /// When the name is too long for a zip archive, which takes 65,535 bytes.
    ///
    /// # Panics
    /// When the file before it has not ended, or when it is the second file of no archive. Either is a bug in the caller.
    pub fn begin_file(&mut self, name: &str) -> io::Result<()> {
        assert!(!self.in_file, "a file begins when the one before it has ended");
        if let Compressor::Zip(zip) = &mut self.compressor {
            zip.begin_file(name)?;
        } else {
            assert_eq!(self.files, 0, "only a zip archive has more than one file");
        }
        self.files += 1;
        self.in_file = true;
        Ok(())
    }

    /// Packs more bytes of the file.
    ///
    /// # Errors
    /// When the compressor fails, for want of memory for example.
    ///
    /// # Panics
    /// When no file has begun, which is a bug in the caller.
    pub fn push(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        assert!(self.in_file, "bytes belong to a file");
        match &mut self.compressor {
            // Usually a part comes at once, and need not be copied.
            Compressor::None(out) if out.is_empty() => *out = bytes,
            Compressor::None(out) => out.extend_from_slice(&bytes),
            // Empty bytes begin no member and no frame.
            _ if bytes.is_empty() => {}
            Compressor::Gzip(gzip) => gzip.push(&bytes)?,
            Compressor::Zstd(zstd) => zstd.push(&bytes)?,
            Compressor::Zip(zip) => zip.push(&bytes)?,
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When the compressor fails.
    ///
    /// # Panics
    /// When no file has begun, which is a bug in the caller.
    pub fn end_file(&mut self) -> io::Result<()> {
        assert!(self.in_file, "only a file that has begun can end");
        self.in_file = false;
        match &mut self.compressor {
            Compressor::Zip(zip) => zip.end_file(),
            Compressor::None(_) | Compressor::Gzip(_) | Compressor::Zstd(_) => Ok(()),
        }
    }

    /// Returns the least bytes that [`take_part`](Self::take_part) would return. The compressor may hold more.
    #[must_use]
    pub fn buffered(&self) -> usize {
        match &self.compressor {
            Compressor::None(out) => out.len(),
            Compressor::Gzip(gzip) => gzip.buffered(),
            Compressor::Zstd(zstd) => zstd.buffered(),
            Compressor::Zip(zip) => zip.buffered(),
        }
    }

    /// Takes the bytes for a part of the upload; none if none were pushed since the last one. A gzip member or Zstandard frame ends
    /// with it, so that the part can be read by itself, and another run can resume from there.
    ///
    /// # Errors
    /// When the compressor fails.
    pub fn take_part(&mut self) -> io::Result<Vec<u8>> {
        match &mut self.compressor {
            Compressor::None(out) => Ok(std::mem::take(out)),
            Compressor::Gzip(gzip) => gzip.take_part(),
            Compressor::Zstd(zstd) => zstd.take_part(),
            Compressor::Zip(zip) => Ok(zip.take_part()),
        }
    }

    /// Takes an empty buffer to write into: at once before the first bytes, otherwise from the next part on.
    pub fn reuse(&mut self, buffer: Vec<u8>) {
        match &mut self.compressor {
            // Its parts are the encoders' own buffers.
            Compressor::None(_) => {}
            Compressor::Gzip(gzip) => gzip.reuse(buffer),
            Compressor::Zstd(zstd) => zstd.reuse(buffer),
            Compressor::Zip(zip) => zip.reuse(buffer),
        }
    }

    /// Ends the object and takes its last bytes: compressed data, and a zip archive's directory. If no bytes were pushed at all,
    /// gzip and Zstandard write a file that unpacks to none.
    ///
    /// # Errors
    /// When the compressor fails.
    ///
    /// # Panics
    /// When a file has not ended, which is a bug in the caller.
    pub fn finish(&mut self) -> io::Result<Vec<u8>> {
        assert!(!self.in_file, "an object ends after its last file");
        match &mut self.compressor {
            Compressor::None(out) => Ok(std::mem::take(out)),
            Compressor::Gzip(gzip) => gzip.finish(),
            Compressor::Zstd(zstd) => zstd.finish(),
            Compressor::Zip(zip) => Ok(zip.finish()),
        }
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compression = match self.compressor {
            Compressor::None(_) => Compression::None,
            Compressor::Gzip(_) => Compression::Gzip,
            Compressor::Zstd(_) => Compression::Zstd,
            Compressor::Zip(_) => Compression::Zip,
        };
        f.debug_struct("Packer")
            .field("compression", &compression)
            .field("files", &self.files)
            .field("in_file", &self.in_file)
            .field("buffered", &self.buffered())
            .finish()
    }
}
