//! `downpipe migrate`: creates the ledger's tables in MySQL, or brings them up to date. Checks a ledger's table in DynamoDB.

use downpipe_app::config::LedgerConfig;
use downpipe_aws::DynamoJobTable;
use downpipe_mysql::Migrated;

use crate::error::CliError;

pub(crate) async fn migrate() -> Result<(), CliError> {
    let aws = super::aws_for_ledger(false).await;
    if let LedgerConfig::DynamoDb(config) = super::from_env(|env| env.ledger())? {
        DynamoJobTable::new(&aws, &config).fits().await.map_err(CliError::failed)?;
        eprintln!(
            "nothing to migrate: the ledger is in DynamoDB, and the table {} has the key and the indexes that it needs",
            config.table
        );
        return Ok(());
    }
    let migrated = downpipe_mysql::migrate(&super::database(&aws)?).await.map_err(CliError::failed)?;
    eprint!("{}", report(&migrated));
    Ok(())
}

fn report(migrated: &Migrated) -> String {
    let mut report = String::new();
    if migrated.completed {
        report += "repeated a migration that had failed in the middle\n";
    }
    for (version, name) in &migrated.applied {
        report += &format!("applied migration {version} ({name})\n");
    }
    report
        + "the ledger's tables are up to date: downpipe_jobs, downpipe_job_aliases, downpipe_downloads, downpipe_ended_sessions, \
           downpipe_migrations\n"
}
