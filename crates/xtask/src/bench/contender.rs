//! A program as it is run in every round, and the check that it did its work.

use std::{fs, path::Path, process::Command, rc::Rc};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::s3::S3;

/// Makes the command of a program, from the file or folder that the program writes.
pub(super) type MakeCommand<'a> = Box<dyn Fn(&Path) -> Result<Command> + 'a>;

/// A program as it is run in every round.
pub(super) struct Contender<'a> {
    pub(super) name: String,
    /// Of what it writes.
    pub(super) extension: &'static str,
    /// The most rounds that it takes part in.
    pub(super) rounds: u32,
    pub(super) command: MakeCommand<'a>,
    pub(super) check: Check,
}

/// The check that a program did its work.
pub(super) enum Check {
    /// It prints its rows.
    Printed,
    /// A CSV file with all records.
    Records,
    /// A file, or a folder of files, of about as many bytes as came over the wire.
    Size,
    /// Downpipe's receipt has all rows, and its file exists.
    Receipt,
    /// Downpipe's receipt has all rows, and its object in S3 exists.
    ReceiptIn(Rc<S3>),
    /// An object with this key, of about as many bytes as came over the wire.
    ObjectIn(Rc<S3>, &'static str),
}

impl Check {
    /// Returns the bytes that were written, or came over the wire when none were.
    pub(super) fn apply(&self, tools: &Path, log: &Path, out: &Path, rows: u64, wire: u64) -> Result<u64> {
        match self {
            Self::Printed => {
                whole(&fs::read_to_string(log)?, rows)?;
                Ok(if out.exists() { size(out)? } else { wire })
            }
            Self::Records => {
                let output = Command::new(tools.join("records")).arg(out).output();
                let output = output.context("cannot run records")?;
                let counted = whole(&String::from_utf8_lossy(&output.stdout), rows)?;
                counted["bytes"].as_u64().context("records says no bytes")
            }
            Self::Size => plausible(size(out)?, wire),
            Self::Receipt => {
                let receipt = whole(&fs::read_to_string(log)?, rows)?;
                each_file(&receipt, |address| {
                    let size = size(Path::new(address))?;
                    Ok(fs::remove_file(address).map(|()| size)?)
                })
            }
            Self::ReceiptIn(s3) => {
                let receipt = whole(&fs::read_to_string(log)?, rows)?;
                each_file(&receipt, |address| {
                    let place = address.strip_prefix("s3://").and_then(|place| place.split_once('/'));
                    let (_, key) =
                        place.with_context(|| format!("expected s3://BUCKET/KEY, got {address}"))?;
                    s3.take(key)
                })
            }
            Self::ObjectIn(s3, key) => plausible(s3.take(key)?, wire),
        }
    }
}

/// Returns the last JSON object of a program's output, which must have so many rows.
fn whole(output: &str, rows: u64) -> Result<Value> {
    let start = output.rfind("\n{").map_or(0, |line| line + 1);
    let said = serde_json::Deserializer::from_str(&output[start..]).into_iter::<Value>().next();
    let said = said.context("it says nothing")?.context("it says what is no JSON")?;
    ensure!(said["rows"].as_u64() == Some(rows), "expected {rows} rows, got {}", said["rows"]);
    Ok(said)
}

/// Compares each file with the receipt, and returns the bytes of all.
fn each_file(receipt: &Value, size: impl Fn(&str) -> Result<u64>) -> Result<u64> {
    let files = receipt["files"].as_array().context("the receipt names no files")?;
    let mut bytes = 0;
    for file in files {
        let address = file["address"].as_str().context("the receipt names no address")?;
        let (said, found) = (&file["bytes"], size(address)?);
        ensure!(said.as_u64() == Some(found), "expected {said} bytes, got {found}");
        bytes += found;
    }
    Ok(bytes)
}

/// Programs differ in how they write values, but not by half.
fn plausible(size: u64, wire: u64) -> Result<u64> {
    ensure!(size > wire / 2, "expected about {wire} bytes, got {size}");
    Ok(size)
}

/// Returns the bytes of a file, or of all files in a folder.
fn size(path: &Path) -> Result<u64> {
    let found = fs::metadata(path).with_context(|| format!("{} was not written", path.display()))?;
    if found.is_file() {
        return Ok(found.len());
    }
    let files = fs::read_dir(path)?.map(|file| Ok(file?.metadata()?.len()));
    files.sum::<std::io::Result<u64>>().with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_json_object_of_a_log_is_the_answer() {
        let log = "orders: 3 rows\n{\n  \"rows\": 3,\n  \"files\": [\n    {\n      \"address\": \"a\",\n      \"bytes\": 7\n    }\n  ]\n}\nbye\n";
        let said = whole(log, 3).unwrap();
        assert_eq!(each_file(&said, |_| Ok(7)).unwrap(), 7);
        assert_eq!(each_file(&said, |_| Ok(8)).unwrap_err().to_string(), "expected 7 bytes, got 8");
        assert_eq!(whole(log, 4).unwrap_err().to_string(), "expected 4 rows, got 3");
        assert_eq!(whole("{\"rows\":2}", 2).unwrap()["rows"], 2);
        assert_eq!(whole("", 2).unwrap_err().to_string(), "it says nothing");
    }

    #[test]
    fn file_of_half_the_size_is_refused() {
        assert!(plausible(49, 100).is_err() && plausible(60, 100).is_ok());
    }

    #[test]
    fn folder_is_as_large_as_its_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "abc").unwrap();
        fs::write(folder.path().join("b"), "de").unwrap();
        assert_eq!(size(folder.path()).unwrap(), 5);
        assert!(size(&folder.path().join("c")).is_err());
    }
}
