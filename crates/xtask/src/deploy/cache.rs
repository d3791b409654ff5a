//! The parameters by which a deployed worker finds the stack's Valkey.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::aws_cli::AwsCli;
use crate::stack::Caches;

/// Returns the parameters of the template for the stack's Valkey, and for the secret that signs cached receipts.
///
/// The local AWS needs no network for it, but the template does.
pub fn cache_parameters(
    aws: AwsCli<'_>,
    caches: &Caches,
    signing_secret_arn: &str,
) -> Result<[(&'static str, String); 7]> {
    let first = |args: [&str; 2], list: &str, id: &str| -> Result<String> {
        let answer: Value = aws.json(&args)?;
        let id = answer[list][0][id].as_str().map(str::to_owned);
        id.with_context(|| format!("aws {} names none", args.join(" ")))
    };
    Ok([
        ("CacheUrl", caches.valkey_url.clone()),
        ("CacheArn", "arn:aws:elasticache:us-east-1:000000000000:replicationgroup:downpipe".to_owned()),
        ("CacheUserArn", "arn:aws:elasticache:us-east-1:000000000000:user:downpipe".to_owned()),
        ("CacheCa", caches.authority.to_string_lossy().into_owned()),
        ("SigningSecretArn", signing_secret_arn.to_owned()),
        ("SubnetIds", first(["ec2", "describe-subnets"], "Subnets", "SubnetId")?),
        ("SecurityGroupIds", first(["ec2", "describe-security-groups"], "SecurityGroups", "GroupId")?),
    ])
}
