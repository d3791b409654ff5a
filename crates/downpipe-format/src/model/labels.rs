//! Makes labels unique, for formats in which two columns of one name would be one.

use std::collections::HashSet;

use super::layout::FileColumn;

/// Returns the labels, with a number behind each that stands before: `id`, `ID (2)`.
///
/// Spark, Hive and `DuckDB` ignore the case of names, so labels that differ only in case are numbered, too. A column without a name
/// is called by its place, `column 1`. Readers treat such a column differently: `DuckDB` makes up a name in Parquet, and reads JSON
/// objects with an empty key as no rows of a table.
pub(crate) fn unique_labels(columns: &[FileColumn]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::with_capacity(columns.len());
    let mut taken = HashSet::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let label = match column.label.as_str() {
            "" => format!("column {}", index + 1),
            label => label.to_owned(),
        };
        let numbered = (2..).map(|number| format!("{label} ({number})"));
        let free = std::iter::once(label.clone()).chain(numbered).find(|label| taken.insert(folded(label)));
        labels.push(free.unwrap_or_default());
    }
    labels
}

/// Folds the case of a name, character by character and by way of upper case, as Java's `equalsIgnoreCase` does: `ς`, `σ` and `Σ`
/// are one letter.
fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}
