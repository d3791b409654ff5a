//! `downpipe migrate`: the ledger's tables.

use crate::error::CliError;

pub(crate) async fn migrate() -> Result<(), CliError> {
    let aws = super::aws_for_database(false).await;
    downpipe_mysql::migrate(&super::database(&aws)?).await.map_err(CliError::failed)?;
    eprintln!("the ledger's tables are up to date");
    Ok(())
}
