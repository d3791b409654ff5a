//! Lists the session variables that decide which rows and values come.
//!
//! A server's owner can set each of them for every session: globally, or by `init_connect`. The table was made by going through
//! every session variable of MySQL 9.7 and MariaDB 10.11, but not those of plugins. The others change plans, locks, memory, logs
//! or writes, or end a query with an error (`cte_max_recursion_depth`, `connection_memory_limit`).

use Servers::{All, MariaDb, MySql};
use Value::{Fixed, OfQuery, Own, OwnWithout, Shown};
use downpipe_core::job::{ChangedSetting, Session};

/// A variable, and the value that it must have.
#[derive(Debug)]
struct Variable {
    name: &'static str,
    servers: Servers,
    value: Value,
}

/// The servers that have a variable.
#[derive(Debug)]
enum Servers {
    All,
    /// MySQL from this version, as in a `/*!80011 … */`. MariaDB skips those for MySQL 5.7 and later.
    MySql(&'static str),
    /// MariaDB from this version, as in a `/*M!100304 … */`, which MySQL takes for a comment.
    MariaDb(&'static str),
}

/// The value that a variable must have.
#[derive(Debug)]
enum Value {
    /// This one, as it is written in SQL. Never `DEFAULT` for a number: that is the global value.
    Fixed(&'static str),
    /// The query's own.
    OfQuery,
    /// The one that any client of this user finds. The definition's author writes for it, so it is kept and recorded.
    Own,
    /// The one that any client of this user finds. This SQL takes out what Downpipe's driver added to it.
    OwnWithout(&'static str),
    /// None to compare with: this SQL must return this text.
    Shown { sql: &'static str, text: &'static str },
}

/// Takes out IGNORE_SPACE, which the server adds because sqlx logs in with it. Where the server's own mode has it, it stays.
const WITHOUT_IGNORE_SPACE: &str = "IF(FIND_IN_SET('IGNORE_SPACE', @@GLOBAL.sql_mode), @@SESSION.sql_mode, \
    TRIM(BOTH ',' FROM REPLACE(CONCAT(',', @@SESSION.sql_mode, ','), ',IGNORE_SPACE,', ',')))";

/// Compares the server's clock, `SYSDATE()`, with the session's, `NOW()`. Even a stalled server needs less than a minute between
/// the two.
const CLOCK: &str = "IF(ABS(TIMESTAMPDIFF(SECOND, NOW(), SYSDATE())) < 60, 'the clock', 'a fixed time')";

/// The variables. Each has its reason above it.
const VARIABLES: [Variable; 29] = [
    // Ends every SELECT without a LIMIT after so many rows, which FOUND_ROWS() does not tell.
    of("sql_select_limit", All, Fixed("18446744073709551615")),
    // Cuts what GROUP_CONCAT gives, by default at 1,024 bytes. No value is longer than a packet, which is 1 GiB at most.
    of("group_concat_max_len", All, Fixed("1073741824")),
    // With it, `WHERE id IS NULL` finds the row that the session inserted last. init_connect may have inserted one.
    of("sql_auto_is_null", All, Fixed("0")),
    // With less, rows of one result are of several moments.
    of("transaction_isolation", MySql("50720"), Fixed("'REPEATABLE-READ'")),
    of("tx_isolation", MariaDb("100101"), Fixed("'REPEATABLE-READ'")),
    // Without it, a function that a query calls could write.
    of("transaction_read_only", MySql("50720"), Fixed("1")),
    of("tx_read_only", MariaDb("100101"), Fixed("1")),
    // The server sends texts in it, and files are UTF-8.
    of("character_set_results", All, Fixed("utf8mb4")),
    // The server reads the query's text and its values in it.
    of("character_set_client", All, Fixed("utf8mb4")),
    // Shows the rows that system-versioned tables had at another time. Its DEFAULT is "now", with any global value.
    of("system_versioning_asof", MariaDb("100304"), Fixed("DEFAULT")),
    // Ends a recursive query after so many rounds, with no more than a warning. (MySQL's own limit is an error.)
    of("max_recursive_iterations", MariaDb("100304"), Fixed("4294967295")),
    // TIMESTAMP columns, NOW() and the like are in it.
    of("time_zone", All, OfQuery),
    // NOW(), CURDATE() and the moment of the snapshot. It has no global value, but init_connect can set it.
    of("timestamp", All, Shown { sql: CLOCK, text: "the clock" }),
    // What `||`, `"…"`, a backslash, a division by zero, a subtraction below zero, a CHAR's spaces and much else mean.
    of("sql_mode", All, OwnWithout(WITHOUT_IGNORE_SPACE)),
    // How literals and parameters are compared with each other. SET NAMES sets it to this server's default.
    of("collation_connection", All, Own),
    // How texts that are converted to utf8mb4 are compared.
    of("default_collation_for_utf8mb4", MySql("80011"), Own),
    // The digits that a division adds: 1/3 is 0.3333 with 4 of them.
    of("div_precision_increment", All, Own),
    // Which week a day is in, for WEEK().
    of("default_week_format", All, Own),
    // The language of DATE_FORMAT(), DAYNAME() and MONTHNAME().
    of("lc_time_names", All, Own),
    // How AES_DECRYPT() decrypts.
    of("block_encryption_mode", MySql("50720"), Own),
    // Whether window functions over floating-point numbers are exact or fast.
    of("windowing_use_high_precision", MySql("80011"), Own),
    // How many bytes of long texts ORDER BY looks at: with a LIMIT it decides which rows come.
    of("max_sort_length", All, Own),
    // These refuse a query that would examine too many rows, with an error: the server is its owner's to protect.
    of("max_join_size", All, Own),
    of("sql_big_selects", All, Own),
    // How REGEXP matches.
    of("default_regex_flags", MariaDb("100304"), Own),
    // How a time becomes a date with time, and what `utf8` is.
    of("old_mode", MariaDb("100304"), Own),
    // How a recursive query is evaluated.
    of("standard_compliant_cte", MariaDb("100304"), Own),
    // PASSWORD()'s algorithm.
    of("old_passwords", MariaDb("100304"), Own),
    // How old the statistics in information_schema are.
    of("information_schema_stats_expiry", MySql("80011"), Own),
];

const fn of(name: &'static str, servers: Servers, value: Value) -> Variable {
    Variable { name, servers, value }
}

/// Returns the assignments that give every variable its value, to follow the first one of a `SET`.
pub(crate) fn assignments(time_zone: &str) -> String {
    let assignment = |variable: &Variable| {
        let name = variable.name;
        let value = match variable.value {
            Fixed(sql) | OwnWithout(sql) => sql.to_owned(),
            OfQuery => format!("'{time_zone}'"),
            Own | Shown { .. } => return None,
        };
        Some(variable.servers.only(&format!("SESSION {name} = {value}")))
    };
    VARIABLES.iter().filter_map(assignment).collect()
}

/// Returns the columns that read every variable under its name, to follow the first one of a `SELECT`.
pub(crate) fn columns() -> String {
    let column = |variable: &Variable| {
        let name = variable.name;
        let sql = match variable.value {
            Shown { sql, .. } => sql.to_owned(),
            _ => format!("@@SESSION.{name}"),
        };
        variable.servers.only(&format!("{sql} AS `{name}`"))
    };
    VARIABLES.iter().map(column).collect()
}

/// Checks that every variable has the value that it must have. The author's choices may have any.
///
/// # Errors
/// With the first variable that has another value.
pub(crate) fn check(session: &Session, time_zone: &str) -> Result<(), ChangedSetting> {
    let required = |variable: &Variable| {
        let value = match variable.value {
            Fixed(sql) => sql.trim_matches('\''),
            OfQuery => time_zone,
            Shown { text, .. } => text,
            Own | OwnWithout(_) => return None,
        };
        Some((variable.name.to_owned(), value.to_owned()))
    };
    VARIABLES.iter().filter_map(required).collect::<Session>().compare(session)
}

impl Servers {
    /// Returns the SQL with a comma before it, so that only these servers see it.
    fn only(&self, sql: &str) -> String {
        match self {
            All => format!(", {sql}"),
            MySql(version) => format!(" /*!{version} , {sql} */"),
            MariaDb(version) => format!(" /*M!{version} , {sql} */"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_that_is_set_is_read_back_under_its_name() {
        let (assignments, columns) = (assignments("+00:00"), columns());
        for variable in &VARIABLES {
            let name = variable.name;
            assert_eq!(columns.matches(&format!(" AS `{name}`")).count(), 1, "{name}");
            let set = !matches!(variable.value, Own | Shown { .. });
            assert_eq!(assignments.contains(&format!(", SESSION {name} = ")), set, "{name}");
        }
    }

    #[test]
    fn session_with_select_limit_is_refused_and_with_other_mode_is_accepted() {
        let session = |settings: &[(&str, &str)]| -> Session {
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let limited = check(&session(&[("sql_select_limit", "1000")]), "+00:00").unwrap_err();
        assert_eq!((limited.variable.as_str(), limited.actual.as_str()), ("sql_select_limit", "1000"));
        let zone = check(&session(&[("time_zone", "+09:00")]), "+00:00").unwrap_err();
        assert_eq!((zone.expected.as_str(), zone.actual.as_str()), ("+00:00", "+09:00"));
        assert_eq!(
            check(&session(&[("sql_mode", "ANSI"), ("tx_isolation", "REPEATABLE-READ")]), "+00:00"),
            Ok(())
        );
    }
}
