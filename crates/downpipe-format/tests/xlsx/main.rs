//! Tests workbooks: every kind of cell, that no text is lost or changed, and values that do not fit.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod disk;
mod limits;
mod sheet;
mod text;
mod values;
mod workbook;
