//! Tests instants that arrive on the clock of the session's zone.

use std::collections::BTreeMap;

use downpipe_format::{
    Cell, Column, ColumnKind, ColumnOptions, Compression, Date, EncodeError, Format, Layout, LayoutError,
    Mask, Profile, RowEncoder, Style, Time, TreatAs,
};
use insta::assert_snapshot;
use jiff::tz::TimeZone;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn style(profile: Profile, format: Format, session: &str) -> Style {
    Style::new(profile, format, Compression::None).unwrap().arriving_in(zone(session))
}

/// Returns a profile for plain CSV on the clock of a zone.
fn shown_in(name: &str) -> Profile {
    Profile { time_zone: Some(zone(name)), ..Profile::PLAIN }
}

fn columns() -> [Column; 2] {
    let column = |name: &str, kind| Column { name: name.to_owned(), kind };
    [column("ts", ColumnKind::Timestamp { fraction: 0 }), column("dt", ColumnKind::DateTime { fraction: 0 })]
}

fn layout(column: &str, options: ColumnOptions) -> Layout {
    Layout::new(BTreeMap::from([(column.to_owned(), options)]))
}

/// Encodes a row with half past midnight on the first of July in both columns.
fn encode(style: Style, layout: &Layout) -> Result<String, EncodeError> {
    let time = Time { hours: 0, minutes: 30, ..Time::default() };
    let cell = Cell::DateTime(Date { year: 2026, month: 7, day: 1 }, time);
    let mut rows = RowEncoder::start(style, layout, &columns())?;
    rows.cell(cell);
    rows.cell(cell);
    rows.end_row()?;
    rows.file().finish()?;
    Ok(String::from_utf8(rows.file().take(usize::MAX)?).unwrap())
}

fn refused(style: Style, layout: &Layout) -> String {
    let accepted = RowEncoder::accept(&style, layout, &columns()).unwrap_err();
    let EncodeError::Layout(started) = RowEncoder::start(style, layout, &columns()).unwrap_err() else {
        panic!("refused for another reason");
    };
    assert_eq!(accepted, started, "the same is said before the query runs");
    assert!(matches!(started, LayoutError::NotOneInstant { .. }));
    started.to_string()
}

#[test]
fn timestamp_shown_in_the_sessions_zone_is_written_as_it_arrives() {
    for name in ["UTC", "Asia/Tokyo", "Europe/Berlin"] {
        for format in [Format::Csv, Format::Jsonl] {
            let text = encode(style(shown_in(name), format, name), &Layout::default()).unwrap();
            assert_eq!(text.matches("2026-07-01 00:30:00").count(), 2, "{name}: {text}");
        }
    }
}

#[test]
fn timestamp_of_a_fixed_offset_shown_in_another_zone_is_moved() {
    let encode = |profile| encode(style(profile, Format::Csv, "Asia/Tokyo"), &Layout::default()).unwrap();
    assert_snapshot!(encode(Profile::LOSSLESS), @r"
    ts,dt
    2026-06-30 15:30:00,2026-07-01 00:30:00
    ");
    assert_snapshot!(encode(shown_in("Europe/Berlin")), @r"
    ts,dt
    2026-06-30 17:30:00,2026-07-01 00:30:00
    ");
}

#[test]
fn timestamp_of_a_changed_clock_shown_in_another_zone_is_refused() {
    let none = Layout::default();
    let refused = |profile, format| refused(style(profile, format, "Europe/Berlin"), &none);
    assert_snapshot!(refused(Profile::LOSSLESS, Format::Csv), @r#"columns.ts: a TIMESTAMP arrives as local time of Europe/Berlin, whose clocks have been changed: the same local time can be two instants, so it cannot be shown in UTC. Set time_zone = "UTC", or select UNIX_TIMESTAMP(ts)"#);
    let in_utc = refused(Profile::LOSSLESS, Format::Csv);
    // Parquet's instants are UTC in every profile.
    assert_eq!(refused(shown_in("Europe/Berlin"), Format::Parquet), in_utc);
    for format in [Format::Tsv, Format::Jsonl, Format::Xlsx] {
        let text = refused(shown_in("Asia/Tokyo"), format);
        assert!(text.contains("cannot be shown in Asia/Tokyo"), "{text}");
    }
}

#[test]
fn timestamp_that_is_hidden_is_not_refused() {
    let hidden = layout("ts", ColumnOptions { hide: true, ..ColumnOptions::default() });
    let style = style(Profile::LOSSLESS, Format::Csv, "Europe/Berlin");
    assert_eq!(RowEncoder::accept(&style, &hidden, &columns()), Ok(()));
    let fixed = layout("ts", ColumnOptions { mask: Some(Mask::Fixed), ..ColumnOptions::default() });
    assert_snapshot!(encode(style, &fixed).unwrap(), @r"
    ts,dt
    ***,2026-07-01 00:30:00
    ");
}

#[test]
fn mask_of_a_timestamp_is_made_of_utc() {
    let masked = |mask| layout("ts", ColumnOptions { mask: Some(mask), ..ColumnOptions::default() });
    let last = masked(Mask::KeepLast(14));
    let in_tokyo = style(shown_in("Asia/Tokyo"), Format::Csv, "Asia/Tokyo");
    assert_snapshot!(encode(in_tokyo, &last).unwrap(), @r"
    ts,dt
    *****06-30 15:30:00,2026-07-01 00:30:00
    ");
    assert!(
        refused(style(shown_in("Europe/Berlin"), Format::Csv, "Europe/Berlin"), &last).contains("in UTC")
    );
}

#[test]
fn datetime_that_holds_utc_is_moved_from_utc_in_every_zone() {
    let timestamp = ColumnOptions { treat_as: Some(TreatAs::Timestamp), ..ColumnOptions::default() };
    let layout = layout("dt", timestamp);
    let text = encode(style(shown_in("Europe/Berlin"), Format::Csv, "Europe/Berlin"), &layout).unwrap();
    assert_snapshot!(text, @r"
    ts,dt
    2026-07-01 00:30:00,2026-07-01 02:30:00
    ");
}
