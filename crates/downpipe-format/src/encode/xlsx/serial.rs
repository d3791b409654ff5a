//! Counts dates and times as a spreadsheet does, in days since the end of 1899.
//!
//! Excel has a 29 February 1900, so its count agrees with the calendar only from March 1900 on.

use jiff::civil;

use crate::model::{Date, Time};

/// The day 0 of the dates from March 1900 on.
const EPOCH: civil::Date = civil::date(1899, 12, 30);

/// 1900-03-01, the first day that every spreadsheet counts alike.
const FIRST: f64 = 61.0;

/// The day after 9999-12-31, the last that Excel knows.
const END: f64 = 2_958_466.0;

const DAY_SECONDS: i64 = 86_400;

/// A day's milliseconds.
const DAY_MILLIS: f64 = 86_400e3;

/// Returns the serial number of a date; `None` where the calendar or the spreadsheet has no such date.
pub(super) fn date(date: Date) -> Option<f64> {
    let (year, month, day) =
        (i16::try_from(date.year).ok()?, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?);
    let date = civil::Date::new(year, month, day).ok()?;
    let days = date.duration_since(EPOCH).as_secs() / DAY_SECONDS;
    Some(days as f64).filter(|days| (FIRST..END).contains(days))
}

/// Returns the serial number of a date and a time of day.
pub(super) fn date_time(day: Date, time: Time) -> Option<f64> {
    Some(date(day)? + duration(time)?)
}

/// Returns the serial number of a duration, cut to the millisecond; `None` for a negative one, which Excel shows as `####`.
///
/// A spreadsheet rounds to milliseconds, and so would show the last microsecond of a day as the next day.
pub(super) fn duration(time: Time) -> Option<f64> {
    let seconds = (u64::from(time.hours) * 60 + u64::from(time.minutes)) * 60 + u64::from(time.seconds);
    let millis = seconds * 1000 + u64::from(time.microseconds / 1000);
    (!time.negative).then_some(millis as f64 / DAY_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: u16, month: u8, day: u8) -> Date {
        Date { year, month, day }
    }

    #[test]
    fn serial_of_date_is_that_of_excel() {
        // What Excel's DATEVALUE gives.
        assert_eq!(date(at(1900, 3, 1)), Some(61.0));
        assert_eq!(date(at(2000, 1, 1)), Some(36_526.0));
        assert_eq!(date(at(2024, 2, 29)), Some(45_351.0));
        assert_eq!(date(at(9999, 12, 31)), Some(2_958_465.0));
    }

    #[test]
    fn date_before_march_1900_or_not_in_calendar_has_no_serial() {
        for day in [at(0, 0, 0), at(1900, 2, 28), at(1900, 2, 29), at(2023, 2, 29), at(2026, 0, 1)] {
            assert_eq!(date(day), None, "{day:?}");
        }
    }

    #[test]
    fn serial_of_time_is_its_part_of_a_day() {
        let time = |hours, microseconds| Time { hours, microseconds, ..Time::default() };
        assert_eq!(duration(time(838, 0)), Some(838.0 / 24.0));
        assert_eq!(duration(Time { negative: true, ..time(1, 0) }), None);
        assert_eq!(date_time(at(2024, 2, 29), time(12, 0)), Some(45_351.5));
    }

    /// Spreadsheets and their readers round to the millisecond.
    #[test]
    fn last_instant_of_day_rounded_to_millisecond_stays_in_its_day() {
        let last = Time { hours: 23, minutes: 59, seconds: 59, microseconds: 999_999, negative: false };
        for day in [at(1900, 3, 1), at(2026, 2, 28), at(9999, 12, 31)] {
            let millis = (date_time(day, last).unwrap() - date(day).unwrap()) * DAY_MILLIS;
            assert_eq!(millis.round(), 86_399_999.0, "{day:?}: {millis}");
        }
        let longest = Time { hours: 838, ..last };
        assert_eq!((duration(longest).unwrap() * DAY_MILLIS).round(), 3_020_399_999.0);
    }
}
