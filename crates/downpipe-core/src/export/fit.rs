//! Checking a definition against the database: example values for its query, and whether it fits the columns that come back.

use downpipe_format::{
    Column, ColumnKind, EncodeError, Format, LayoutError, RowEncoder, fixed_offset, same_name, zone_name,
};
use tokio::time::Instant;

use crate::catalog::{
    AFTER, Definition, DefinitionError, DefinitionWarning, Param, ParamType, REQUESTED_BY, Value,
};
use crate::requester::OPERATOR;
use crate::source::{Query, SinkError};

/// A column of a query's result, as the database describes it before the query runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its name and kind.
    pub column: Column,
    /// The database's name of its type, such as `BIGINT UNSIGNED`.
    pub type_name: String,
    /// Whether it may be `NULL`.
    pub nullable: bool,
}

/// Errors and warnings of a definition whose columns are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fit {
    /// An export would fail with each of these.
    pub errors: Vec<DefinitionError>,
    /// An export would run.
    pub warnings: Vec<DefinitionWarning>,
}

impl Definition {
    /// Returns the query with a value for every parameter, to be prepared and explained: the parameter's default, or an example.
    #[must_use]
    pub fn example_query(&self, deadline: Instant) -> Query {
        let value_of = |name: &str| match name {
            REQUESTED_BY => Some(Value::String(OPERATOR.to_owned())),
            AFTER => self.resume.as_ref().map(|resume| resume.start.clone()),
            name => self.params.get(name).map(example),
        };
        let (modes, time_zone) = (self.sql.modes(), self.time_zone.clone());
        Query { modes, time_zone, ..Query::new(self.sql.bind(value_of).unwrap_or_default(), deadline) }
    }

    /// Holds what the definition says of columns against the columns that its query returns.
    #[must_use]
    pub fn check_columns(&self, columns: &[ResultColumn]) -> Fit {
        let mut fit = Fit::default();
        let described: Vec<Column> = columns.iter().map(|column| column.column.clone()).collect();
        if let Err(error) = RowEncoder::start(self.output.style.clone(), &self.layout, &described) {
            let place = match &error {
                EncodeError::Layout(
                    LayoutError::UnknownColumn { column, .. } | LayoutError::NoTimestamp { column, .. },
                ) => format!("columns.{column}"),
                _ => "sql".to_owned(),
            };
            fit.errors.push(self.wrong_at(&place, error.to_string()));
        }
        self.check_key(columns, &mut fit);
        self.warn_of_names(columns, &mut fit);
        fit
    }

    fn check_key(&self, columns: &[ResultColumn], fit: &mut Fit) {
        let Some(resume) = &self.resume else { return };
        let Some(key) = columns.iter().find(|column| same_name(&column.column.name, &resume.column)) else {
            let names: Vec<&str> = columns.iter().map(|column| column.column.name.as_str()).collect();
            let reason = format!(
                "resume.column: expected a column of the query ({}), got {:?}",
                names.join(", "),
                resume.column
            );
            fit.errors.push(self.wrong_at("resume", reason));
            return;
        };
        if !can_be_key(key.column.kind) {
            let reason = format!(
                "resume.column: expected a whole number, a decimal, a date, bytes or a text, got {} ({})",
                key.column.name, key.type_name
            );
            fit.errors.push(self.wrong_at("resume", reason));
        }
        if matches!(key.column.kind, ColumnKind::Timestamp { .. }) && fixed_offset(&self.time_zone).is_none()
        {
            let (column, zone) = (key.column.name.clone(), zone_name(&self.time_zone).to_owned());
            let error = SinkError::NotOneInstant { column, zone };
            fit.errors.push(self.wrong_at("resume", error.to_string()));
        }
        if key.nullable {
            let reason = format!(
                "resume.column: {} may be NULL, and a row whose key is NULL fails the export",
                key.column.name
            );
            fit.warnings.push(self.warning_at("resume", reason));
        }
    }

    fn warn_of_names(&self, columns: &[ResultColumn], fit: &mut Fit) {
        for (at, column) in columns.iter().enumerate() {
            let name = &column.column.name;
            let is_same = |other: &&ResultColumn| same_name(&other.column.name, name);
            if columns[..at].iter().find(is_same).is_some() {
                let reason = format!(
                    "sql: two columns are called {name:?}; what the definition says of one it says of both"
                );
                fit.warnings.push(self.warning_at("sql", reason));
            }
        }
        if columns.len() == 1 && matches!(self.output.style.format(), Format::Csv | Format::Tsv) {
            let reason = "sql: the file has one column, in which NULL and the empty text look alike unless the profile is lossless; a second column, such as the key, tells them apart";
            fit.warnings.push(self.warning_at("sql", reason.to_owned()));
        }
    }
}

/// Whether an export can resume after a value of this kind.
fn can_be_key(kind: ColumnKind) -> bool {
    !matches!(kind, ColumnKind::Float | ColumnKind::Double | ColumnKind::Time { .. } | ColumnKind::Json)
}

/// Returns an example of the parameter: its default, one of those allowed, none where it may be left out, or any of its type.
fn example(param: &Param) -> Value {
    let given = param.default.clone().or_else(|| param.one_of.first().cloned());
    given.unwrap_or_else(|| if param.required { any_of(param.kind) } else { Value::Null(param.kind) })
}

fn any_of(kind: ParamType) -> Value {
    let day = jiff::civil::date(2026, 1, 1);
    match kind {
        ParamType::String => Value::String("a".to_owned()),
        ParamType::Integer => Value::Integer(1),
        ParamType::Decimal => Value::Decimal("1".to_owned()),
        ParamType::Boolean => Value::Boolean(true),
        ParamType::Date => Value::Date(day),
        ParamType::DateTime => Value::DateTime(day.at(0, 0, 0, 0)),
    }
}
