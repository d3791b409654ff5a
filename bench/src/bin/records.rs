//! `records FILE`: counts a CSV file's records without the header, to check that a measured program
//! wrote all rows.
//!
//! A line break between quotes does not end a record. A quote within quotes is doubled, so counting
//! all quotes is correct.

use std::env;
use std::fs::File;
use std::io::Read as _;

use anyhow::{Context, Result};
use serde_json::json;

fn main() -> Result<()> {
    let path = env::args_os().nth(1).context("usage: records FILE")?;
    let mut file = File::open(&path).with_context(|| format!("cannot read {path:?}"))?;
    let mut buffer = vec![0; 1024 * 1024];
    let (mut records, mut bytes, mut quoted) = (0_u64, 0_u64, false);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        bytes += count as u64;
        for byte in &buffer[..count] {
            quoted ^= *byte == b'"';
            records += u64::from(*byte == b'\n' && !quoted);
        }
    }
    println!("{}", json!({ "rows": records.saturating_sub(1), "bytes": bytes }));
    Ok(())
}
