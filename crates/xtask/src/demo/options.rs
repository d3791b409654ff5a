//! What the demo shows beside the main job, and what has to be there for it.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::STACK;
use super::console::Console;
use crate::aws_cli::AwsCli;
use crate::deploy;
use crate::stack::StackEnv;

/// What the demo shows beside the main job.
#[derive(Args, Clone, Copy, Debug, Eq, PartialEq)]
pub struct DemoOptions {
    /// Also show a click that a cache answers: Valkey, with tokens of IAM
    #[arg(long)]
    pub cache: bool,
    /// Where the ledger is
    #[arg(long, value_enum, default_value_t = LedgerChoice::Mysql)]
    pub ledger: LedgerChoice,
}

/// Where the ledger is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LedgerChoice {
    /// In the database that is exported from
    Mysql,
    /// In a table of DynamoDB
    Dynamodb,
}

/// The parameters that depend on the options.
const PARAMETERS: [&str; 8] = [
    "LedgerTable",
    "CacheUrl",
    "CacheArn",
    "CacheUserArn",
    "CacheCa",
    "SigningSecretArn",
    "SubnetIds",
    "SecurityGroupIds",
];

/// Parameters of the template, by name.
pub(super) type Parameters = Vec<(&'static str, String)>;

/// Makes what the options ask for, and returns the parameters by which the worker finds it.
pub(super) fn prepare(console: &Console, env: &StackEnv, options: &DemoOptions) -> Result<Parameters> {
    let aws = AwsCli::new(env);
    // A deployment that names no value keeps the one of an earlier demo.
    let mut parameters: Parameters = PARAMETERS.map(|name| (name, String::new())).into();
    if options.ledger == LedgerChoice::Dynamodb {
        let stack = format!("{STACK}-ledger");
        let template = ["--template-file", "infra/ledger.yaml"];
        console
            .command(&[&["aws", "cloudformation", "deploy", "--stack-name", &stack], &template[..]].concat());
        set(&mut parameters, [("LedgerTable", deploy::deploy_ledger(aws, &stack)?)]);
    }
    if options.cache {
        let caches = env.caches.as_ref().context("the stack is up without its caches")?;
        let secret = deploy::put_signing_key(aws, &format!("{STACK}/signing"))?;
        set(&mut parameters, deploy::cache_parameters(aws, caches, &secret)?);
    }
    Ok(parameters)
}

fn set<const N: usize>(parameters: &mut Parameters, values: [(&'static str, String); N]) {
    for (name, value) in values {
        parameters.retain(|(known, _)| *known != name);
        parameters.push((name, value));
    }
}
