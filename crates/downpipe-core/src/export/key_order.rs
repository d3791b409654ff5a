//! Holds every resume key against the one before.

use std::cmp::Ordering;

use downpipe_format::{Cell, Date, Time};
use jiff::civil;

use crate::job::{Key, KeyError};

/// Holds every key against the one before it.
#[derive(Debug, Default)]
pub(crate) struct KeyOrderCheck {
    last: Last,
    texts: TextOrder,
}

/// The key before. Texts and bytes are kept in a buffer that is used again.
#[derive(Debug, Default)]
enum Last {
    #[default]
    None,
    Integer(i64),
    Unsigned(u64),
    Decimal(Vec<u8>),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
    Date(Date),
    DateTime(Date, Time),
    /// A key of a kind that cannot be bound to a statement exactly, such as a binary float.
    Other,
}

/// The orders in which the texts so far ascend. The protocol does not say by which collation the server sorts.
#[derive(Debug, Clone, Copy)]
struct TextOrder {
    /// Byte by byte, as binary collations sort.
    bytes: bool,
    /// Upper and lower case alike, as most others sort.
    folded: bool,
    /// Whether there can be no other order, as long as the texts have only letters, digits and hyphens of ASCII.
    all_known: bool,
}

impl Default for TextOrder {
    fn default() -> Self {
        Self { bytes: true, folded: true, all_known: true }
    }
}

impl KeyOrderCheck {
    /// Begins after a key of an earlier run.
    pub(crate) fn after(key: &Key) -> Self {
        let last = match key {
            Key::Integer(number) => Last::Integer(*number),
            Key::Unsigned(number) => Last::Unsigned(*number),
            Key::Decimal(digits) => Last::Decimal(digits.clone().into_bytes()),
            Key::Text(text) => Last::Text(text.clone().into_bytes()),
            Key::Bytes(bytes) => Last::Bytes(bytes.clone()),
            Key::Date(date) => Last::Date(cell_date(*date)),
            Key::DateTime(at) => Last::DateTime(cell_date(at.date()), cell_time(at.time())),
        };
        Self { last, texts: TextOrder::default() }
    }

    /// Holds the next row's key against the last one.
    ///
    /// # Errors
    /// When it does not ascend.
    pub(crate) fn check_next(&mut self, key: Cell<'_>) -> Result<(), KeyError> {
        let ascends = match (&mut self.last, key) {
            (_, Cell::Null) => return Err(KeyError::Null),
            (Last::Integer(last), Cell::Int(key)) => *last < key,
            (Last::Unsigned(last), Cell::UInt(key)) => *last < key,
            (Last::Decimal(last), Cell::Decimal(key)) => compare_decimals(last, key) == Ordering::Less,
            (Last::Text(last), Cell::Text(key)) => self.texts.ascends(last, key),
            (Last::Bytes(last), Cell::Bytes(key)) => last.as_slice() < key,
            (Last::Date(last), Cell::Date(key)) => date(*last) < date(key),
            (Last::DateTime(last, time), Cell::DateTime(key, clock)) => {
                (date(*last), clock_of(*time)) < (date(key), clock_of(clock))
            }
            // The first key, or one of another kind than the one before: the first after a checkpoint may be.
            _ => true,
        };
        if !ascends {
            return Err(KeyError::NotAscending);
        }
        match (&mut self.last, key) {
            (Last::Decimal(last), Cell::Decimal(key))
            | (Last::Text(last), Cell::Text(key))
            | (Last::Bytes(last), Cell::Bytes(key)) => {
                last.clear();
                last.extend_from_slice(key);
            }
            (last, key) => *last = Last::of(key),
        }
        Ok(())
    }

    /// Whether there is a last row's key, and no run could resume after it.
    pub(crate) fn last_key_not_resumable(&self) -> bool {
        !matches!(self.last, Last::None) && self.last().is_none()
    }

    /// Returns the last row's key. `None` before the first row, and for a key after which no run could resume: a binary float, a date
    /// that does not exist, a text whose order only the server knows.
    pub(crate) fn last(&self) -> Option<Key> {
        Some(match &self.last {
            Last::None | Last::Other => return None,
            Last::Integer(number) => Key::Integer(*number),
            Last::Unsigned(number) => Key::Unsigned(*number),
            Last::Decimal(digits) => Key::Decimal(String::from_utf8(digits.clone()).ok()?),
            Last::Text(text) => {
                Key::Text(String::from_utf8(text.clone()).ok().filter(|_| self.texts.all_known)?)
            }
            Last::Bytes(bytes) => Key::Bytes(bytes.clone()),
            Last::Date(date) => Key::Date(civil_date(*date)?),
            Last::DateTime(date, time) => {
                let (hour, minute) = (i8::try_from(time.hours).ok()?, i8::try_from(time.minutes).ok()?);
                let nanoseconds = i32::try_from(time.microseconds).ok()?.checked_mul(1000)?;
                let second = i8::try_from(time.seconds).ok()?;
                let clock = civil::Time::new(hour, minute, second, nanoseconds).ok()?;
                Key::DateTime(civil_date(*date)?.to_datetime(clock))
            }
        })
    }
}

impl Last {
    fn of(key: Cell<'_>) -> Self {
        match key {
            Cell::Int(number) => Self::Integer(number),
            Cell::UInt(number) => Self::Unsigned(number),
            Cell::Decimal(digits) => Self::Decimal(digits.to_vec()),
            Cell::Text(text) => Self::Text(text.to_vec()),
            Cell::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Cell::Date(date) => Self::Date(date),
            Cell::DateTime(date, time) => Self::DateTime(date, time),
            Cell::Null | Cell::Float(_) | Cell::Double(_) | Cell::Time(_) => Self::Other,
        }
    }
}

impl TextOrder {
    /// Whether there is an order in which all texts so far, and this one, ascend.
    fn ascends(&mut self, last: &[u8], key: &[u8]) -> bool {
        let plain = |text: &[u8]| text.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        self.all_known &= plain(last) && plain(key);
        self.bytes &= last < key;
        let fold = |text: &'_ [u8]| text.to_ascii_lowercase();
        self.folded &=
            if is_one_case(last) && is_one_case(key) { last < key } else { fold(last) < fold(key) };
        // The same bytes are the same key in every order.
        last != key && (self.bytes || self.folded || !self.all_known)
    }
}

/// Whether a text has no capitals. Then both orders are the same, and no copy is needed to compare.
fn is_one_case(text: &[u8]) -> bool {
    !text.iter().any(u8::is_ascii_uppercase)
}

fn date(Date { year, month, day }: Date) -> (u16, u8, u8) {
    (year, month, day)
}

fn clock_of(time: Time) -> (u32, u8, u8, u32) {
    (time.hours, time.minutes, time.seconds, time.microseconds)
}

fn civil_date(Date { year, month, day }: Date) -> Option<civil::Date> {
    civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn cell_date(date: civil::Date) -> Date {
    // Both have a date's ranges.
    Date {
        year: date.year().unsigned_abs(),
        month: date.month().unsigned_abs(),
        day: date.day().unsigned_abs(),
    }
}

fn cell_time(time: civil::Time) -> Time {
    Time {
        negative: false,
        hours: time.hour().unsigned_abs().into(),
        minutes: time.minute().unsigned_abs(),
        seconds: time.second().unsigned_abs(),
        microseconds: time.subsec_nanosecond().unsigned_abs() / 1000,
    }
}

/// Compares decimal numbers as the server writes them: digits with at most one sign and one point.
fn compare_decimals(a: &[u8], b: &[u8]) -> Ordering {
    let negative = |digits: &[u8]| digits.first() == Some(&b'-');
    match (negative(a), negative(b)) {
        (false, false) => compare_magnitudes(a, b),
        (true, true) => compare_magnitudes(&b[1..], &a[1..]),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

fn compare_magnitudes(a: &[u8], b: &[u8]) -> Ordering {
    let split = |digits: &'_ [u8]| {
        let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
        let zeros = digits[..point].iter().take_while(|byte| **byte == b'0').count();
        (zeros, point)
    };
    let ((a_from, a_point), (b_from, b_point)) = (split(a), split(b));
    let (a_whole, b_whole) = (&a[a_from..a_point], &b[b_from..b_point]);
    let fraction = |digits: &'_ [u8], point: usize| {
        let fraction = digits.get(point + 1..).unwrap_or_default();
        let end = fraction.iter().rposition(|byte| *byte != b'0').map_or(0, |last| last + 1);
        fraction[..end].to_vec()
    };
    a_whole
        .len()
        .cmp(&b_whole.len())
        .then_with(|| a_whole.cmp(b_whole))
        .then_with(|| fraction(a, a_point).cmp(&fraction(b, b_point)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(keys: &[&str]) -> (Result<(), KeyError>, Option<Key>) {
        let mut check = KeyOrderCheck::default();
        let followed = keys.iter().try_for_each(|key| check.check_next(Cell::Text(key.as_bytes())));
        (followed, check.last())
    }

    #[test]
    fn number_that_does_not_ascend_is_refused() {
        let follow = |keys: &[i64]| {
            let mut check = KeyOrderCheck::default();
            keys.iter().try_for_each(|key| check.check_next(Cell::Int(*key)))
        };
        assert_eq!(follow(&[-5, 0, 7]), Ok(()));
        assert_eq!(follow(&[1, 2, 2]), Err(KeyError::NotAscending));
        assert_eq!(follow(&[3, 1]), Err(KeyError::NotAscending));
        assert_eq!(KeyOrderCheck::default().check_next(Cell::Null), Err(KeyError::Null));
        let mut unsigned = KeyOrderCheck::default();
        unsigned.check_next(Cell::UInt(u64::MAX - 1)).unwrap();
        unsigned.check_next(Cell::UInt(u64::MAX)).unwrap();
        assert_eq!(unsigned.last(), Some(Key::Unsigned(u64::MAX)));
    }

    #[test]
    fn decimals_are_compared_by_value() {
        let ascending =
            ["-100.50", "-100.40", "-9.99", "-0.01", "0.00", "0.01", "0.1", "9.99", "10", "10.001", "100"];
        for (a, &first) in ascending.iter().enumerate() {
            for (b, &second) in ascending.iter().enumerate() {
                assert_eq!(
                    compare_decimals(first.as_bytes(), second.as_bytes()),
                    a.cmp(&b),
                    "{first} {second}"
                );
            }
        }
        assert_eq!(compare_decimals(b"1.50", b"01.5"), Ordering::Equal);
    }

    #[test]
    fn texts_that_ascend_in_no_known_order_are_refused() {
        assert_eq!(texts(&["A1", "B1", "a1"]).0, Ok(()), "binary");
        assert_eq!(texts(&["a", "B", "c"]).0, Ok(()), "upper and lower case alike");
        assert_eq!(texts(&["A", "B", "a", "B"]).0, Err(KeyError::NotAscending), "neither");
        assert_eq!(
            texts(&["a", "B", "b"]).0,
            Err(KeyError::NotAscending),
            "the same key where case is nothing"
        );
        assert_eq!(texts(&["b", "a"]).0, Err(KeyError::NotAscending));
        assert_eq!(texts(&["a", "a"]).0, Err(KeyError::NotAscending));
    }

    #[test]
    fn text_whose_order_only_the_server_knows_is_not_resumable() {
        assert_eq!(texts(&["a-1", "a-2"]).1, Some(Key::Text("a-2".to_owned())));
        let (followed, last) = texts(&["z", "ä", "z_"]);
        assert_eq!((followed, last), (Ok(()), None));
        assert_eq!(texts(&["ä", "ä"]).0, Err(KeyError::NotAscending), "the same is the same in every order");
    }

    #[test]
    fn key_restored_from_a_checkpoint_is_held_against_the_next() {
        let mut check = KeyOrderCheck::default();
        let at = |microseconds| {
            let time = Time { negative: false, hours: 23, minutes: 59, seconds: 58, microseconds };
            Cell::DateTime(Date { year: 2026, month: 1, day: 31 }, time)
        };
        check.check_next(at(1)).unwrap();
        assert_eq!(check.check_next(at(1)), Err(KeyError::NotAscending));
        check.check_next(at(123_456)).unwrap();
        let key = check.last().unwrap();
        assert_eq!(key.to_value().to_string(), "2026-01-31T23:59:58.123456");
        assert_eq!(KeyOrderCheck::after(&key).check_next(at(123_456)), Err(KeyError::NotAscending));
        assert_eq!(KeyOrderCheck::after(&key).check_next(at(123_457)), Ok(()));
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<Key>(&json).unwrap(), key);
        let mut resumed = KeyOrderCheck::after(&Key::Integer(7));
        assert_eq!(resumed.check_next(Cell::Int(7)), Err(KeyError::NotAscending));
        // `SELECT CAST(…)` may give another kind in another run; the server has compared it.
        assert_eq!(KeyOrderCheck::after(&Key::Integer(7)).check_next(Cell::UInt(1)), Ok(()));
    }

    #[test]
    fn float_or_impossible_date_is_not_resumable() {
        for cell in [Cell::Double(1.5), Cell::Date(Date::default())] {
            let mut check = KeyOrderCheck::default();
            check.check_next(cell).unwrap();
            assert_eq!(check.last(), None, "{cell:?}");
        }
    }
}
