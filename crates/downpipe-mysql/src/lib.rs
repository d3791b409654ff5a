//! Connects Downpipe to MySQL and MariaDB.
//!
//! - [`Database`] connects, to servers with a certificate of the [`RootCertificates`] where a password is sent.
//! - [`MySqlSource`] is the row source: prepared statements, streamed, and proven to have been read to their end.
//! - [`kill_queries`] ends the queries of a job whose worker is gone.
//! - [`MySqlJobTable`] keeps jobs, under a [`ledger()`], and [`migrate()`] creates its tables.
//!
//! The rules about jobs and files are in `downpipe-core`.

mod connection;
mod ledger;
mod migrate;
mod source;

pub use connection::{ConnectError, Database, InvalidAuthorities, InvalidUrl, RootCertificates, account_at};
pub use ledger::{MySqlJobTable, MySqlLedger, ledger};
pub use migrate::{MigrateError, Migrated, migrate};
pub use source::{Inspection, MySqlSource, Scan, kill_queries, verify_end};
