//! What a definition wants of the columns, and the columns as the file has them.

use std::collections::BTreeMap;

use crate::column::{Column, ColumnKind};
use crate::mask::Mask;

/// How a definition wants a column treated, whatever its type is (`as = "text"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreatAs {
    /// As text: guarded in spreadsheets, and numbers kept digit for digit.
    Text,
    /// As numbers: never guarded, and text that is a number becomes one where the format knows the difference.
    Number,
    /// A `DATETIME` that holds UTC, as many applications keep it: shown in the profile's time zone like a `TIMESTAMP`.
    Timestamp,
}

/// A definition's wishes for one column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnOptions {
    /// The heading instead of the column's name, in any language.
    pub label: Option<String>,
    /// Left out of the file.
    pub hide: bool,
    /// Where it stands: columns with a number come first, in the order of their numbers, and the others follow in the order of
    /// the query.
    pub order: Option<u32>,
    /// Treated as something else than what it is.
    pub treat_as: Option<TreatAs>,
    /// What hides its values.
    pub mask: Option<Mask>,
}

/// A definition's wishes for its columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    options: BTreeMap<String, ColumnOptions>,
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
    /// A column is to be treated as what it cannot be.
    #[error("columns.{column}.as: expected a DATETIME column to be a timestamp, got {actual}")]
    NoTimestamp {
        /// The column.
        column: String,
        /// What it holds.
        actual: &'static str,
    },
    /// Every column is hidden, so there is no file to write.
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
    /// Its heading.
    pub label: String,
    /// What its cells are in the query.
    pub source_kind: ColumnKind,
    /// What its cells are in the file.
    pub kind: ColumnKind,
    /// Treated as text or as numbers, whatever it is.
    pub treat_as: Option<TreatAs>,
    /// What hides its values; then it is text in the file.
    pub mask: Option<Mask>,
}

impl Layout {
    /// A layout from a definition's `[columns]`, by column name.
    #[must_use]
    pub fn new(options: BTreeMap<String, ColumnOptions>) -> Self {
        Self { options }
    }

    /// Whether the options fit columns of these names, whatever their kinds. MySQL's names ignore case, and so does this.
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
        let hidden = |column| self.options_of(column).is_some_and(|options| options.hide);
        if columns.iter().all(hidden) { Err(LayoutError::NothingLeft) } else { Ok(()) }
    }

    /// Applies the options to the columns that the query really returns.
    pub(crate) fn apply(&self, columns: &[Column]) -> Result<Vec<FileColumn>, LayoutError> {
        self.accept(columns)?;
        let unwished = ColumnOptions::default();
        let mut shown: Vec<(&ColumnOptions, usize, &Column)> = columns
            .iter()
            .enumerate()
            .map(|(source, column)| (self.options_of(column).unwrap_or(&unwished), source, column))
            .filter(|(options, ..)| !options.hide)
            .collect();
        // Stable: without numbers, the query's order stays.
        shown.sort_by_key(|(options, ..)| options.order.unwrap_or(u32::MAX));
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
            (_, _, kind) => kind,
        };
        Ok(Self {
            source,
            name: column.name.clone(),
            label: options.label.clone().unwrap_or_else(|| column.name.clone()),
            source_kind: column.kind,
            kind,
            treat_as: options.treat_as,
            mask: options.mask.clone(),
        })
    }
}

/// The headings, each made different from those before it (`id`, `id (2)`), for a format in which two columns of one name
/// would be one. A column without a name is called by its place, `column 1`: readers do not agree on what to do with one.
/// `DuckDB` makes up a name in Parquet, and takes JSON objects with an empty key for no rows of a table.
pub(crate) fn unique_labels(columns: &[FileColumn]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::with_capacity(columns.len());
    let mut taken = std::collections::HashSet::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let label = match column.label.as_str() {
            "" => format!("column {}", index + 1),
            label => label.to_owned(),
        };
        let numbered = (2..).map(|number| format!("{label} ({number})"));
        let free = std::iter::once(label.clone()).chain(numbered).find(|label| !taken.contains(label));
        let label = free.unwrap_or_default();
        taken.insert(label.clone());
        labels.push(label);
    }
    labels
}

/// Whether MySQL takes two column names for one: they ignore case.
#[must_use]
pub fn same_name(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}
