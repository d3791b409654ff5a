//! The portal on the local stack, deployed from `infra/portal.yaml` beside a worker.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Deployment, code, outputs, secret};
use crate::{aws_cli::AwsCli, stack::StackEnv, workspace};

/// A portal, and the worker beside which it is deployed.
#[derive(Clone, Copy, Debug)]
pub struct PortalOptions<'a> {
    /// Deploying again under the same name updates what is there.
    pub stack_name: &'a str,
    /// The portal's zip.
    pub package: &'a Path,
    /// The worker, whose queue, bucket and database it shares.
    pub worker: &'a Deployment,
    /// Where people find the portal: the audience of tokens.
    pub url: &'a str,
    /// The portal's secret: the apps and their keys.
    pub secret: &'a Value,
    /// The secret of links: their keys.
    pub links: &'a Value,
    /// `mysql://USER:PASSWORD@HOST:PORT/DATABASE` of the ledger.
    pub database_url: &'a str,
    /// Where the files are in the bucket.
    pub prefix: &'a str,
}

/// Deploys the portal, and waits until it is there.
///
/// # Errors
/// When something of the template cannot be made.
pub fn deploy_portal(env: &StackEnv, options: &PortalOptions<'_>) -> Result<Deployment> {
    let name = options.stack_name;
    let attempt = || -> Result<Deployment> {
        let aws = AwsCli::new(env);
        let key = code::upload(aws, options.package)?;
        let portal_secret = secret::put(aws, &format!("{name}/portal"), options.secret)?;
        let link_secret = secret::put(aws, &format!("{name}/links"), options.links)?;
        let database_secret = secret::put_login(aws, &format!("{name}/database"), options.database_url)?;
        let ca = env.database_ca.as_deref().map_or_else(Default::default, Path::to_string_lossy);
        let parameters = [
            ("CodeBucket", code::BUCKET),
            ("CodeKey", &key),
            ("PortalUrl", options.url),
            ("PortalSecretArn", &portal_secret),
            ("LinkSecretArn", &link_secret),
            ("DatabaseSecretArn", &database_secret),
            ("DatabaseCa", &ca),
            ("FilesBucket", options.worker.output("BucketName")?),
            ("Prefix", options.prefix),
            ("QueueUrl", options.worker.output("QueueUrl")?),
            ("QueueArn", options.worker.output("QueueArn")?),
        ];
        let template = workspace::path("infra/portal.yaml");
        let mut args: Vec<String> =
            ["cloudformation", "deploy", "--stack-name", name].map(str::to_owned).into();
        args.extend(["--template-file".to_owned(), template.to_string_lossy().into_owned()]);
        args.extend(["--capabilities", "CAPABILITY_IAM", "--parameter-overrides"].map(str::to_owned));
        args.extend(parameters.map(|(name, value)| format!("{name}={value}")));
        aws.text(&args)?;
        Ok(Deployment { stack_name: name.to_owned(), outputs: outputs(aws, name)? })
    };
    attempt().with_context(|| format!("cannot deploy {name}"))
}

/// Removes a portal with its secrets.
///
/// # Errors
/// When something of it cannot be removed.
pub fn delete_portal(env: &StackEnv, portal: &Deployment) -> Result<()> {
    let aws = AwsCli::new(env);
    let stack = ["--stack-name", &portal.stack_name];
    aws.text(&[&["cloudformation", "delete-stack"], &stack[..]].concat())?;
    for name in ["portal", "links", "database"] {
        secret::delete(aws, &format!("{}/{name}", portal.stack_name))?;
    }
    Ok(())
}
