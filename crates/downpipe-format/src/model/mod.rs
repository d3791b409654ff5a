//! Describes cells, columns, and how a file is written. Nothing here writes files.

mod cell;
mod changes;
mod charset;
mod choice;
mod column;
mod decimal;
mod labels;
mod layout;
mod mask;
mod profile;
mod style;

pub use self::cell::{Cell, Date, Time};
pub use self::changes::{Changes, ColumnChanges};
pub use self::charset::Charset;
pub use self::choice::UnknownName;
pub use self::column::{Column, ColumnKind};
pub(crate) use self::decimal::Digits;
pub use self::decimal::{DecimalType, InvalidDecimalType};
pub(crate) use self::labels::unique_labels;
pub use self::layout::{ColumnOptions, FileColumn, Layout, LayoutError, TreatAs, same_name};
pub use self::mask::{Mask, MaskKey};
pub use self::profile::{LineEnd, Profile, Quoting};
pub(crate) use self::style::FileStart;
pub use self::style::{Compression, Format, Style};
