//! Sets a session to a definition's time zone, exactly or not at all.
//!
//! A zone whose clocks have not been changed since 1970, when `TIMESTAMP` begins, is set as its offset: every server knows
//! `+09:00`. Any other zone needs the server's time zone tables, which may be missing, old, or cut off. Made from "slim" files of
//! tzdata, they end where only a rule follows, and are an hour wrong in summer from then on. So every change of the clocks is
//! compared with the rules compiled into Downpipe.

use downpipe_core::source::SourceError;
use downpipe_format::{fixed_offset, zone_name};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::connection::error::of_query;

/// `ER_UNKNOWN_TIME_ZONE`: a name that is not in the tables, or an offset beyond what the server takes.
const UNKNOWN_TIME_ZONE: u16 = 1298;

/// Where `TIMESTAMP` begins and ends. <https://dev.mysql.com/doc/refman/9.7/en/datetime.html>
const FIRST: Timestamp = Timestamp::constant(1, 0);
const LAST: Timestamp = Timestamp::constant(2_147_483_647, 0);

/// Returns the value of the session's `time_zone`. Asks the server only for a zone without an offset that every server knows.
///
/// # Errors
/// When the server does not know the zone, or has other rules for it.
pub(crate) async fn session_zone(
    connection: &mut MySqlConnection,
    zone: &TimeZone,
) -> Result<String, SourceError> {
    if let Some(offset) = fixed_offset(zone).and_then(offset_text) {
        return Ok(offset);
    }
    let name = zone_name(zone);
    if !set_zone(connection, name).await? {
        return Err(refused(format!(
            "expected a time zone that the database server knows, got {name:?}; load its time zone tables with \
             mysql_tzinfo_to_sql, on MariaDB with mariadb-tzinfo-to-sql"
        )));
    }
    verify(connection, zone).await?;
    Ok(name.to_owned())
}

/// Writes an offset as servers take it; `None` for one that they refuse: with seconds, or beyond MariaDB's -12:59.
fn offset_text(offset: Offset) -> Option<String> {
    let seconds = offset.seconds();
    let minutes = seconds.unsigned_abs() / 60;
    let sign = if seconds < 0 { '-' } else { '+' };
    (seconds % 60 == 0 && minutes < 13 * 60).then(|| format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

/// Sets the session's time zone, and returns whether the server knows it.
async fn set_zone(connection: &mut MySqlConnection, zone: &str) -> Result<bool, SourceError> {
    let set = AssertSqlSafe(format!("SET SESSION time_zone = '{zone}'"));
    match sqlx::raw_sql(set).execute(connection).await.map_err(of_query) {
        Ok(_) => Ok(true),
        Err(SourceError::QueryFailed { code: UNKNOWN_TIME_ZONE, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Checks that the server's clock and ours agree before and after every change of the zone's clocks.
async fn verify(connection: &mut MySqlConnection, zone: &TimeZone) -> Result<(), SourceError> {
    let moments = moments(zone);
    let shown: Vec<String> =
        moments.iter().map(|moment| format!("FROM_UNIXTIME({})", moment.as_second())).collect();
    let sql = AssertSqlSafe(format!("SELECT CONCAT_WS(',', {})", shown.join(", ")));
    let row = sqlx::raw_sql(sql).fetch_one(connection).await.map_err(of_query)?;
    let shown: String = row.try_get(0).map_err(of_query)?;
    let mut shown = shown.split(',');
    let ours = |moment: &Timestamp| zone.to_datetime(*moment).strftime("%Y-%m-%d %H:%M:%S").to_string();
    match moments.iter().find(|moment| shown.next() != Some(ours(moment).as_str())) {
        None => Ok(()),
        Some(moment) => Err(refused(format!(
            "expected the same rules of {:?} here and in the database server, got others: at {moment} the server's clock is not \
             at {}; load its time zone tables from current files, made with `zic -b fat`, or update Downpipe, which has its own",
            zone_name(zone),
            ours(moment),
        ))),
    }
}

/// Returns the last second before every change of the zone's clocks, and the first after it.
fn moments(zone: &TimeZone) -> Vec<Timestamp> {
    let changes = zone.following(FIRST).map(|change| change.timestamp()).take_while(|at| *at < LAST);
    let around = changes.flat_map(|at| [at - jiff::SignedDuration::from_secs(1), at]);
    [FIRST].into_iter().chain(around).chain([LAST]).collect()
}

fn refused(reason: String) -> SourceError {
    SourceError::TimeZone { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_text_has_minutes_or_is_none() {
        let text = |seconds| offset_text(Offset::from_seconds(seconds).unwrap());
        assert_eq!(text(0).as_deref(), Some("+00:00"));
        assert_eq!(text(9 * 3600).as_deref(), Some("+09:00"));
        assert_eq!(text(5 * 3600 + 1800).as_deref(), Some("+05:30"));
        assert_eq!(text(-(3 * 3600 + 1800)).as_deref(), Some("-03:30"));
        assert_eq!(text(-2670), None);
        assert_eq!(text(14 * 3600), None, "MariaDB takes +13:00 at most");
    }

    #[test]
    fn moments_of_zone_are_around_every_change_of_its_clocks() {
        let moments = moments(&TimeZone::get("Europe/Berlin").unwrap());
        let of_2026: Vec<String> =
            moments.iter().map(Timestamp::to_string).filter(|text| text.starts_with("2026")).collect();
        assert_eq!(
            of_2026,
            ["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-10-25T00:59:59Z", "2026-10-25T01:00:00Z"]
        );
        assert!(moments.is_sorted() && moments[0] == FIRST && moments.last() == Some(&LAST));
    }
}
