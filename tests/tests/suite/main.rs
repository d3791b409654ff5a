//! Tests Downpipe on real parts. All modules form one binary, so that the clients are linked once.
//!
//! Run with `cargo xtask test`, which starts MySQL, LocalStack and MiniStack.

#![expect(clippy::unwrap_used, reason = "in a test, what does not work must stop it at once")]

mod aws_services;
mod cache;
mod cache_tokens;
mod cached_exports;
mod command;
mod database_tokens;
mod dynamodb_ledger;
mod end_to_end;
mod errors;
mod faults;
mod fidelity;
mod function_actions;
mod infra;
mod mail;
mod mariadb;
mod mysql_columns;
mod mysql_errors;
mod mysql_ledger;
mod mysql_locks;
mod mysql_migrate;
mod mysql_modes;
mod mysql_requesters;
mod mysql_resume;
mod mysql_rows;
mod mysql_session;
mod mysql_source;
mod mysql_throttle;
mod mysql_tls;
mod mysql_values;
mod portal;
mod readers;
mod s3_store;
mod shared_exports;
mod time_zones;
