//! The CSV encoder: what the profiles make of every kind of cell, and that nothing is lost on the way.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod any;
mod excel;
mod layout;
mod plain;
mod profiles;
mod reference;
mod samples;
mod value;
