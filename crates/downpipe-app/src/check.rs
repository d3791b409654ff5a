//! Checks that what a worker stands on can be used from here.

mod cache;

pub use self::cache::{CacheCheck, CacheCheckError, CheckedCache};

use downpipe_aws::SdkConfig;
use downpipe_core::error_chain::error_chain;
use serde::Serialize;

use crate::config::{CacheConfig, WorkerConfig};
use crate::services;

/// All checks of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Whether every check succeeded.
    pub ok: bool,
    /// Each check.
    pub checks: Vec<CheckResult>,
}

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// `cache` or `ledger`.
    pub name: &'static str,
    /// Whether it can be used.
    pub ok: bool,
    /// `Success: …`, or what is wrong.
    pub message: String,
    /// What is slower than a worker waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Checks the cache and the ledger of a worker, as `downpipe check --cache --ledger` does.
pub async fn check_worker(config: &WorkerConfig, aws: &SdkConfig) -> CheckReport {
    let checks = vec![check_cache(&config.cache, aws).await, check_ledger(config, aws).await];
    CheckReport { ok: checks.iter().all(|check| check.ok), checks }
}

async fn check_cache(config: &CacheConfig, aws: &SdkConfig) -> CheckResult {
    const NAME: &str = "cache";
    let check = match CacheCheck::of(config, aws) {
        Ok(Some(check)) => check,
        Ok(None) => {
            return succeeded(NAME, "There is no cache to check: DOWNPIPE_CACHE is none.".to_owned());
        }
        Err(error) => return failed(NAME, &error),
    };
    match check.run().await {
        Ok(checked) => CheckResult { warning: checked.warning(), ..succeeded(NAME, checked.to_string()) },
        Err(error) => failed(NAME, &error),
    }
}

async fn check_ledger(config: &WorkerConfig, aws: &SdkConfig) -> CheckResult {
    const NAME: &str = "ledger";
    let table = services::ledger_table(&config.ledger, aws, || services::database(&config.database, aws));
    let table = match table {
        Ok(table) => table,
        Err(error) => return failed(NAME, &error),
    };
    match table.check().await {
        Ok(message) => succeeded(NAME, message),
        Err(error) => failed(NAME, &error),
    }
}

fn succeeded(name: &'static str, message: String) -> CheckResult {
    CheckResult { name, ok: true, message, warning: None }
}

fn failed(name: &'static str, error: &dyn std::error::Error) -> CheckResult {
    CheckResult { name, ok: false, message: error_chain(error), warning: None }
}
