//! Applies a definition's options to the columns of its query.

use std::collections::BTreeMap;

use super::column::{Column, ColumnKind};
use super::decimal::DecimalType;
use super::mask::{Mask, MaskKey};

/// What a definition treats a column as, instead of its type (`as = "text"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreatAs {
    /// Text: formulas are escaped for spreadsheets, and numbers keep every digit.
    Text,
    /// Numbers: formulas are not escaped, and a text that is a number becomes one where the format has numbers.
    Number,
    /// Instants: a `DATETIME` that holds UTC is shown in the profile's time zone, like a `TIMESTAMP`.
    Timestamp,
    /// Decimal numbers of this type: numbers are written with its digits behind the point. A number that it has no room for fails
    /// the export.
    Decimal(DecimalType),
}

/// A definition's options for one column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnOptions {
    /// The label instead of the column's name, in any language.
    pub label: Option<String>,
    /// The file does not have the column.
    pub hide: bool,
    /// Its place: columns with a position come first, in the order of their positions. The others follow in the query's order.
    pub position: Option<u32>,
    /// What it is treated as, instead of its type.
    pub treat_as: Option<TreatAs>,
    /// What hides its values.
    pub mask: Option<Mask>,
}

/// A definition's options for its columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    options: BTreeMap<String, ColumnOptions>,
    pub(crate) mask_key: Option<MaskKey>,
}

/// A layout that does not fit the query's columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// An option names a column that the query does not return.
    #[error("columns.{column}: the query returns no such column; it returns {}", available.join(", "))]
    UnknownColumn {
        /// The name in the definition.
        column: String,
        /// What the query returns.
        available: Vec<String>,
    },
    /// A column is treated as a timestamp, and is no `DATETIME`.
    #[error("columns.{column}.as: expected a DATETIME column to be a timestamp, got {actual}")]
    NoTimestamp {
        /// The column.
        column: String,
        /// What it holds.
        actual: &'static str,
    },
    /// An instant arrives on a clock that has been changed, and is shown on another one.
    #[error(
        "columns.{column}: a TIMESTAMP arrives as local time of {zone}, whose clocks have been changed: the same local time can be \
         two instants, so it cannot be shown in {shown_in}. Set time_zone = \"UTC\", or select UNIX_TIMESTAMP({column})"
    )]
    NotOneInstant {
        /// The column.
        column: String,
        /// The zone on whose clock it arrives.
        zone: String,
        /// The zone on whose clock it is shown.
        shown_in: String,
    },
    /// A column is treated as decimal numbers, and has no exact ones.
    #[error(
        "columns.{column}.as: expected a column of whole or decimal numbers for {expected}, got {actual}; a CAST in the query makes it one"
    )]
    NoDecimal {
        /// The column.
        column: String,
        /// The type.
        expected: DecimalType,
        /// What it holds.
        actual: &'static str,
    },
    /// A column is masked by hash, and there is no key.
    #[error("columns.{column}.mask: a hash needs a key, and there is none")]
    NoMaskKey {
        /// The column.
        column: String,
    },
    /// Every column is hidden.
    #[error("columns: every column is hidden; at least one must be written")]
    NothingLeft,
}

/// A column of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileColumn {
    /// Its place among the query's columns, from 0.
    pub source: usize,
    /// Its name in the query.
    pub name: String,
    /// Its label.
    pub label: String,
    /// What its cells are in the query.
    pub source_kind: ColumnKind,
    /// What its cells are in the file.
    pub kind: ColumnKind,
    /// What it is treated as, instead of its type.
    pub treat_as: Option<TreatAs>,
    /// What hides its values. A masked column is text in the file.
    pub mask: Option<Mask>,
}

impl Layout {
    /// Creates a layout from a definition's `[columns]`, by column name.
    #[must_use]
    pub fn new(options: BTreeMap<String, ColumnOptions>) -> Self {
        Self { options, mask_key: None }
    }

    /// Returns whether a column is masked by hash, and there is no key.
    #[must_use]
    pub fn needs_mask_key(&self) -> bool {
        self.mask_key.is_none() && self.masks_by_hash()
    }

    /// Sets the key of masks by hash.
    pub fn set_mask_key(&mut self, key: MaskKey) {
        self.mask_key = Some(key);
    }

    /// Returns a digest of the key, if pseudonyms depend on it.
    #[must_use]
    pub fn mask_key_fingerprint(&self) -> Option<[u8; 32]> {
        self.mask_key.as_ref().filter(|_| self.masks_by_hash()).map(MaskKey::fingerprint)
    }

    fn masks_by_hash(&self) -> bool {
        self.options.values().any(|options| options.mask == Some(Mask::Hash))
    }

    /// Checks that the options fit the names of these columns, without regard to case, like MySQL.
    ///
    /// # Errors
    /// See [`LayoutError`].
    pub fn accept(&self, columns: &[Column]) -> Result<(), LayoutError> {
        if let Some(unknown) =
            self.options.keys().find(|name| !columns.iter().any(|c| same_name(&c.name, name)))
        {
            return Err(LayoutError::UnknownColumn {
                column: unknown.clone(),
                available: columns.iter().map(|c| c.name.clone()).collect(),
            });
        }
        if let Some((name, _)) = self.options.iter().find(|(_, options)| options.mask == Some(Mask::Hash))
            && self.mask_key.is_none()
        {
            return Err(LayoutError::NoMaskKey { column: name.clone() });
        }
        let hidden = |column| self.options_of(column).is_some_and(|options| options.hide);
        if columns.iter().all(hidden) { Err(LayoutError::NothingLeft) } else { Ok(()) }
    }

    /// Applies the options to the columns that the query returns.
    pub(crate) fn apply(&self, columns: &[Column]) -> Result<Vec<FileColumn>, LayoutError> {
        self.accept(columns)?;
        let no_options = ColumnOptions::default();
        let mut shown: Vec<(&ColumnOptions, usize, &Column)> = columns
            .iter()
            .enumerate()
            .map(|(source, column)| (self.options_of(column).unwrap_or(&no_options), source, column))
            .filter(|(options, ..)| !options.hide)
            .collect();
        // Stable, so that columns without a position keep the query's order.
        shown.sort_by_key(|(options, ..)| options.position.unwrap_or(u32::MAX));
        shown.into_iter().map(|(options, source, column)| FileColumn::new(options, source, column)).collect()
    }

    fn options_of(&self, column: &Column) -> Option<&ColumnOptions> {
        self.options.iter().find(|(name, _)| same_name(&column.name, name)).map(|(_, options)| options)
    }
}

impl FileColumn {
    fn new(options: &ColumnOptions, source: usize, column: &Column) -> Result<Self, LayoutError> {
        let kind = match (options.mask.is_some(), options.treat_as, column.kind) {
            (true, ..) => ColumnKind::Text,
            (_, Some(TreatAs::Timestamp), ColumnKind::DateTime { fraction }) => {
                ColumnKind::Timestamp { fraction }
            }
            (_, Some(TreatAs::Timestamp), ColumnKind::Timestamp { .. }) => column.kind,
            (_, Some(TreatAs::Timestamp), other) => {
                return Err(LayoutError::NoTimestamp {
                    column: column.name.clone(),
                    actual: other.describe(),
                });
            }
            (
                _,
                Some(TreatAs::Decimal(decimal)),
                ColumnKind::Decimal { .. } | ColumnKind::Integer { .. } | ColumnKind::Bit,
            ) => ColumnKind::Decimal { width: decimal.width() },
            (_, Some(TreatAs::Decimal(expected)), other) => {
                return Err(LayoutError::NoDecimal {
                    column: column.name.clone(),
                    expected,
                    actual: other.describe(),
                });
            }
            (_, _, kind) => kind,
        };
        Ok(Self {
            source,
            name: column.name.clone(),
            label: options.label.clone().unwrap_or_else(|| column.name.clone()),
            source_kind: column.kind,
            kind,
            treat_as: options.treat_as,
            mask: options.mask,
        })
    }
}

/// Returns whether MySQL takes two column names for one. It ignores case.
#[must_use]
pub fn same_name(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}
