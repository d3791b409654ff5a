//! Masks values.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::number::push_hex;
use super::value::push_value;
use crate::model::{Cell, ColumnKind, FileColumn, Layout, LayoutError, Mask, MaskKey};

impl Layout {
    /// Returns what hides a column's values.
    pub(crate) fn masker(&self, column: &FileColumn) -> Result<Option<Masker>, LayoutError> {
        let Some(mask) = column.mask else { return Ok(None) };
        let masker = Masker::new(mask, self.mask_key.as_ref());
        masker.map(Some).ok_or_else(|| LayoutError::NoMaskKey { column: column.name.clone() })
    }
}

/// A mask that is ready to use.
#[derive(Debug)]
pub(crate) enum Masker {
    Fixed,
    Hash(Box<Hmac<Sha256>>),
    KeepLast(usize),
}

impl Masker {
    /// Creates a masker; `None` for a hash without a key.
    pub(crate) fn new(mask: Mask, key: Option<&MaskKey>) -> Option<Self> {
        Some(match mask {
            Mask::Fixed => Self::Fixed,
            // Keying takes as long as hashing a short value, so it is done once.
            Mask::Hash => Self::Hash(Box::new(key?.keyed())),
            Mask::KeepLast(shown) => Self::KeepLast(shown),
        })
    }

    /// Writes the masked value to `out`, which is cleared before.
    pub(crate) fn hide(&self, cell: &Cell<'_>, kind: ColumnKind, out: &mut Vec<u8>) {
        out.clear();
        match self {
            Self::Fixed => out.extend_from_slice(b"***"),
            Self::Hash(keyed) => {
                push_value(out, cell, kind);
                let digest = keyed.as_ref().clone().chain_update(&*out).finalize().into_bytes();
                out.clear();
                push_hex(out, &digest);
                out.make_ascii_lowercase();
            }
            Self::KeepLast(shown) => {
                push_value(out, cell, kind);
                let text = String::from_utf8_lossy(out);
                let characters = text.chars().count();
                let hidden = if characters > *shown { characters - shown } else { characters };
                let masked: String =
                    text.chars().enumerate().map(|(at, c)| if at < hidden { '*' } else { c }).collect();
                *out = masked.into_bytes();
            }
        }
    }
}
