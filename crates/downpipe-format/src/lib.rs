//! Turns rows into the bytes of files.
//!
//! - A [`Cell`] is a value, a [`Column`] describes all values in its place, and a [`Layout`] has the definition's options.
//! - [`RowEncoder`] applies the layout and the time zone to a row, and begins the next file when a sheet is full.
//! - The [`Encoder`] of its [`Format`] writes the row, as the [`Profile`] says.
//! - [`Packer`] compresses the bytes.
//!
//! An encoder takes cells and returns bytes, so everything here is tested without a server. There is no network, no async, no SQL
//! driver and no cloud.

mod buffer;
mod encode;
mod model;
mod pack;
mod text;

pub use encode::{EncodeError, Encoder, FinishedFile, LOAD_DATA_SESSION, RowEncoder};
pub use model::{
    Cell, Changes, Charset, Column, ColumnChanges, ColumnKind, ColumnOptions, Compression, Date, DecimalType,
    FileColumn, Format, InvalidDecimalType, Layout, LayoutError, LineEnd, Mask, MaskKey, Profile, Quoting,
    Style, Time, TreatAs, UnknownName, same_name,
};
pub use pack::Packer;
pub use text::{fixed_offset, zone_name};
