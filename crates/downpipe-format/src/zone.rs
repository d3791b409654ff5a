//! Instants on a clock of the profile's choice.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::cell::{Cell, Date, Time};

/// A time in UTC as the clocks of the zone show it. What is no time there (a zero date) stays as it is.
pub(crate) fn in_zone<'a>(cell: Cell<'a>, zone: &TimeZone) -> Cell<'a> {
    match cell {
        Cell::DateTime(date, time) => {
            local(date, time, zone).map_or(cell, |(date, time)| Cell::DateTime(date, time))
        }
        other => other,
    }
}

fn local(date: Date, time: Time, zone: &TimeZone) -> Option<(Date, Time)> {
    let utc = DateTime::new(
        i16::try_from(date.year).ok()?,
        i8::try_from(date.month).ok()?,
        i8::try_from(date.day).ok()?,
        i8::try_from(time.hours).ok()?,
        i8::try_from(time.minutes).ok()?,
        i8::try_from(time.seconds).ok()?,
        i32::try_from(time.microseconds).ok()? * 1000,
    );
    let utc = utc.ok()?;
    // The last day of the year 9999 is too late for an instant, and means "for ever" to many; its clocks differ like the day's
    // before.
    let instant = TimeZone::UTC.to_timestamp(utc).unwrap_or(Timestamp::MAX);
    let local = utc.checked_add(SignedDuration::from_secs(zone.to_offset(instant).seconds().into())).ok()?;
    let date = Date {
        year: u16::try_from(local.year()).ok()?,
        month: u8::try_from(local.month()).ok()?,
        day: u8::try_from(local.day()).ok()?,
    };
    let time = Time {
        negative: false,
        hours: u32::try_from(local.hour()).ok()?,
        minutes: u8::try_from(local.minute()).ok()?,
        seconds: u8::try_from(local.second()).ok()?,
        microseconds: time.microseconds,
    };
    Some((date, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: u16, month: u8, day: u8, hours: u32, microseconds: u32) -> Cell<'static> {
        Cell::DateTime(Date { year, month, day }, Time { hours, microseconds, ..Time::default() })
    }

    #[test]
    fn instants_follow_the_zones_rules() {
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        assert_eq!(in_zone(at(2026, 12, 31, 20, 5), &tokyo), at(2027, 1, 1, 5, 5));
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(in_zone(at(2026, 1, 15, 12, 0), &berlin), at(2026, 1, 15, 13, 0));
        assert_eq!(in_zone(at(2026, 7, 15, 12, 0), &berlin), at(2026, 7, 15, 14, 0));
    }

    #[test]
    fn the_last_day_is_moved_as_far_as_there_are_years() {
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        assert_eq!(in_zone(at(9999, 12, 31, 0, 0), &tokyo), at(9999, 12, 31, 9, 0));
        assert_eq!(in_zone(at(9999, 12, 31, 23, 0), &tokyo), at(9999, 12, 31, 23, 0));
    }

    #[test]
    fn what_is_no_instant_stays() {
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        for cell in
            [at(0, 0, 0, 0, 0), at(2026, 2, 31, 1, 0), at(9999, 12, 31, 23, 0), Cell::Null, Cell::Int(1)]
        {
            assert_eq!(in_zone(cell, &tokyo), cell);
        }
    }
}
