//! Builds the statement that loads a lossless file into a table.
//! <https://dev.mysql.com/doc/refman/9.7/en/load-data.html>

use std::fmt::Write as _;

use crate::model::{ColumnKind, FileColumn, Format, LineEnd, Style, same_name};

/// Sets the session before the statement: instants are in UTC, and the server takes dates that do not exist, and a 0 in an
/// `AUTO_INCREMENT` column, as they are.
pub const LOAD_DATA_SESSION: &str =
    "SET SESSION time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'";

/// Returns the statement for an uncompressed file of these columns; `None` when the file does not hold every value as it was.
///
/// A column without a name of its own (empty, or that of an earlier column) cannot be assigned, and is skipped. The table's other
/// columns get their defaults.
pub(crate) fn statement(style: &Style, columns: &[FileColumn]) -> Option<String> {
    let profile = style.profile();
    let delimiter = match style.format() {
        Format::Csv => profile.delimiter,
        Format::Tsv => b'\t',
        Format::Jsonl | Format::Xlsx | Format::Parquet => return None,
    };
    if !profile.escape || columns.iter().any(|column| column.mask.is_some()) {
        return None;
    }
    let line_end = match profile.line_end {
        LineEnd::Lf => r"\n",
        LineEnd::CrLf => r"\r\n",
    };
    let delimiter = if delimiter == b'\t' { r"\t".to_owned() } else { char::from(delimiter).to_string() };
    // LOAD DATA counts lines without regard to quotes, and a label may have line breaks.
    let header_lines = if profile.header {
        1 + columns.iter().map(|c| c.label.matches('\n').count()).sum::<usize>()
    } else {
        0
    };
    let (targets, assignments) = targets(columns);
    let mut statement = format!(
        "LOAD DATA LOCAL INFILE '{{file}}' INTO TABLE {{table}} CHARACTER SET utf8mb4 \
         FIELDS TERMINATED BY '{delimiter}' OPTIONALLY ENCLOSED BY '{}' ESCAPED BY '\\\\' \
         LINES TERMINATED BY '{line_end}' IGNORE {header_lines} LINES ({})",
        char::from(profile.quote),
        targets.join(", ")
    );
    if !assignments.is_empty() {
        let _ = write!(statement, " SET {}", assignments.join(", "));
    }
    Some(statement)
}

/// Returns where the statement puts each field, a column or a variable, and the assignments from the variables.
fn targets(columns: &[FileColumn]) -> (Vec<String>, Vec<String>) {
    let computes = |column: &FileColumn| matches!(column.kind, ColumnKind::Bytes | ColumnKind::Bit);
    let any_computes = columns.iter().any(computes);
    let mut targets = Vec::new();
    let mut assignments = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        let variable = format!("@c{}", index + 1);
        let named_before = columns[..index].iter().any(|c| same_name(&c.name, &column.name));
        let name = format!("`{}`", column.name.replace('`', "``"));
        if column.name.is_empty() || named_before {
            targets.push(variable);
            continue;
        }
        let value = match column.kind {
            ColumnKind::Bytes => format!("UNHEX({variable})"),
            // A BIT column takes the bytes of an assigned text.
            ColumnKind::Bit => format!("CAST({variable} AS UNSIGNED)"),
            // MariaDB replaces a 0 in an AUTO_INCREMENT column that is read directly beside computed ones.
            ColumnKind::Integer { .. } if any_computes => variable.clone(),
            _ => {
                targets.push(name);
                continue;
            }
        };
        targets.push(variable);
        assignments.push(format!("{name} = {value}"));
    }
    (targets, assignments)
}
