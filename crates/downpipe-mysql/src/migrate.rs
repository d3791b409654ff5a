//! Creates the ledger's tables and brings them up to date.

use std::borrow::Cow;

use downpipe_core::login::LoginSource;
use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migrate as _, MigrateError as SqlxError, Migration, MigrationType, Migrator};
use sqlx::mysql::MySqlConnection;

use crate::connection::error::is_read_only;
use crate::connection::{ConnectError, Database};
use crate::ledger::fits_tables;

/// The migrations, oldest first. Every statement in them can be repeated.
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "jobs", include_str!("../../../migrations/0001_jobs.sql"))];

/// Records the applied migrations. sqlx's own table may belong to the application whose database this is.
const TABLE: &str = "downpipe_migrations";

/// Why the tables could not be brought up to date, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server is read-only.
    #[error(
        "the ledger's tables could not be created: this is a read-only server; give `migrate` the address of the one that takes writes"
    )]
    ReadOnly(#[source] sqlx::Error),
    /// A statement failed. What was created before it stays.
    #[error(
        "the ledger's tables (downpipe_jobs, downpipe_job_aliases, downpipe_downloads, downpipe_ended_sessions, and \
         downpipe_migrations, which says what was done) are not complete; fix what follows and run `downpipe migrate` again, which completes them"
    )]
    Statement(#[source] sqlx::Error),
    /// The tables were created by an unreleased version.
    #[error(
        "the tables downpipe_jobs, downpipe_job_aliases, downpipe_downloads, downpipe_ended_sessions and downpipe_migrations were \
         created by an unreleased version of Downpipe, and this one cannot bring them up to date; if nothing in them is needed, drop the \
         five and run `downpipe migrate` again"
    )]
    OtherVersion,
    /// Any other error of sqlx.
    #[error("the ledger's tables could not be migrated")]
    Migrate(#[source] SqlxError),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// Versions and names of the migrations that were applied now, oldest first. Empty when the tables were up to date.
    pub applied: Vec<(i64, &'static str)>,
    /// Whether one of them had failed halfway before, and was completed now.
    pub completed: bool,
}

/// Brings the ledger's tables up to date. Running it again changes nothing, and running it twice at once is safe. A migration
/// that failed halfway is run again.
///
/// # Errors
/// When the database cannot be reached, a statement fails, or the tables are of another version.
pub async fn migrate<L: LoginSource>(database: &Database<L>) -> Result<Migrated, MigrateError> {
    let mut connection = database.connect().await?;
    // The lock ends with the connection at the latest.
    connection.lock().await.map_err(explain)?;
    let migrated = Box::pin(migrate_locked(&mut connection)).await;
    let unlocked = connection.unlock().await;
    let migrated = migrated?;
    unlocked.map_err(explain)?;
    Ok(migrated)
}

async fn migrate_locked(connection: &mut MySqlConnection) -> Result<Migrated, MigrateError> {
    connection.ensure_migrations_table(TABLE).await.map_err(explain)?;
    let completed = connection.dirty_version(TABLE).await.map_err(explain)?.is_some();
    if completed {
        forget_half_applied(connection).await.map_err(|error| explain(error.into()))?;
    }
    let before = connection.list_applied_migrations(TABLE).await.map_err(explain)?;
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.dangerous_set_table_name(TABLE);
    migrator.set_locking(false);
    migrator.run_direct(None, connection, false).await.map_err(explain)?;
    // CREATE TABLE IF NOT EXISTS leaves a table of another version as it is.
    if !fits_tables(connection).await.map_err(|error| explain(error.into()))? {
        return Err(MigrateError::OtherVersion);
    }
    let is_new = |version: i64| before.iter().all(|applied| applied.version != version);
    let new = MIGRATIONS.iter().filter(|(version, ..)| is_new(*version));
    Ok(Migrated { applied: new.map(|(version, name, _)| (*version, *name)).collect(), completed })
}

/// Forgets a migration that failed halfway, so that it is run again.
///
/// MySQL commits every `CREATE TABLE`, so a part of the migration is done. Its statements can be repeated.
async fn forget_half_applied(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM downpipe_migrations WHERE success = FALSE").execute(connection).await.map(drop)
}

/// Turns sqlx's errors into those that say what to do.
fn explain(error: SqlxError) -> MigrateError {
    match error {
        SqlxError::Execute(error) | SqlxError::ExecuteMigration(error, _) if is_read_only(&error) => {
            MigrateError::ReadOnly(error)
        }
        SqlxError::Execute(error) | SqlxError::ExecuteMigration(error, _) => MigrateError::Statement(error),
        SqlxError::VersionMissing(_) | SqlxError::VersionMismatch(_) | SqlxError::Dirty(_) => {
            MigrateError::OtherVersion
        }
        error => MigrateError::Migrate(error),
    }
}
