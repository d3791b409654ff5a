//! Counts dates and instants from 1970-01-01, as Parquet does: on the Gregorian calendar in both directions, like MySQL.

use crate::model::{Date, Time};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Days in a year before each month, leap days not counted.
const DAYS_BEFORE_MONTH: [i32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// Days from 0000-01-01 to 1970-01-01.
const EPOCH: i32 = 719_528;

/// Returns the days since 1970-01-01; `None` for what MySQL stores and no calendar has: `0000-00-00`, `2026-02-31`.
pub(super) fn days(date: Date) -> Option<i32> {
    let (year, month, day) =
        (i16::try_from(date.year).ok()?, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?);
    let valid = jiff::civil::Date::new(year, month, day).ok()?;
    let year = i32::from(year);
    // Leap days of earlier years. The year 0 had the first one.
    let leap_days = match year {
        0 => 0,
        _ => (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 + 1,
    };
    let leap_day = i32::from(valid.in_leap_year() && month > 2);
    let month = DAYS_BEFORE_MONTH[usize::from(date.month - 1)];
    Some(year * 365 + leap_days + month + leap_day + i32::from(day) - 1 - EPOCH)
}

/// Returns the microseconds since 1970-01-01 00:00:00; `None` for a date or a time of day that does not exist.
pub(super) fn microseconds(date: Date, time: Time) -> Option<i64> {
    if time.negative
        || time.hours > 23
        || time.minutes > 59
        || time.seconds > 59
        || time.microseconds > 999_999
    {
        return None;
    }
    let minutes = i64::from(time.hours) * 60 + i64::from(time.minutes);
    let seconds = i64::from(days(date)?) * SECONDS_PER_DAY + minutes * 60 + i64::from(time.seconds);
    Some(seconds * MICROS_PER_SECOND + i64::from(time.microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_of_calendar_is_one_more_than_the_day_before() {
        let mut date = jiff::civil::Date::new(0, 1, 1).unwrap();
        let mut expected = -719_528;
        loop {
            let (year, month, day) = (date.year(), date.month(), date.day());
            let cell =
                Date { year: year.unsigned_abs(), month: month.unsigned_abs(), day: day.unsigned_abs() };
            assert_eq!(days(cell), Some(expected), "{date}");
            let Ok(next) = date.tomorrow() else { break };
            date = next;
            expected += 1;
        }
        assert_eq!((date.to_string().as_str(), expected), ("9999-12-31", 2_932_896));
        assert_eq!(days(Date { year: 1970, month: 1, day: 1 }), Some(0));
    }

    #[test]
    fn date_that_no_calendar_has_is_none() {
        for (year, month, day) in [
            (0, 0, 0),
            (2026, 0, 1),
            (2026, 1, 0),
            (2026, 2, 29),
            (2026, 2, 31),
            (1900, 2, 29),
            (2026, 13, 1),
        ] {
            assert_eq!(days(Date { year, month, day }), None);
            assert_eq!(microseconds(Date { year, month, day }, Time::default()), None);
        }
        assert!(days(Date { year: 2000, month: 2, day: 29 }).is_some());
    }

    #[test]
    fn microseconds_of_first_and_last_year_are_right() {
        let last = Time { hours: 23, minutes: 59, seconds: 59, microseconds: 999_999, ..Time::default() };
        let day = |year, month, day| Date { year, month, day };
        assert_eq!(microseconds(day(1970, 1, 1), Time::default()), Some(0));
        assert_eq!(microseconds(day(1969, 12, 31), last), Some(-1));
        assert_eq!(microseconds(day(9999, 12, 31), last), Some(253_402_300_799_999_999));
        assert_eq!(microseconds(day(1000, 1, 1), Time::default()), Some(-30_610_224_000_000_000));
        assert_eq!(microseconds(day(2026, 1, 1), Time { hours: 24, ..Time::default() }), None);
    }
}
