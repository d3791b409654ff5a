//! Writes values as text.

mod guard;
mod mask;
mod number;
mod value;
mod zone;

pub(crate) use self::guard::{
    CELL_UNITS, has_leading_zeros, is_number, loses_digits, overflows_cell, runs_as_formula,
};
pub(crate) use self::mask::Masker;
pub(crate) use self::number::{push_float, push_hex, push_integer};
pub(crate) use self::value::push_value;
pub(crate) use self::zone::{Conversion, NotOneInstant};
pub use self::zone::{fixed_offset, zone_name};
