//! `downpipe check --cache`: checks that the cache can be used from here.

use downpipe_app::check::CacheCheck;
use downpipe_aws::{CacheAddress, SdkConfig};
use downpipe_core::error_chain::error_chain;
use serde_json::json;

use crate::commands::from_env;
use crate::error::CliError;
use crate::output::{print, print_json};

/// Inserts a random value, fetches it, and deletes it.
pub(super) async fn check(json: bool) -> Result<(), CliError> {
    let config = from_env(|env| env.cache())?;
    let aws = match config.address {
        CacheAddress::Valkey(_) => downpipe_aws::load_config().await,
        // Nothing there asks for credentials, and the search for them costs seconds.
        _ => SdkConfig::builder().build(),
    };
    let check = CacheCheck::of(&config, &aws).map_err(|error| CliError::Usage(error_chain(&error)))?;
    let check = check.ok_or_else(|| {
        CliError::Usage("DOWNPIPE_CACHE: expected the address of a cache, got none".to_owned())
    })?;
    let checked = check.run().await.map_err(CliError::failed)?;
    if let Some(warning) = checked.warning() {
        eprintln!("warning: {warning}");
    }
    if json {
        let (value, millis) = (&checked.value, checked.fetched_in.as_millis());
        print_json(
            &json!({ "cache": checked.kind, "inserted": value, "fetched": value, "milliseconds": millis }),
        )
    } else {
        print(&format!("{checked}\n"))
    }
}
