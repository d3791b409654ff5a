//! Downpipe on real parts. One binary, so that the clients are linked once; one module a concern.
//!
//! Run with `cargo xtask test`, which starts MySQL, LocalStack and MiniStack.

#![expect(clippy::unwrap_used, reason = "in a test, what does not work must stop it at once")]

mod aws_services;
mod command;
mod end_to_end;
mod faults;
mod fidelity;
mod infra;
mod mariadb;
mod mysql_ledger;
mod mysql_pace;
mod mysql_resume;
mod mysql_rows;
mod mysql_source;
mod mysql_tls;
mod readers;
mod s3_store;
