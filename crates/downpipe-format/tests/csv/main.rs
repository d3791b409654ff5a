//! Tests the CSV encoder: every kind of cell in every profile, and that no value is lost.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod any;
mod excel;
mod layout;
mod plain;
mod profiles;
mod reference;
mod samples;
mod value;
mod zones;
