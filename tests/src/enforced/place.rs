//! Reaches the AWS that asks for permissions, as the account's root user.

use std::path::PathBuf;

use aws_config::SdkConfig;
use xtask::aws_cli::AwsCli;
use xtask::enforce::DECISIONS;
use xtask::stack::StackEnv;

use crate::STACK;

/// An AWS that asks for permissions.
pub(super) struct Place {
    /// How to reach it.
    pub(super) env: StackEnv,
    /// The settings of clients.
    pub(super) config: SdkConfig,
    /// The file with its decisions about roles.
    pub(super) decisions: PathBuf,
}

impl Place {
    /// Reads how to reach it from the environment, which `cargo xtask enforce` has set.
    pub(super) async fn from_env() -> Self {
        let var =
            |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("run `cargo xtask enforce`: {name}"));
        let env = StackEnv {
            aws_endpoint_url: var("AWS_ENDPOINT_URL"),
            aws_ca: Some(var("AWS_CA_BUNDLE").into()),
            ..STACK.clone()
        };
        // Made as the product makes it, so that it verifies the server by SSL_CERT_FILE.
        Self { env, config: downpipe_aws::load_config().await, decisions: var(DECISIONS).into() }
    }

    /// Returns the AWS CLI.
    pub(super) fn aws(&self) -> AwsCli<'_> {
        AwsCli::new(&self.env)
    }
}
