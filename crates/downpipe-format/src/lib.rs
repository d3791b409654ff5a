//! Rows become bytes.
//!
//! What lives here: the neutral form of a value ([`Cell`]), what is known of a result's columns ([`Column`]) and wanted of them
//! ([`Layout`]), the [profiles](Profile), the [formats](Format) behind one port ([`Encoder`]), and the
//! [compressions](Packer). What does not: the network, async, SQL drivers, clouds. An encoder takes cells and gives bytes, so
//! everything here can be tested without a server.
//!
//! The way of a row: [`RowEncoder`] (order, masks, time zone, the next file when a sheet is full), the [`Encoder`] of its format,
//! [`Packer`].

mod buffer;
mod cell;
mod changes;
mod charset;
mod column;
mod csv;
mod encoder;
mod format;
mod guard;
mod jsonl;
mod layout;
mod load_data;
mod mask;
mod number;
mod packer;
mod parquet;
mod profile;
mod rows;
mod value;
mod xlsx;
mod zone;

pub use cell::{Cell, Date, Time};
pub use changes::{Changes, ColumnChanges};
pub use charset::Charset;
pub use column::{Column, ColumnKind};
pub use encoder::{EncodeError, Encoder};
pub use format::{Compression, Format, Style};
pub use layout::{ColumnOptions, FileColumn, Layout, LayoutError, TreatAs, same_name};
pub use load_data::LOAD_DATA_SESSION;
pub use mask::Mask;
pub use packer::Packer;
pub use profile::{LineEnd, Profile, Quoting, UnknownName};
pub use rows::{FullFile, RowEncoder};
