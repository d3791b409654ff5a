//! The commands, one in each file, and what several of them need.

pub(crate) mod again;
pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod jobs;
pub(crate) mod migrate;
pub(crate) mod redrive;
pub(crate) mod run;
pub(crate) mod send;
pub(crate) mod serve;
pub(crate) mod subscribe;
pub(crate) mod sweep;
pub(crate) mod worker;

use std::collections::BTreeMap;
use std::path::Path;

use downpipe_app::config::{CatalogLocation, Environment};
use downpipe_app::ledger_table::LedgerTable;
use downpipe_app::services::{self, ServiceError};
use downpipe_aws::{DatabaseLogin, SdkConfig};
use downpipe_core::catalog::Catalog;
use downpipe_core::error_chain::error_chain;
use downpipe_core::ledger::Ledger;
use downpipe_core::message::{ExportMessage, RawParam};
use downpipe_core::requester::Requester;
use downpipe_core::source::CancellationToken;
use downpipe_mysql::Database;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{CatalogArg, ExportArgs};
use crate::error::CliError;

/// Returns the message that a command line describes. Its parameters are strings; the definition has their types.
fn message(args: ExportArgs, requested_by: Option<Requester>, request_id: Option<String>) -> ExportMessage {
    let params: BTreeMap<String, RawParam> =
        args.params.into_iter().map(|(name, value)| (name, RawParam::Text(value))).collect();
    ExportMessage {
        export: args.name,
        params,
        requested_by: requested_by.unwrap_or_else(Requester::operator),
        request_id,
        profile: args.profile,
        format: args.format,
        compression: args.compression,
        language: None,
    }
}

/// Loads the AWS settings if the database or `needed_besides` needs them. Otherwise the search for a region and credentials costs
/// seconds on a machine that has none.
async fn aws_for_database(needed_besides: bool) -> SdkConfig {
    let by_token = std::env::var_os("DOWNPIPE_DATABASE_AUTH").is_some_and(|auth| auth == "iam");
    if needed_besides || by_token || is_set("DOWNPIPE_DATABASE_SECRET") {
        downpipe_aws::load_config().await
    } else {
        SdkConfig::builder().build()
    }
}

/// Loads the AWS settings if the ledger, its database or `needed_besides` needs them.
async fn aws_for_ledger(needed_besides: bool) -> SdkConfig {
    let in_aws = std::env::var("DOWNPIPE_LEDGER").is_ok_and(|ledger| ledger.starts_with("dynamodb:"));
    aws_for_database(needed_besides || in_aws).await
}

/// Returns the ledger that the environment names.
fn ledger(aws: &SdkConfig) -> Result<Ledger<LedgerTable>, CliError> {
    ledger_table(aws).map(Ledger::new)
}

/// Returns the table of the ledger that the environment names.
fn ledger_table(aws: &SdkConfig) -> Result<LedgerTable, CliError> {
    services::ledger_table(&from_env(|env| env.ledger())?, aws, || database(aws))
}

/// Returns whether the environment names a database.
fn has_database() -> bool {
    is_set("DATABASE_URL") || is_set("DOWNPIPE_DATABASE_SECRET")
}

/// Returns the database that the environment names.
fn database(aws: &SdkConfig) -> Result<Database<DatabaseLogin>, CliError> {
    let config = from_env(|env| env.database())?;
    services::database(&config, aws).map_err(|error| CliError::Usage(error_chain(&error)))
}

/// Returns whether a variable is set and not empty.
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// Reads one setting from the environment.
fn from_env<T>(setting: impl FnOnce(&mut Environment<'_>) -> T) -> Result<T, CliError> {
    let variable = |name: &str| std::env::var(name).ok();
    let mut env = Environment::new(&variable);
    let value = setting(&mut env);
    Ok(env.complete(value)?)
}

/// Reads the catalog with its errors, so that a wrong definition does not keep others from being used.
async fn catalog(arg: &CatalogArg, aws: &SdkConfig) -> Result<Catalog, CliError> {
    let location = CatalogLocation::parse(&arg.catalog, Path::new("")).map_err(CliError::Usage)?;
    services::read_catalog(&location, aws).await.map_err(|error| match error {
        ServiceError::Fetch(_) => CliError::failed(error),
        // The person at the terminal can correct the catalog.
        _ => CliError::Usage(error_chain(&error)),
    })
}

/// Returns a token that Ctrl-C or SIGTERM cancels.
fn cancelled_by_signals() -> Result<CancellationToken, CliError> {
    let stop = CancellationToken::new();
    let cancellation = stop.clone();
    let mut terminated = signal(SignalKind::terminate()).map_err(CliError::failed)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        cancellation.cancel();
    });
    Ok(stop)
}

/// Returns a new idempotency key, for a request that was given none.
fn new_request_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}
