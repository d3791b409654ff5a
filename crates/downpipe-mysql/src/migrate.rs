//! The ledger's tables.

use std::borrow::Cow;

use downpipe_core::login::LoginSource;
use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use crate::connect::{ConnectError, Database};

/// The migrations, oldest first. They are part of the binary: there is no folder to forget.
const MIGRATIONS: [(i64, &str, &str); 2] = [
    (1, "jobs", include_str!("../../../migrations/0001_jobs.sql")),
    (2, "continuing", include_str!("../../../migrations/0002_continuing.sql")),
];

/// Our own table of applied migrations: the database is somebody's application, which may use sqlx as well.
const TABLE: &str = "downpipe_migrations";

/// The tables could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A migration failed.
    #[error("the ledger's tables could not be migrated")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

/// Brings the ledger's tables up to date. Running it again changes nothing; running it twice at once is safe.
///
/// # Errors
/// When the database cannot be reached, or a migration fails.
pub async fn migrate<L: LoginSource>(database: &Database<L>) -> Result<(), MigrateError> {
    let mut connection = database.connect().await?;
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.dangerous_set_table_name(TABLE);
    Ok(migrator.run(&mut connection).await?)
}
