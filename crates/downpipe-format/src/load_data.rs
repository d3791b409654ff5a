//! The statement that reads a lossless file back.
//! <https://dev.mysql.com/doc/refman/9.7/en/load-data.html>

use std::fmt::Write as _;

use crate::column::ColumnKind;
use crate::format::{Format, Style};
use crate::layout::{FileColumn, same_name};
use crate::profile::LineEnd;

/// What the session must be set to before the statement: instants are in UTC, and dates that are none, and rows whose number
/// is 0, are taken as they are.
pub const LOAD_DATA_SESSION: &str =
    "SET SESSION time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'";

/// The statement for a file of these columns, unpacked if it was compressed; `None` when the file does not hold every value as it
/// was. A column without a name of its own (empty, or the name of one before it) cannot be assigned and is skipped, and what the
/// table has beside these columns gets its default.
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
    // A label may have line breaks, and LOAD DATA counts lines without a look at quotes.
    let header_lines = if profile.header {
        1 + columns.iter().map(|c| c.label.matches('\n').count()).sum::<usize>()
    } else {
        0
    };
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
            // Text that is assigned to a BIT column is taken for its bytes.
            ColumnKind::Bit => format!("CAST({variable} AS UNSIGNED)"),
            // An AUTO_INCREMENT column keeps its 0, but on MariaDB not when it is read as it is beside columns that are not.
            ColumnKind::Integer { .. } if any_computes => variable.clone(),
            _ => {
                targets.push(name);
                continue;
            }
        };
        targets.push(variable);
        assignments.push(format!("{name} = {value}"));
    }
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
