//! What is known of a result's columns, and what a definition wants of them.

use std::collections::BTreeMap;

/// A column of the result, as the database describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The column's name or alias in the query.
    pub name: String,
    /// What its cells are.
    pub kind: ColumnKind,
}

/// The kind of a column, with what is needed to write its cells as MySQL shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Integers, `BIT` and `YEAR`. `zerofill` is the display width that `ZEROFILL` pads to (0: no padding).
    Integer {
        /// Digits to pad to with zeros, 0 to 255.
        zerofill: u8,
    },
    /// `DECIMAL`.
    Decimal,
    /// `FLOAT` and `DOUBLE`.
    Float,
    /// Text of any length, `ENUM`, `SET`, `JSON`.
    Text,
    /// Bytes without a character set.
    Bytes,
    /// `DATE`.
    Date,
    /// `DATETIME(n)`, `TIMESTAMP(n)` and `TIME(n)`; `fraction` is n, 0 to 6.
    Time {
        /// Digits after the seconds, 0 to 6.
        fraction: u8,
    },
}

/// How a definition wants a column treated, whatever its type is (`as = "text"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreatAs {
    /// As text: guarded in spreadsheet profiles, and numbers kept digit for digit.
    Text,
    /// As a number: never guarded.
    Number,
}

/// A definition's wishes for one column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnOptions {
    /// The heading instead of the column's name, in any language.
    pub label: Option<String>,
    /// Left out of the file.
    pub hide: bool,
    /// Treated as text or as a number.
    pub treat_as: Option<TreatAs>,
}

/// The columns as the file will have them.
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
    /// Every column is hidden, so there is no file to write.
    #[error("columns: every column is hidden; at least one must be written")]
    NothingLeft,
}

/// What the encoder keeps of a column.
#[derive(Debug, Clone)]
pub(crate) struct LaidOut {
    pub(crate) label: String,
    pub(crate) kind: ColumnKind,
    pub(crate) hidden: bool,
    pub(crate) treat_as: Option<TreatAs>,
}

impl Layout {
    /// A layout from a definition's `[columns]`, by column name.
    #[must_use]
    pub fn new(options: BTreeMap<String, ColumnOptions>) -> Self {
        Self { options }
    }

    /// Applies the options to the columns that the query really returns. MySQL's names ignore case, and so does this.
    pub(crate) fn apply(&self, columns: &[Column]) -> Result<Vec<LaidOut>, LayoutError> {
        if let Some(unknown) =
            self.options.keys().find(|name| !columns.iter().any(|c| same_name(&c.name, name)))
        {
            return Err(LayoutError::UnknownColumn {
                column: unknown.clone(),
                available: columns.iter().map(|c| c.name.clone()).collect(),
            });
        }
        let laid_out: Vec<LaidOut> = columns.iter().map(|column| self.lay_out(column)).collect();
        if laid_out.iter().all(|column| column.hidden) {
            return Err(LayoutError::NothingLeft);
        }
        Ok(laid_out)
    }

    fn lay_out(&self, column: &Column) -> LaidOut {
        let options = self.options.iter().find(|(name, _)| same_name(&column.name, name)).map(|(_, o)| o);
        LaidOut {
            label: options.and_then(|o| o.label.clone()).unwrap_or_else(|| column.name.clone()),
            kind: column.kind,
            hidden: options.is_some_and(|o| o.hide),
            treat_as: options.and_then(|o| o.treat_as),
        }
    }
}

fn same_name(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}
