//! The result of checking a definition.

use std::fmt;

use downpipe_core::catalog::{Definition, DefinitionError, DefinitionWarning};
use downpipe_core::export::ResultColumn;
use serde_json::{Value, json};

/// The result for one definition.
pub(super) struct Checked<'a> {
    pub(super) name: String,
    /// `None` when its file could not be read as a definition.
    pub(super) definition: Option<&'a Definition>,
    pub(super) warnings: Vec<DefinitionWarning>,
    pub(super) errors: Vec<DefinitionError>,
    /// The columns of its query, when a database was asked.
    pub(super) columns: Option<Columns>,
}

/// The columns that a query returns.
pub(super) struct Columns(pub(super) Vec<ResultColumn>);

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.iter().map(|column| format!("{} {}", column.column.name, column.type_name));
        f.write_str(&columns.collect::<Vec<_>>().join(", "))
    }
}

impl Columns {
    /// Returns name, type and nullability of each column.
    pub(super) fn to_json(&self) -> Value {
        let column = |column: &ResultColumn| json!({ "name": column.column.name, "type": column.type_name, "nullable": column.nullable });
        self.0.iter().map(column).collect()
    }
}
