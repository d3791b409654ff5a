//! Downpipe's MySQL.
//!
//! What lives here: [`Database`] (how to connect) and [`Authorities`] (who vouches for it), [`MySqlSource`] (the row source:
//! prepared statements, streamed, proven to their end), [`kill_queries`] (for those whose workers are gone), [`MySqlLedger`]
//! (the memory of jobs) and [`migrate()`]. What does not: any rule about jobs or files; those are `downpipe-core`'s.

mod abandoned;
mod authorities;
mod cells;
mod columns;
mod connect;
mod errors;
mod ledger;
mod load;
mod migrate;
mod source;
mod statement;

pub use abandoned::kill_queries;
pub use authorities::{Authorities, InvalidAuthorities};
pub use connect::{ConnectError, Database, InvalidUrl, account_at};
pub use ledger::MySqlLedger;
pub use migrate::{MigrateError, migrate};
pub use source::{MySqlSource, verify_end};
