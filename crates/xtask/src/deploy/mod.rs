//! Downpipe on the local stack, deployed from `infra/template.yaml` by the AWS CLI, as on AWS.

mod cache;
mod code;
mod package;
mod portal;
mod secret;

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use serde_json::Value;

pub use self::cache::cache_parameters;
pub use self::package::{Effort, MAX_PORTAL_BYTES, MAX_WORKER_BYTES, package, package_for_lambda};
pub use self::portal::{PortalOptions, delete_portal, deploy_portal};
pub use self::secret::put_signing_key;
use crate::{aws_cli::AwsCli, stack::StackEnv, workspace};

/// What is deployed, and under which name.
#[derive(Clone, Copy, Debug)]
pub struct DeployOptions<'a> {
    /// Deploying again under the same name updates what is there.
    pub stack_name: &'a str,
    /// The zip that [`package()`] wrote.
    pub package: &'a Path,
    /// `mysql://USER:PASSWORD@HOST:PORT/DATABASE`; the worker gets it as a secret.
    pub database_url: &'a str,
    /// More parameters of the template: name and value.
    pub parameters: &'a [(&'a str, &'a str)],
}

/// A deployed template.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The name of the CloudFormation stack.
    pub stack_name: String,
    outputs: BTreeMap<String, String>,
}

/// Deploys the worker with its queue, bucket and topic, and waits until it is there.
///
/// Any number of deployments may be under way at once, in threads or processes, as long as their names differ.
pub fn deploy(env: &StackEnv, options: &DeployOptions<'_>) -> Result<Deployment> {
    let stack_name = options.stack_name;
    let attempt = || -> Result<Deployment> {
        let aws = AwsCli::new(env);
        let key = code::upload(aws, options.package)?;
        let secret = secret::put_login(aws, &secret_name(stack_name), options.database_url)?;
        create_or_update(env, options, &key, &secret)?;
        let deployment = Deployment { stack_name: stack_name.to_owned(), outputs: outputs(aws, stack_name)? };
        reserve_concurrency(aws, &deployment)?;
        Ok(deployment)
    };
    attempt().with_context(|| format!("cannot deploy {stack_name}"))
}

impl Deployment {
    /// Returns an output of the template, such as `QueueUrl`.
    pub fn output(&self, name: &str) -> Result<&str> {
        let value = self.outputs.get(name);
        value.map(String::as_str).with_context(|| format!("{} has no output {name}", self.stack_name))
    }

    /// Returns the name of the secret with the database's login.
    pub fn secret(&self) -> String {
        secret_name(&self.stack_name)
    }

    /// Removes it with all it holds: also the bucket, which the template keeps for the people who have links into it.
    pub fn delete(&self, env: &StackEnv) -> Result<()> {
        let aws = AwsCli::new(env);
        let delete = || -> Result<()> {
            let stack = ["--stack-name", &self.stack_name];
            aws.text(&[&["cloudformation", "delete-stack"], &stack[..]].concat())?;
            aws.text(&[&["cloudformation", "wait", "stack-delete-complete"], &stack[..]].concat())?;
            secret::delete(aws, &secret_name(&self.stack_name))?;
            let bucket = format!("s3://{}", self.output("BucketName")?);
            aws.text(&["s3", "rb", "--force", &bucket]).map(drop)
        };
        delete().with_context(|| format!("cannot delete {}", self.stack_name))
    }
}

fn secret_name(stack_name: &str) -> String {
    format!("{stack_name}/database")
}

fn create_or_update(env: &StackEnv, options: &DeployOptions<'_>, key: &str, secret: &str) -> Result<()> {
    let aws = AwsCli::new(env);
    let template = workspace::path("infra/template.yaml");
    // A path of this machine's: the functions of the local stack run on it.
    let ca = env.database_ca.as_deref().map_or_else(Default::default, Path::to_string_lossy);
    let own =
        [("CodeBucket", code::BUCKET), ("CodeKey", key), ("DatabaseSecretArn", secret), ("DatabaseCa", &*ca)];
    let parameters = own.iter().chain(options.parameters).map(|(name, value)| format!("{name}={value}"));
    let mut args: Vec<String> =
        ["cloudformation", "deploy", "--no-fail-on-empty-changeset"].map(str::to_owned).into();
    args.extend(["--stack-name".to_owned(), options.stack_name.to_owned()]);
    args.extend(["--template-file".to_owned(), template.to_string_lossy().into_owned()]);
    args.extend(["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"].map(str::to_owned));
    args.push("--parameter-overrides".to_owned());
    args.extend(parameters);
    aws.text(&args).map(drop).map_err(|err| match reasons(aws, options.stack_name) {
        Ok(reasons) if !reasons.is_empty() => anyhow!("{err}\n{reasons}"),
        _ => err,
    })
}

/// Returns what the stack's events say about the failure; the command itself only says that there was one.
fn reasons(aws: AwsCli<'_>, stack_name: &str) -> Result<String> {
    let failed = "StackEvents[?contains(ResourceStatus, 'FAILED')].[LogicalResourceId, ResourceStatusReason]";
    let args = ["cloudformation", "describe-stack-events", "--stack-name", stack_name];
    let text = aws.text(&[&args[..], &["--query", failed, "--output", "text"]].concat())?;
    Ok(text.trim().to_owned())
}

/// Deploys the table of a ledger from `infra/ledger.yaml`, and returns its name.
pub fn deploy_ledger(aws: AwsCli<'_>, stack_name: &str) -> Result<String> {
    let template = workspace::path("infra/ledger.yaml");
    let deploy = ["cloudformation", "deploy", "--no-fail-on-empty-changeset", "--stack-name", stack_name];
    aws.text(&[&deploy[..], &["--template-file", &template.to_string_lossy()]].concat())?;
    outputs(aws, stack_name)?.remove("TableName").context("infra/ledger.yaml has no output TableName")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    output_key: String,
    output_value: String,
}

fn outputs(aws: AwsCli<'_>, stack_name: &str) -> Result<BTreeMap<String, String>> {
    let args = ["cloudformation", "describe-stacks", "--stack-name", stack_name];
    let answer: Value = aws.json(&[&args[..], &["--query", "Stacks[0].Outputs"]].concat())?;
    let outputs: Vec<Output> = serde_json::from_value(answer).context("the stack has no outputs")?;
    Ok(outputs.into_iter().map(|output| (output.output_key, output.output_value)).collect())
}

/// MiniStack drops `ReservedConcurrentExecutions` from a template; a test of the bound would test nothing.
fn reserve_concurrency(aws: AwsCli<'_>, deployment: &Deployment) -> Result<()> {
    let function = deployment.output("FunctionName")?;
    let args = ["lambda", "put-function-concurrency", "--function-name", function];
    aws.text(&[&args[..], &["--reserved-concurrent-executions", "3"]].concat()).map(drop)
}
