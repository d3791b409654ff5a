//! The commands, one a file.

pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod jobs;
pub(crate) mod migrate;
pub(crate) mod redrive;
pub(crate) mod run;
pub(crate) mod send;
pub(crate) mod subscribe;
pub(crate) mod sweep;
pub(crate) mod worker;

use std::collections::BTreeMap;
use std::path::Path;

use downpipe_aws::{DatabaseLogin, SdkConfig};
use downpipe_core::catalog::Catalog;
use downpipe_core::failure::chain;
use downpipe_core::message::{ExportMessage, OPERATOR, RawParam};
use downpipe_mysql::Database;
use downpipe_worker::config::{CatalogLocation, Environment};
use downpipe_worker::services::{self, ServiceError};

use crate::args::{CatalogArg, ExportArgs};
use crate::error::CliError;

/// The message that a command line describes. What it gives are strings; the definition says what they are.
fn message(args: ExportArgs, requested_by: Option<String>, request_id: Option<String>) -> ExportMessage {
    let params: BTreeMap<String, RawParam> =
        args.params.into_iter().map(|(name, value)| (name, RawParam::Text(value))).collect();
    ExportMessage {
        export: args.name,
        params,
        requested_by: requested_by.unwrap_or_else(|| OPERATOR.to_owned()),
        request_id,
        profile: args.profile,
        format: args.format,
        compression: args.compression,
    }
}

/// AWS settings, if anything will use them. Looking for a region and credentials takes seconds where there are none, and a
/// database with a password and a folder need neither.
async fn aws_for_database(needed_besides: bool) -> SdkConfig {
    let by_token = std::env::var_os("DOWNPIPE_DATABASE_AUTH").is_some_and(|auth| auth == "iam");
    if needed_besides || by_token || is_set("DOWNPIPE_DATABASE_SECRET") {
        downpipe_aws::load_config().await
    } else {
        SdkConfig::builder().build()
    }
}

/// The database that the environment names.
fn database(aws: &SdkConfig) -> Result<Database<DatabaseLogin>, CliError> {
    let config = from_env(|env| env.database())?;
    services::database(&config, aws).map_err(|error| CliError::Usage(chain(&error)))
}

/// Whether a variable is there and says something.
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// One setting from the environment.
fn from_env<T>(setting: impl FnOnce(&mut Environment<'_>) -> T) -> Result<T, CliError> {
    let variable = |name: &str| std::env::var(name).ok();
    let mut env = Environment::new(&variable);
    let value = setting(&mut env);
    Ok(env.complete(value)?)
}

async fn catalog(arg: &CatalogArg, aws: &SdkConfig) -> Result<Catalog, CliError> {
    let location = CatalogLocation::parse(&arg.catalog, Path::new("")).map_err(CliError::Usage)?;
    services::load_catalog(&location, aws).await.map_err(|error| match error {
        ServiceError::Fetch(_) => CliError::failed(error),
        // Whoever runs the command has the catalog in hand and can put it right.
        _ => CliError::Usage(chain(&error)),
    })
}

/// A text that nobody has used before: the key of a request that was given none.
fn fresh_key() -> String {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}
