//! Tests that a file holds exactly what the table holds, read back by MySQL itself and by other
//! programs.

mod archives;
mod bytes;
mod decimals;
mod generated;
mod limits;
mod pitfalls;
mod round_trip;
mod server_values;
mod spreadsheets;
mod tables;
