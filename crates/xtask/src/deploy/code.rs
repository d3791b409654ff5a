//! The worker's zip on its way into S3.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use crc_fast::CrcAlgorithm;

use crate::aws_cli::AwsCli;

/// Shared by all deployments on a stack, so that the same code is uploaded once.
pub(super) const BUCKET: &str = "downpipe-code";

/// Puts the zip into the code bucket, unless it is there, and returns its key.
///
/// The key is made of the content, so that new code has a new key (CloudFormation looks at nothing else), and two who
/// upload at the same time write the same bytes.
pub(super) fn upload(aws: AwsCli<'_>, package: &Path) -> Result<String> {
    let content = fs::read(package).with_context(|| format!("cannot read {}", package.display()))?;
    let key = key(&content);
    let object = ["--bucket", BUCKET, "--key", &key];
    if aws.text(&[&["s3api", "head-object"], &object[..]].concat()).is_ok() {
        return Ok(key);
    }
    make_bucket(aws)?;
    let body = package.to_string_lossy();
    aws.text(&[&["s3api", "put-object", "--body", &body], &object[..]].concat())?;
    Ok(key)
}

/// Returns a checksum, and not a cryptographic hash: no attacker is expected here, and tests, which are not optimised, deploy a
/// hundred megabytes.
fn key(content: &[u8]) -> String {
    let checksum = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, content);
    format!("worker-{checksum:016x}-{}.zip", content.len())
}

fn make_bucket(aws: AwsCli<'_>) -> Result<()> {
    match aws.text(&["s3api", "create-bucket", "--bucket", BUCKET]) {
        // Another process, or an earlier deployment, may have uploaded the package.
        Err(err) if !err.to_string().contains("BucketAlready") => Err(err),
        _ => Ok(()),
    }
}
