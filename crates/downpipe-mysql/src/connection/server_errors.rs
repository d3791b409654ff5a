//! Says what the server's error numbers mean for an export.
//!
//! The numbers are those of <https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html> and, from 1900 to 1999,
//! <https://mariadb.com/kb/en/mariadb-error-codes/>. Any other number is a fault of the statement.

use downpipe_core::source::ValueFault;

/// What an error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The login is wrong, or no longer right.
    LoginRefused,
    /// The connection or the server goes away. A new connection may work.
    Disconnected,
    /// The server lacks something that it will have again, such as connections, memory or disk.
    Busy,
    /// Another session holds a lock.
    Locked,
    /// The query reached the time limit of its session.
    TimedOut,
    /// Another session has killed the query.
    Killed,
    /// An option makes the server read-only.
    ReadOnly,
    /// A bound value may be at fault. This can be only while the query runs, because it was prepared without values.
    Value(ValueFault),
    /// The statement is at fault.
    Statement,
}

/// Returns what an error means. Its message decides where the number alone says too little.
pub(crate) fn meaning(number: u16, message: &str) -> Meaning {
    match number {
        // Access denied, to a host, a database, without a password; host or account blocked, locked, expired; unknown database.
        1044 | 1045 | 1049 | 1129 | 1130 | 1698 | 1820 | 1862 | 1873 | 3118 | 3879 | 3955 => Meaning::LoginRefused,
        // Handshake, shutdown (4), aborted connections (2), broken or late packets (8); offline, killed, idle for too long.
        1043 | 1053 | 1077..=1080 | 1152 | 1154..=1161 | 1184 | 1927 | 3032 | 3168 | 3169 | 4031 => {
            Meaning::Disconnected
        }
        // Disk full (3), memory (6), connections (2), threads, resources of an account, prepared statements.
        1021 | 1114 | 3675 | 1037 | 1041 | 3015 | 3985 | 4081 | 1040 | 1203 | 1135 | 1226 | 1461
        // Locks or transactions that are full (2), deadlocks (3), what an engine calls temporary, a table that is changing (2).
        | 1206 | 1637 | 1213 | 1614 | 3058 | 1297 | 1412 | 1615 => Meaning::Busy,
        1205 | 1689 | 1099 | 1223 | 3572 => Meaning::Locked,
        1969 | 3024 => Meaning::TimedOut,
        1317 => Meaning::Killed,
        1836 | 1874 | 3989 => Meaning::ReadOnly,
        // "The MySQL server is running with the --super-read-only option"; other options are about other statements.
        1290 if message.contains("read-only") || message.contains("read_only") => Meaning::ReadOnly,
        number => fault_of_value(number, message).map_or(Meaning::Statement, Meaning::Value),
    }
}

fn fault_of_value(number: u16, message: &str) -> Option<ValueFault> {
    Some(match number {
        1267 | 1270 | 1271 | 1300 | 1366 | 3854 | 3988 => ValueFault::Characters,
        1139 | 3684..=3686 | 3688..=3700 | 3887 | 3900 => ValueFault::Pattern,
        3069 | 3140 | 3141 | 3143 | 3146..=3151 | 3153..=3157 | 3853 => ValueFault::Json,
        3033..=3037 | 3055 | 3070..=3072 | 3134 | 3516 | 3548 | 3616..=3618 | 3672 | 3731 | 3732 => {
            ValueFault::Geometry
        }
        1292 | 1298 | 1441 | 1525 => ValueFault::Date,
        1264 | 1690 => ValueFault::Number,
        1115 | 1210 | 1411 | 1649 | 1772 | 3064 | 3677 | 3994 => ValueFault::Argument,
        // An unknown error, by its number.
        1105 if message.contains("XPATH") => ValueFault::Argument,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_1290_is_read_only_for_read_only_options_only() {
        let option = |option: &str| {
            meaning(
                1290,
                &format!(
                    "The MySQL server is running with the {option} option so it cannot execute this statement"
                ),
            )
        };
        assert_eq!(option("--super-read-only"), Meaning::ReadOnly);
        assert_eq!(option("--read-only"), Meaning::ReadOnly);
        assert_eq!(option("--secure-file-priv"), Meaning::Statement);
    }

    #[test]
    fn error_number_of_load_is_busy_and_of_lost_connection_is_disconnected() {
        for number in [1040, 1041, 1203, 1226, 1461, 1135, 1021, 1213, 1615] {
            assert_eq!(meaning(number, ""), Meaning::Busy, "{number}");
        }
        for number in [1053, 1158, 1159, 1160, 1161, 3168, 3169] {
            assert_eq!(meaning(number, ""), Meaning::Disconnected, "{number}");
        }
        for number in [1054, 1064, 1142, 1146, 1153, 3636, 3687, 0] {
            assert_eq!(meaning(number, ""), Meaning::Statement, "{number}");
        }
    }
}
