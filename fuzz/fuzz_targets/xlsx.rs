//! Checks workbooks: every cell has the value that was written, as a number or a date where no
//! digit is lost, otherwise as text.

#![no_main]

use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};
use downpipe_format::{Compression, Date, Format, Profile, Style, Time, TreatAs};
use downpipe_fuzz::{Table, TableColumn, Value, write};
use libfuzzer_sys::fuzz_target;

/// The tolerance: a tenth of a millisecond, in days.
const TENTH_OF_MILLISECOND: f64 = 0.1 / 86_400_000.0;

fuzz_target!(|table: Table| {
    let style =
        Style::new(Profile::EXCEL, Format::Xlsx, Compression::None).expect("a workbook may be as it is");
    let written = write(&style, &table).expect("short values fit into cells");
    let mut workbook = Xlsx::new(Cursor::new(written.bytes)).expect("a workbook");
    let sheet = workbook.worksheet_range_at(0).expect("a sheet").expect("a sheet that can be read");
    let cell = |row: usize, column: usize| {
        let at = (u32::try_from(row).expect("few rows"), u32::try_from(column).expect("few columns"));
        sheet.get_value(at).cloned().unwrap_or_default()
    };
    for (at, label) in table.labels().into_iter().enumerate() {
        assert!(is_text(&cell(0, at), label), "the heading {label:?} was read as {:?}", cell(0, at));
    }
    for (row, values) in table.rows.iter().enumerate() {
        for (at, (column, value)) in table.columns.iter().zip(values).enumerate() {
            let read = cell(row + 1, at);
            assert!(is_same(column, value, &read), "{value:?} was read as {read:?}");
        }
    }
    let rows = sheet.end().map_or(0, |(row, _)| row as usize);
    assert!(rows <= table.rows.len(), "{rows} rows of {}", table.rows.len());
});

fn is_same(column: &TableColumn, value: &Value, read: &Data) -> bool {
    let kind = column.column.kind;
    if *value == Value::Null {
        return *read == Data::Empty;
    }
    if is_text(read, &value.text(kind)) {
        // The tests of `downpipe-format` check when a number or a date becomes text.
        return true;
    }
    let number = match read {
        Data::Float(number) => *number,
        Data::Int(number) => *number as f64,
        Data::DateTime(serial) => serial.as_f64(),
        Data::String(text) => return value.is(text, kind),
        _ => return false,
    };
    let close = |expected: Option<f64>| expected.is_some_and(|e| (e - number).abs() < TENTH_OF_MILLISECOND);
    match value {
        Value::Int(value) => value.unsigned_abs() < 1_000_000_000_000_000 && number == *value as f64,
        Value::UInt(value) => *value < 1_000_000_000_000_000 && number == *value as f64,
        Value::Float(value) => value.to_string().parse() == Ok(number),
        Value::Double(value) => *value == number,
        Value::Decimal(digits) => digits.parse() == Ok(number),
        Value::Text(text) => column.treat_as == Some(TreatAs::Number) && text.parse() == Ok(number),
        Value::Date(date) => close(days(*date)),
        Value::DateTime(date, time) => close(days(*date).map(|days| days + part_of_day(*time))),
        Value::Time(time) => !time.negative && close(Some(part_of_day(*time))),
        Value::Null | Value::Bytes(_) => false,
    }
}

fn is_text(read: &Data, text: &str) -> bool {
    match read {
        Data::Empty => text.is_empty(),
        Data::String(read) => read == text,
        _ => false,
    }
}

/// Returns the days since 1899-12-30, as spreadsheets count from March 1900 on.
fn days(date: Date) -> Option<f64> {
    let date = jiff::civil::Date::new(
        i16::try_from(date.year).ok()?,
        i8::try_from(date.month).ok()?,
        i8::try_from(date.day).ok()?,
    );
    let days = date.ok()?.since(jiff::civil::date(1899, 12, 30)).ok()?.get_days();
    (days >= 61).then(|| f64::from(days))
}

fn part_of_day(time: Time) -> f64 {
    let seconds = f64::from(time.hours * 3600 + u32::from(time.minutes) * 60 + u32::from(time.seconds));
    // Fractions of a millisecond are cut.
    (seconds + f64::from(time.microseconds / 1000) / 1e3) / 86_400.0
}
