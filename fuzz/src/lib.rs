//! What the targets have in common: tables made of arbitrary bytes, how a file is written of one, and readers for CSV that are
//! not the encoder's.

mod profile;
mod read;
mod table;
mod write;

pub use profile::AnyProfile;
pub use read::{Field, read_csv, read_load_data};
pub use table::{Table, TableColumn, Value};
pub use write::{Written, write};
