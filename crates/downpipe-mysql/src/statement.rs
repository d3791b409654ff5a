//! A query with its values in place, as the text and the arguments of a prepared statement.

use std::borrow::Cow;

use downpipe_core::params::{ParamType, Value};
use downpipe_core::sql::SqlPiece;
use sqlx::mysql::MySqlArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, MySql};

/// The statement's text. Its only pieces are the definition's own and our placeholders.
pub(crate) fn text(sql: &[SqlPiece]) -> String {
    sql.iter()
        .map(|piece| match piece {
            SqlPiece::Text(text) => Cow::Borrowed(text.as_str()),
            // `BETWEEN:from` is good SQL with a bare placeholder; a word must not grow onto the one before it.
            SqlPiece::Value(value) => Cow::Owned(format!(" {}", placeholder(value))),
        })
        .collect()
}

/// The statement, with every value bound.
pub(crate) fn bind_all(text: String, sql: &[SqlPiece]) -> Query<'static, MySql, MySqlArguments> {
    let values = sql.iter().filter_map(|piece| match piece {
        SqlPiece::Value(value) => Some(value),
        SqlPiece::Text(_) => None,
    });
    values.fold(sqlx::query(AssertSqlSafe(text)), bind)
}

/// A bound string is compared as a string, and a column of decimals then as binary floats; a cast gives the value its
/// type wherever it stands. Whole numbers stay bare: `LIMIT` takes nothing else.
fn placeholder(value: &Value) -> Cow<'static, str> {
    let placeholder = match value {
        Value::String(_) | Value::Integer(_) | Value::Boolean(_) => "?",
        // With the digits it was given: what is computed from it has as many as the author expects.
        Value::Decimal(digits) => {
            let scale = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            return format!("CAST(? AS DECIMAL(65,{scale}))").into();
        }
        Value::Null(ParamType::Decimal) => "CAST(? AS DECIMAL(65,30))",
        Value::Date(_) | Value::Null(ParamType::Date) => "CAST(? AS DATE)",
        Value::DateTime(_) | Value::Null(ParamType::DateTime) => "CAST(? AS DATETIME(6))",
        Value::Null(ParamType::String | ParamType::Integer | ParamType::Boolean) => "?",
    };
    placeholder.into()
}

fn bind(
    query: Query<'static, MySql, MySqlArguments>,
    value: &Value,
) -> Query<'static, MySql, MySqlArguments> {
    match value {
        Value::Null(ParamType::Integer | ParamType::Boolean) => query.bind(None::<i64>),
        Value::Null(_) => query.bind(None::<String>),
        Value::Integer(number) => query.bind(*number),
        Value::Boolean(boolean) => query.bind(*boolean),
        Value::String(_) | Value::Decimal(_) | Value::Date(_) | Value::DateTime(_) => {
            query.bind(value.to_string())
        }
    }
}
