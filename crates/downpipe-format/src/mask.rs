//! Masks: what a definition shows instead of a value.

use sha2::{Digest as _, Sha256};

use crate::cell::Cell;
use crate::column::ColumnKind;
use crate::number::push_hex;
use crate::value::push_value;

/// What hides a column's values. `NULL` stays `NULL`: that there is no value is no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mask {
    /// The same for every value: `***`.
    Fixed,
    /// A pseudonym: SHA-256 of the salt and the value, in hexadecimal. The same value has the same pseudonym in every file
    /// with the same salt, so files can still be joined. Without a salt, whoever guesses a value can see that they are right.
    Hash {
        /// Put before the value.
        salt: String,
    },
    /// A `*` for every character but the last so many. A value with no more characters than that is hidden whole.
    KeepLast(usize),
}

impl Mask {
    /// What stands in the value's place, into `out`, which is emptied before.
    pub(crate) fn hide(&self, cell: &Cell<'_>, kind: ColumnKind, out: &mut Vec<u8>) {
        out.clear();
        match self {
            Self::Fixed => out.extend_from_slice(b"***"),
            Self::Hash { salt } => {
                push_value(out, cell, kind);
                let digest = Sha256::new().chain_update(salt).chain_update(&*out).finalize();
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
