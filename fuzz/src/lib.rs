//! Holds what the fuzz targets share: arbitrary tables, how a table is written to a file, and
//! readers for CSV that are independent of the encoder.

mod profile;
mod read;
mod table;
mod write;

pub use profile::AnyProfile;
pub use read::{Field, read_csv, read_load_data};
pub use table::{Table, TableColumn, Value};
pub use write::{Written, write};
