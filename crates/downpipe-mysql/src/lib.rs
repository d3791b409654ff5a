//! Downpipe's MySQL.
//!
//! What lives here: [`Database`] (how to connect), [`MySqlSource`] (the row source: prepared statements, streamed, proven
//! to their end), [`MySqlLedger`] (the memory of jobs) and [`migrate()`]. What does not: any rule about jobs or files; those
//! are `downpipe-core`'s.

mod cells;
mod columns;
mod connect;
mod errors;
mod ledger;
mod migrate;
mod source;
mod statement;

pub use connect::{ConnectError, Database, InvalidUrl};
pub use ledger::MySqlLedger;
pub use migrate::{MigrateError, migrate};
pub use source::{MySqlSource, verify_end};
