//! Moves instants from the clock on which they arrive to the one on which a file shows them.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::model::{Cell, Date, Time};

/// Returns the offset from UTC that a zone has had since 1970, when `TIMESTAMP` begins.
///
/// `None` for a zone whose clocks have been changed since: a local time alone may be two instants.
#[must_use]
pub fn fixed_offset(zone: &TimeZone) -> Option<Offset> {
    let offset = zone.to_offset(Timestamp::UNIX_EPOCH);
    let is_fixed = zone.following(Timestamp::UNIX_EPOCH).all(|transition| transition.offset() == offset);
    is_fixed.then_some(offset)
}

/// Returns the zone's name in the IANA database, which definitions, receipts and errors use.
#[must_use]
pub fn zone_name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// Moves times from the clock of a fixed offset to that of a zone.
#[derive(Debug, Clone)]
pub(crate) struct Conversion {
    from: SignedDuration,
    to: TimeZone,
}

/// The clock on which times arrive has been changed, so they cannot be moved to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotOneInstant;

impl Conversion {
    /// Creates the conversion between two clocks; `None` when both are the same.
    ///
    /// # Errors
    /// When the clocks differ, and a local time of the first one may be two instants.
    pub(crate) fn new(from: &TimeZone, to: &TimeZone) -> Result<Option<Self>, NotOneInstant> {
        if from == to {
            return Ok(None);
        }
        let offset = fixed_offset(from).ok_or(NotOneInstant)?;
        Ok(Some(Self { from: SignedDuration::from_secs(offset.seconds().into()), to: to.clone() }))
    }

    /// Moves a time. A value that is no instant, such as a zero date, stays as it is.
    pub(crate) fn convert<'a>(&self, cell: Cell<'a>) -> Cell<'a> {
        match cell {
            Cell::DateTime(date, time) => {
                self.local(date, time).map_or(cell, |(date, time)| Cell::DateTime(date, time))
            }
            other => other,
        }
    }

    fn local(&self, date: Date, time: Time) -> Option<(Date, Time)> {
        let arrived = DateTime::new(
            i16::try_from(date.year).ok()?,
            i8::try_from(date.month).ok()?,
            i8::try_from(date.day).ok()?,
            i8::try_from(time.hours).ok()?,
            i8::try_from(time.minutes).ok()?,
            i8::try_from(time.seconds).ok()?,
            i32::try_from(time.microseconds).ok()? * 1000,
        );
        let utc = arrived.ok()?.checked_sub(self.from).ok()?;
        // The last day of the year 9999, which often means "for ever", is too late for a timestamp. The offset of the day before
        // holds for it.
        let instant = TimeZone::UTC.to_timestamp(utc).unwrap_or(Timestamp::MAX);
        let offset = SignedDuration::from_secs(self.to.to_offset(instant).seconds().into());
        let local = utc.checked_add(offset).ok()?;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: u16, month: u8, day: u8, hours: u32, microseconds: u32) -> Cell<'static> {
        Cell::DateTime(Date { year, month, day }, Time { hours, microseconds, ..Time::default() })
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn converted(cell: Cell<'static>, from: &str, to: &str) -> Cell<'static> {
        Conversion::new(&zone(from), &zone(to)).unwrap().unwrap().convert(cell)
    }

    #[test]
    fn conversion_from_utc_follows_the_zones_rules() {
        let of = |cell, to| converted(cell, "UTC", to);
        assert_eq!(of(at(2026, 12, 31, 20, 5), "Asia/Tokyo"), at(2027, 1, 1, 5, 5));
        assert_eq!(of(at(2026, 1, 15, 12, 0), "Europe/Berlin"), at(2026, 1, 15, 13, 0));
        assert_eq!(of(at(2026, 7, 15, 12, 0), "Europe/Berlin"), at(2026, 7, 15, 14, 0));
    }

    #[test]
    fn conversion_from_a_fixed_offset_is_exact_in_both_directions() {
        assert_eq!(converted(at(2026, 1, 1, 0, 7), "Asia/Tokyo", "UTC"), at(2025, 12, 31, 15, 7));
        assert_eq!(converted(at(1970, 1, 1, 9, 0), "Asia/Tokyo", "UTC"), at(1970, 1, 1, 0, 0));
        assert_eq!(converted(at(2026, 7, 1, 9, 0), "Asia/Tokyo", "Europe/Berlin"), at(2026, 7, 1, 2, 0));
        assert_eq!(converted(at(2026, 1, 1, 9, 0), "Asia/Tokyo", "Europe/Berlin"), at(2026, 1, 1, 1, 0));
    }

    #[test]
    fn conversion_from_a_zone_whose_clocks_were_changed_is_refused() {
        let is_moved = |from: &str, to: &str| Conversion::new(&zone(from), &zone(to)).map(|c| c.is_some());
        assert_eq!(is_moved("Europe/Berlin", "UTC"), Err(NotOneInstant));
        // They are not changed any more, but the table may have rows of 1991.
        assert_eq!(is_moved("Asia/Shanghai", "UTC"), Err(NotOneInstant));
        assert_eq!(is_moved("Europe/Berlin", "Europe/Berlin"), Ok(false));
        assert_eq!(is_moved("UTC", "Europe/Berlin"), Ok(true));
    }

    #[test]
    fn offset_is_fixed_where_clocks_have_not_been_changed_since_1970() {
        let seconds = |name: &str| fixed_offset(&zone(name)).map(Offset::seconds);
        for (name, hours) in [("UTC", 0), ("Etc/UTC", 0), ("Asia/Tokyo", 9), ("Etc/GMT+5", -5)] {
            assert_eq!(seconds(name), Some(hours * 3600), "{name}");
        }
        assert_eq!(seconds("Asia/Kolkata"), Some(5 * 3600 + 1800));
        for name in ["Europe/Berlin", "America/New_York", "Asia/Shanghai", "Asia/Seoul", "Asia/Kathmandu"] {
            assert_eq!(seconds(name), None, "{name}");
        }
    }

    #[test]
    fn last_day_of_9999_is_moved_unless_year_10000_follows() {
        assert_eq!(converted(at(9999, 12, 31, 0, 0), "UTC", "Asia/Tokyo"), at(9999, 12, 31, 9, 0));
        assert_eq!(converted(at(9999, 12, 31, 23, 0), "UTC", "Asia/Tokyo"), at(9999, 12, 31, 23, 0));
    }

    #[test]
    fn value_that_is_no_instant_stays() {
        for cell in
            [at(0, 0, 0, 0, 0), at(2026, 2, 31, 1, 0), at(9999, 12, 31, 23, 0), Cell::Null, Cell::Int(1)]
        {
            assert_eq!(converted(cell, "UTC", "Asia/Tokyo"), cell);
        }
        assert_eq!(converted(at(0, 0, 0, 0, 0), "Asia/Tokyo", "UTC"), at(0, 0, 0, 0, 0));
    }
}
