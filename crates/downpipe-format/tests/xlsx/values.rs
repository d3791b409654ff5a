//! Tests numbers, dates and bytes.

use downpipe_format::{Cell, ColumnChanges, ColumnKind, Date, Layout, Time, TreatAs};

use crate::workbook::{INTEGER, Workbook, integer, treated};

fn date(year: u16, month: u8, day: u8) -> Date {
    Date { year, month, day }
}

fn time(hours: u32, minutes: u8, seconds: u8, microseconds: u32) -> Time {
    Time { negative: false, hours, minutes, seconds, microseconds }
}

/// Returns how the cells are shown, and their changes.
fn shown(layout: &Layout, kind: ColumnKind, cells: &[Cell<'_>]) -> (Vec<String>, ColumnChanges) {
    let workbook = Workbook::of_cells(layout, kind, cells);
    let changes = workbook.changes.first().map(|(_, changes)| *changes).unwrap_or_default();
    (workbook.shown(), changes)
}

#[test]
fn integers_over_15_digits_are_text() {
    let cells = [
        Cell::Int(0),
        Cell::Int(-999_999_999_999_999),
        Cell::Int(999_999_999_999_999),
        Cell::Int(1_000_000_000_000_000),
        Cell::Int(i64::MIN),
        Cell::UInt(u64::MAX),
        Cell::Null,
    ];
    let (shown, changes) = shown(&Layout::default(), INTEGER, &cells);
    let expected = [
        "0 as 0",
        "-999999999999999 as 0",
        "999999999999999 as 0",
        "1000000000000000 as text",
        "-9223372036854775808 as text",
        "18446744073709551615 as text",
        "nothing",
    ];
    assert_eq!(shown, expected);
    assert_eq!(changes, ColumnChanges { numbers_as_text: 3, ..ColumnChanges::default() });
}

#[test]
fn bits_are_written_as_integers() {
    let (shown, changes) = shown(&Layout::default(), ColumnKind::Bit, &[Cell::UInt(5), Cell::UInt(1 << 63)]);
    assert_eq!(shown, ["5 as 0", "9223372036854775808 as text"]);
    assert_eq!(changes.numbers_as_text, 1);
}

#[test]
fn zerofill_up_to_15_digits_is_a_number_format() {
    let (five, none) = shown(&Layout::default(), integer(5), &[Cell::UInt(42), Cell::UInt(1_234_567)]);
    assert_eq!(five, ["42 as 00000", "1234567 as 00000"]);
    assert_eq!(none, ColumnChanges::default());
    let (fifteen, _) = shown(&Layout::default(), integer(15), &[Cell::UInt(42)]);
    assert_eq!(fifteen, ["42 as 000000000000000"]);
    let (twenty, changes) = shown(&Layout::default(), integer(20), &[Cell::UInt(42)]);
    assert_eq!(twenty, ["00000000000000000042 as text"]);
    assert_eq!(changes.numbers_as_text, 1);
}

#[test]
fn decimals_show_all_their_digits() {
    let digits: [&[u8]; 7] =
        [b"1.50", b"-0.05", b"0.00", b"1.5000", b"9999999999999.99", b"99999999999999.99", b"00012.50"];
    let cells = digits.map(Cell::Decimal);
    let (shown, changes) = shown(&Layout::default(), ColumnKind::Decimal { width: 16 }, &cells);
    let expected = [
        "1.5 as 0.00",
        "-0.05 as 0.00",
        "0 as 0.00",
        "1.5 as 0.0000",
        "9999999999999.99 as 0.00",
        "99999999999999.99 as text",
        "12.5 as 00000.00",
    ];
    assert_eq!(shown, expected);
    assert_eq!(changes.numbers_as_text, 1);
}

#[test]
fn floats_are_written_as_their_shortest_decimals() {
    let numbers = |kind, cells: &[Cell<'_>]| -> Vec<f64> {
        let (shown, _) = shown(&Layout::default(), kind, cells);
        shown.iter().map(|cell| cell.strip_suffix(" as General").unwrap().parse().unwrap()).collect()
    };
    // Converted to a double, the single 0.1 would be 0.10000000149011612.
    assert_eq!(numbers(ColumnKind::Float, &[Cell::Float(0.1), Cell::Float(-1e30)]), [0.1, -1e30]);
    let doubles = [0.1, 1e300, 5e-324, f64::MIN];
    assert_eq!(numbers(ColumnKind::Double, &doubles.map(Cell::Double)), doubles);
    let (whole, _) = shown(&Layout::default(), ColumnKind::Double, &[Cell::Double(5.0)]);
    assert_eq!(whole, ["5 as General"]);
}

#[test]
fn date_unknown_to_spreadsheets_is_text() {
    let dates = [
        date(1900, 3, 1),
        date(9999, 12, 31),
        date(2024, 2, 29),
        date(1900, 2, 28),
        date(0, 0, 0),
        date(2026, 2, 0),
        date(2023, 2, 29),
    ];
    let (shown, changes) = shown(&Layout::default(), ColumnKind::Date, &dates.map(Cell::Date));
    let expected = [
        "61 as yyyy-mm-dd",
        "2958465 as yyyy-mm-dd",
        "45351 as yyyy-mm-dd",
        "1900-02-28 as text",
        "0000-00-00 as text",
        "2026-02-00 as text",
        "2023-02-29 as text",
    ];
    assert_eq!(shown, expected);
    assert_eq!(changes, ColumnChanges { dates_as_text: 4, ..ColumnChanges::default() });
}

#[test]
fn date_with_time_shows_at_most_milliseconds() {
    let noon = |microseconds| Cell::DateTime(date(2024, 2, 29), time(12, 0, 0, microseconds));
    let formats = |fraction, microseconds| {
        let (shown, changes) =
            shown(&Layout::default(), ColumnKind::DateTime { fraction }, &[noon(microseconds)]);
        (shown[0].split_once(" as ").unwrap().1.to_owned(), changes.microseconds_hidden)
    };
    assert_eq!(formats(0, 0), ("yyyy-mm-dd hh:mm:ss".to_owned(), 0));
    assert_eq!(formats(1, 500_000), ("yyyy-mm-dd hh:mm:ss.0".to_owned(), 0));
    assert_eq!(formats(3, 0), ("yyyy-mm-dd hh:mm:ss.000".to_owned(), 0));
    assert_eq!(formats(6, 1000), ("yyyy-mm-dd hh:mm:ss.000".to_owned(), 0));
    assert_eq!(formats(6, 1), ("yyyy-mm-dd hh:mm:ss.000".to_owned(), 1));
    // More digits than the column declares.
    assert_eq!(formats(0, 500_000), ("yyyy-mm-dd hh:mm:ss.000".to_owned(), 0));
}

/// Otherwise the last instant of a day would be shown as the next day.
#[test]
fn time_is_cut_to_the_millisecond() {
    let cell = Cell::DateTime(date(2024, 2, 29), time(12, 0, 0, 123_956));
    let (shown, changes) = shown(&Layout::default(), ColumnKind::Timestamp { fraction: 6 }, &[cell]);
    let serial: f64 = shown[0].split_once(' ').unwrap().0.parse().unwrap();
    let millis = (serial - 45_351.5) * 86_400e3;
    assert!((millis - 123.0).abs() < 0.1, "{millis}");
    assert_eq!(changes, ColumnChanges { microseconds_hidden: 1, ..ColumnChanges::default() });
}

#[test]
fn last_instant_of_9999_stays_a_date() {
    let cell = Cell::DateTime(date(9999, 12, 31), time(23, 59, 59, 999_999));
    let (shown, changes) = shown(&Layout::default(), ColumnKind::DateTime { fraction: 6 }, &[cell]);
    assert!(shown[0].starts_with("2958465.99999998"), "{shown:?}");
    assert!(shown[0].ends_with(" as yyyy-mm-dd hh:mm:ss.000"), "{shown:?}");
    assert_eq!(changes, ColumnChanges { microseconds_hidden: 1, ..ColumnChanges::default() });
}

#[test]
fn numbers_of_decimal_type_show_its_digits() {
    let as_decimal = treated("c", TreatAs::Decimal("decimal(18,2)".parse().unwrap()));
    let cells = [Cell::Decimal(b"0"), Cell::Decimal(b"-1.5"), Cell::Null, Cell::Decimal(b"1234567890123456")];
    let (shown, changes) = shown(&as_decimal, ColumnKind::Decimal { width: 18 }, &cells);
    assert_eq!(shown, ["0 as 0.00", "-1.5 as 0.00", "nothing", "1234567890123456.00 as text"]);
    assert_eq!(changes, ColumnChanges { numbers_as_text: 1, ..ColumnChanges::default() });
}

#[test]
fn date_with_time_that_does_not_exist_is_text() {
    let cell = Cell::DateTime(date(0, 0, 0), time(0, 0, 0, 0));
    let (zero, changes) = shown(&Layout::default(), ColumnKind::DateTime { fraction: 3 }, &[cell]);
    assert_eq!(zero, ["0000-00-00 00:00:00.000 as text"]);
    assert_eq!(changes, ColumnChanges { dates_as_text: 1, ..ColumnChanges::default() });
}

#[test]
fn negative_time_is_text_and_other_times_are_durations() {
    let cells = [
        Cell::Time(time(838, 59, 59, 0)),
        Cell::Time(time(0, 0, 0, 0)),
        Cell::Time(Time { negative: true, ..time(1, 2, 3, 0) }),
        Cell::Time(time(12, 0, 0, 500_000)),
    ];
    let (shown, changes) = shown(&Layout::default(), ColumnKind::Time { fraction: 0 }, &cells);
    assert!(shown[0].ends_with(" as [h]:mm:ss"), "{shown:?}");
    assert_eq!(shown[1], "0 as [h]:mm:ss");
    assert_eq!(shown[2], "-01:02:03 as text");
    assert!(shown[3].ends_with(" as [h]:mm:ss.000"), "{shown:?}");
    assert_eq!(changes, ColumnChanges { dates_as_text: 1, ..ColumnChanges::default() });
}

#[test]
fn bytes_are_written_as_hexadecimal_text() {
    let (shown, _) = shown(&Layout::default(), ColumnKind::Bytes, &[Cell::Bytes(&[0, 255, 0x1a])]);
    assert_eq!(shown, ["00FF1A as text"]);
}

#[test]
fn value_treated_as_text_is_shown_as_in_mysql() {
    let as_text = treated("c", TreatAs::Text);
    let text = |kind, cell| shown(&as_text, kind, &[cell]);
    let unchanged = |shown: &str| (vec![format!("{shown} as text")], ColumnChanges::default());
    assert_eq!(text(integer(5), Cell::Int(7)), unchanged("00007"));
    assert_eq!(text(INTEGER, Cell::Int(i64::MAX)), unchanged("9223372036854775807"));
    assert_eq!(text(ColumnKind::Decimal { width: 5 }, Cell::Decimal(b"1.50")), unchanged("1.50"));
    assert_eq!(text(ColumnKind::Double, Cell::Double(0.5)), unchanged("0.5"));
    assert_eq!(text(ColumnKind::Date, Cell::Date(date(2024, 2, 29))), unchanged("2024-02-29"));
    assert_eq!(text(ColumnKind::Date, Cell::Date(date(0, 0, 0))), unchanged("0000-00-00"));
}

#[test]
fn text_treated_as_number_is_one_where_it_is_plain() {
    let cells = [
        "1.50",
        "-7",
        "007",
        "123456789012345",
        "1234567890123456",
        "1e5",
        "1.",
        "-",
        "inf",
        "+1",
        " 1",
        "x",
    ];
    let cells = cells.map(|text| Cell::Text(text.as_bytes()));
    let (shown, changes) = shown(&treated("c", TreatAs::Number), ColumnKind::Text, &cells);
    let expected = [
        "1.5 as General",
        "-7 as General",
        "7 as General",
        "123456789012345 as General",
        "1234567890123456 as text",
        "1e5 as text",
        "1. as text",
        "- as text",
        "inf as text",
        "+1 as text",
        " 1 as text",
        "x as text",
    ];
    assert_eq!(shown, expected);
    assert_eq!(changes, ColumnChanges { numbers_as_text: 1, ..ColumnChanges::default() });
}
