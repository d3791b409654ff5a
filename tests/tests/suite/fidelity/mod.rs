//! What is in the file is what is in the table: read back by MySQL itself, and by other people's software.

mod archives;
mod bytes;
mod generated;
mod limits;
mod round_trip;
mod said;
mod spreadsheets;
mod tables;
