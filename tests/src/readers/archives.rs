//! Compressed files and archives, unpacked by Python, `gzip`, `zstd` and `unzip`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::{Read, run, script};

/// The results of Python's decompressors.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Decompressed {
    /// The bytes from decompressors that read all members or frames, by the call's name.
    pub whole: BTreeMap<String, usize>,
    /// The bytes from decompressors that silently stop after the first.
    pub first_only: BTreeMap<String, usize>,
}

/// Decompresses a gzip or Zstandard file with each of Python's decompressors.
///
/// Returns an error when a decompressor refuses the file.
pub fn decompressed_with_python(file: &Path) -> Read<Decompressed> {
    script("decompress.py", file, &[])
}

/// Decompresses a gzip file, after `gzip --test` has accepted it.
///
/// Returns the program's error when the file is damaged.
pub fn gunzip(file: &Path) -> Read<Vec<u8>> {
    run(Command::new("gzip").arg("--test").arg(file))?;
    run(Command::new("gzip").args(["--decompress", "--stdout"]).arg(file))
}

/// Decompresses a Zstandard file, after `zstd --test` has accepted it.
///
/// Returns the program's error when the file is damaged.
pub fn unzstd(file: &Path) -> Read<Vec<u8>> {
    run(Command::new("zstd").args(["--quiet", "--test"]).arg(file))?;
    run(Command::new("zstd").args(["--quiet", "--decompress", "--stdout"]).arg(file))
}

/// Lists the names and sizes in a zip archive, after `unzip -t` has accepted it.
///
/// Returns the program's error when the file is damaged.
pub fn unzip_list(file: &Path) -> Read<Vec<(String, u64)>> {
    run(Command::new("unzip").arg("-tqq").arg(file))?;
    let listing = String::from_utf8_lossy(&run(Command::new("unzip").arg("-lqq").arg(file))?).into_owned();
    let entry = |line: &str| {
        // A line has size, date, time and name. Three blanks precede the name, which may have
        // blanks itself.
        let (size, rest) = line.trim_start().split_once(' ')?;
        let (_, rest) = rest.trim_start().split_once(' ')?;
        let (_, name) = rest.split_once("   ")?;
        Some((name.to_owned(), size.parse().ok()?))
    };
    listing.lines().map(|line| entry(line).ok_or_else(|| format!("not an entry: {line}"))).collect()
}

/// Reads one entry of a zip archive.
///
/// Returns an error when there is no such entry.
pub fn unzip(file: &Path, entry: &str) -> Read<Vec<u8>> {
    // `unzip` takes the name as a pattern, and a workbook has an entry `[Content_Types].xml`.
    let pattern: String =
        entry.chars().flat_map(|c| "[*?\\".contains(c).then_some('\\').into_iter().chain([c])).collect();
    run(Command::new("unzip").arg("-pqq").arg(file).arg(pattern))
}
