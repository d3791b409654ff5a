//! Rows become bytes.
//!
//! What lives here: the neutral form of a value ([`Cell`]), what is known of a result's columns ([`Column`]), the
//! [profiles](Profile) and the encoder that writes them. What does not: I/O, async, SQL drivers, clouds. An encoder takes
//! cells and gives bytes, so everything here can be tested without a server.

mod cell;
mod changes;
mod column;
mod csv;
mod guard;
mod number;
mod profile;

pub use cell::{Cell, Date, Time};
pub use changes::{Changes, ColumnChanges};
pub use column::{Column, ColumnKind, ColumnOptions, Layout, LayoutError, TreatAs};
pub use csv::CsvEncoder;
pub use profile::{LineEnd, Profile, UnknownName};
