//! SHA-256 digests, in hexadecimal.

use std::path::Path;
use std::process::Command;

use sha2::{Digest as _, Sha256};

/// Computes the digest of bytes.
pub fn hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Computes the digest of a file with `sha256sum`, independently of Downpipe's library.
pub fn sha256sum(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    line.split(' ').next().unwrap().to_owned()
}
