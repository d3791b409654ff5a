//! Dates and times as a spreadsheet counts them: in days since the end of 1899.
//!
//! Excel believes in a 29 February 1900, so its count agrees with the calendar from March 1900 on only.

use jiff::civil;

use crate::cell::{Date, Time};

/// The day 0 of the dates from March 1900 on.
const EPOCH: civil::Date = civil::date(1899, 12, 30);

/// 1900-03-01, the first day that every spreadsheet counts alike.
const FIRST: f64 = 61.0;

/// The day after 9999-12-31, the last that Excel knows.
const END: f64 = 2_958_466.0;

const DAY_SECONDS: i64 = 86_400;

/// A day's microseconds. Exact: below 2^53.
const DAY_MICROS: f64 = 86_400e6;

/// The serial number of a date; none where the calendar or the spreadsheet has no such date.
pub(super) fn date(date: Date) -> Option<f64> {
    let (year, month, day) =
        (i16::try_from(date.year).ok()?, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?);
    let date = civil::Date::new(year, month, day).ok()?;
    let days = date.duration_since(EPOCH).as_secs() / DAY_SECONDS;
    Some(days as f64).filter(|days| (FIRST..END).contains(days))
}

/// The serial number of a date and a time of day.
pub(super) fn date_time(day: Date, time: Time) -> Option<f64> {
    // A microsecond before the end is the end to a number of this size.
    Some(date(day)? + duration(time)?).filter(|serial| *serial < END)
}

/// The serial number of a duration; none for a negative one, which Excel shows as `####`.
pub(super) fn duration(time: Time) -> Option<f64> {
    let seconds = (u64::from(time.hours) * 60 + u64::from(time.minutes)) * 60 + u64::from(time.seconds);
    let micros = seconds * 1_000_000 + u64::from(time.microseconds);
    (!time.negative).then_some(micros as f64 / DAY_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: u16, month: u8, day: u8) -> Date {
        Date { year, month, day }
    }

    #[test]
    fn counts_days_as_excel_does() {
        // What Excel's DATEVALUE gives.
        assert_eq!(date(at(1900, 3, 1)), Some(61.0));
        assert_eq!(date(at(2000, 1, 1)), Some(36_526.0));
        assert_eq!(date(at(2024, 2, 29)), Some(45_351.0));
        assert_eq!(date(at(9999, 12, 31)), Some(2_958_465.0));
    }

    #[test]
    fn knows_no_day_before_march_1900_and_none_that_is_not_in_the_calendar() {
        for day in [at(0, 0, 0), at(1900, 2, 28), at(1900, 2, 29), at(2023, 2, 29), at(2026, 0, 1)] {
            assert_eq!(date(day), None, "{day:?}");
        }
    }

    #[test]
    fn times_are_parts_of_days() {
        let time = |hours, microseconds| Time { hours, microseconds, ..Time::default() };
        assert_eq!(duration(time(838, 0)), Some(838.0 / 24.0));
        assert_eq!(duration(Time { negative: true, ..time(1, 0) }), None);
        assert_eq!(date_time(at(2024, 2, 29), time(12, 0)), Some(45_351.5));
        let last = Time { hours: 23, minutes: 59, seconds: 59, microseconds: 999_999, negative: false };
        assert_eq!(date_time(at(9999, 12, 31), last), None);
    }
}
