//! Turns a query into the text and the arguments of a prepared statement.

use std::borrow::Cow;

use downpipe_core::catalog::{ParamType, SqlPiece, Value};
use downpipe_core::job::{JobAttempt, JobId};
use downpipe_core::source::Query as JobQuery;
use sqlx::mysql::MySqlArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, MySql};

/// Returns the statement's text: the definition's SQL, placeholders, and a comment with the job and the attempt.
pub(crate) fn text(query: &JobQuery) -> String {
    let comment = query.token.as_ref().map(comment);
    let pieces = query.sql.iter().map(|piece| match piece {
        SqlPiece::Text(text) => Cow::Borrowed(text.as_str()),
        // `BETWEEN:from` is good SQL. A `CAST` must not grow onto the word before it.
        SqlPiece::Value(value) => Cow::Owned(format!(" {}", placeholder(value))),
    });
    comment.map(Cow::Owned).into_iter().chain(pieces).collect()
}

/// Returns what the statement of an attempt begins with. A job's id is hexadecimal digits, so no caller's text gets into SQL.
fn comment(JobAttempt { job, attempt }: &JobAttempt) -> String {
    format!("/* downpipe {job} attempt {attempt} */ ")
}

/// Returns the attempt at this job to which a statement, or the beginning of one, belongs.
pub(crate) fn attempt_of(statement: &[u8], job: &JobId) -> Option<u32> {
    let text = statement.strip_prefix(format!("/* downpipe {job} attempt ").as_bytes())?;
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    let number = std::str::from_utf8(number).ok()?.parse().ok();
    number.filter(|_| rest.starts_with(b" */"))
}

/// Binds every value to the statement.
pub(crate) fn bind_all(text: String, sql: &[SqlPiece]) -> Query<'static, MySql, MySqlArguments> {
    let values = sql.iter().filter_map(|piece| match piece {
        SqlPiece::Value(value) => Some(value),
        SqlPiece::Text(_) => None,
    });
    values.fold(sqlx::query(AssertSqlSafe(text)), bind)
}

/// Returns the placeholder of a value, with a cast where a bound string would not do.
///
/// A bound string is compared as a string, and a column of decimals then as binary floats. A cast gives the value its type
/// wherever it stands. Whole numbers stay bare, because `LIMIT` takes nothing else.
fn placeholder(value: &Value) -> Cow<'static, str> {
    let placeholder = match value {
        Value::String(_) | Value::Integer(_) | Value::Unsigned(_) | Value::Bytes(_) | Value::Boolean(_) => {
            "?"
        }
        // With the digits it was given, so that results computed from it have as many as the author expects.
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
    fn statement_of_attempt_names_its_job_and_attempt() {
        let id = job("0123456789abcdef01234567");
        let sql = vec![SqlPiece::Text("SELECT".to_owned()), SqlPiece::Value(Value::Integer(1))];
        let unowned = JobQuery::new(sql, Instant::now());
        assert_eq!(text(&unowned), "SELECT ?");
        let token = JobAttempt { job: id.clone(), attempt: 12 };
        let text = text(&JobQuery { token: Some(token), ..unowned });
        assert_eq!(text, "/* downpipe 0123456789abcdef01234567 attempt 12 */ SELECT ?");
        assert_eq!(attempt_of(text.as_bytes(), &id), Some(12));
        assert_eq!(attempt_of(text.as_bytes(), &job("0123456789abcdef01234568")), None);
    }

    #[test]
    fn statement_without_the_comment_belongs_to_no_attempt() {
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
