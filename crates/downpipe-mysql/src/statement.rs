//! A query with its values in place, as the text and the arguments of a prepared statement.

use std::borrow::Cow;

use downpipe_core::job::JobId;
use downpipe_core::params::{ParamType, Value};
use downpipe_core::source::Query as JobQuery;
use downpipe_core::sql::SqlPiece;
use downpipe_core::store::WriteToken;
use sqlx::mysql::MySqlArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, MySql};

/// The statement's text. Its only pieces are the definition's own, our placeholders, and a comment that says whose it is.
pub(crate) fn text(query: &JobQuery) -> String {
    let comment = query.token.as_ref().map(comment);
    let pieces = query.sql.iter().map(|piece| match piece {
        SqlPiece::Text(text) => Cow::Borrowed(text.as_str()),
        // `BETWEEN:from` is good SQL with a bare placeholder; a word must not grow onto the one before it.
        SqlPiece::Value(value) => Cow::Owned(format!(" {}", placeholder(value))),
    });
    comment.map(Cow::Owned).into_iter().chain(pieces).collect()
}

/// What the statement of an attempt begins with. A job's id is hexadecimal digits: nothing of anybody's text gets into SQL.
fn comment(WriteToken { job, attempt }: &WriteToken) -> String {
    format!("/* downpipe {job} attempt {attempt} */ ")
}

/// The attempt at this job that a statement, or the beginning of one, is of.
pub(crate) fn attempt_of(statement: &[u8], job: &JobId) -> Option<u32> {
    let text = statement.strip_prefix(format!("/* downpipe {job} attempt ").as_bytes())?;
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    let number = std::str::from_utf8(number).ok()?.parse().ok();
    number.filter(|_| rest.starts_with(b" */"))
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
        Value::String(_) | Value::Integer(_) | Value::Unsigned(_) | Value::Bytes(_) | Value::Boolean(_) => {
            "?"
        }
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
        Value::Unsigned(number) => query.bind(*number),
        Value::Bytes(bytes) => query.bind(bytes.clone()),
        Value::Boolean(boolean) => query.bind(*boolean),
        Value::String(_) | Value::Decimal(_) | Value::Date(_) | Value::DateTime(_) => {
            query.bind(value.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn job(id: &str) -> JobId {
        id.parse().unwrap()
    }

    #[test]
    fn a_statement_says_whose_it_is() {
        let id = job("0123456789abcdef01234567");
        let sql = vec![SqlPiece::Text("SELECT".to_owned()), SqlPiece::Value(Value::Integer(1))];
        let nobodys = JobQuery::new(sql, Instant::now());
        assert_eq!(text(&nobodys), "SELECT ?");
        let token = WriteToken { job: id.clone(), attempt: 12 };
        let text = text(&JobQuery { token: Some(token), ..nobodys });
        assert_eq!(text, "/* downpipe 0123456789abcdef01234567 attempt 12 */ SELECT ?");
        assert_eq!(attempt_of(text.as_bytes(), &id), Some(12));
        assert_eq!(attempt_of(text.as_bytes(), &job("0123456789abcdef01234568")), None);
    }

    #[test]
    fn other_statements_are_nobodys() {
        let id = job("0123456789abcdef01234567");
        for statement in [
            "",
            "SELECT 1",
            "SELECT '/* downpipe 0123456789abcdef01234567 attempt 1 */ '",
            "/* downpipe 0123456789abcdef01234567 attempt 1",
            "/* downpipe 0123456789abcdef01234567 attempt  */",
            "/* downpipe 0123456789abcdef01234567 attempt 99999999999 */",
            "/* downpipe 0123456789abcdef01234567 attempt 1x */",
        ] {
            assert_eq!(attempt_of(statement.as_bytes(), &id), None, "{statement}");
        }
    }
}
