//! Columns, rows and encoders for the tests of other modules.

use downpipe_format::{
    Cell, Column, ColumnKind, ColumnOptions, Compression, Date, EncodeError, Format, Layout, Profile,
    RowEncoder, Style, Time, TreatAs,
};

pub(crate) const INTEGER: ColumnKind = ColumnKind::Integer { bits: 64, unsigned: false, zerofill: 0 };
pub(crate) const SECONDS: ColumnKind = ColumnKind::Time { fraction: 0 };

pub(crate) fn column(name: &str, kind: ColumnKind) -> Column {
    Column { name: name.to_owned(), kind }
}

pub(crate) fn layout<const N: usize>(options: [(&str, ColumnOptions); N]) -> Layout {
    Layout::new(options.into_iter().map(|(name, options)| (name.to_owned(), options)).collect())
}

pub(crate) fn treated(treat_as: TreatAs) -> ColumnOptions {
    ColumnOptions { treat_as: Some(treat_as), ..ColumnOptions::default() }
}

pub(crate) fn labelled(label: &str) -> ColumnOptions {
    ColumnOptions { label: Some(label.to_owned()), ..ColumnOptions::default() }
}

pub(crate) fn hidden() -> ColumnOptions {
    ColumnOptions { hide: true, ..ColumnOptions::default() }
}

/// Creates an encoder, which has written the header.
pub(crate) fn started(
    profile: Profile,
    layout: &Layout,
    columns: &[Column],
) -> Result<RowEncoder, EncodeError> {
    RowEncoder::start(Style::new(profile, Format::Csv, Compression::None).unwrap(), layout, columns)
}

/// Creates an encoder that has written these rows.
pub(crate) fn encoder(
    profile: Profile,
    layout: &Layout,
    columns: &[Column],
    rows: &[Vec<Cell<'_>>],
) -> RowEncoder {
    let mut encoder = started(profile, layout, columns).unwrap();
    let sources = encoder.sources();
    for row in rows {
        sources.iter().for_each(|source| encoder.cell(row[*source]));
        encoder.end_row().unwrap();
    }
    encoder
}

/// Takes the file so far, with invisible characters replaced.
pub(crate) fn taken(encoder: &mut RowEncoder) -> String {
    visible(&encoder.file().take(usize::MAX).unwrap())
}

pub(crate) fn encode(profile: Profile, columns: &[Column], rows: &[Vec<Cell<'_>>]) -> String {
    taken(&mut encoder(profile, &Layout::default(), columns, rows))
}

/// Encodes the cells of a column `c`, each on a line.
pub(crate) fn cells(profile: Profile, kind: ColumnKind, cells: &[Cell<'_>]) -> String {
    let rows: Vec<Vec<Cell<'_>>> = cells.iter().map(|cell| vec![*cell]).collect();
    encode(profile, &[column("c", kind)], &rows)
}

pub(crate) fn text(text: &str) -> Cell<'_> {
    Cell::Text(text.as_bytes())
}

/// Replaces the characters that a snapshot would not show.
pub(crate) fn visible(bytes: &[u8]) -> String {
    let shown = [('\u{feff}', "<BOM>"), ('\r', "<CR>"), ('\0', "<NUL>"), ('\t', "<TAB>")];
    let text = String::from_utf8_lossy(bytes).into_owned();
    shown.into_iter().fold(text, |text, (from, to)| text.replace(from, to))
}

/// Returns a column of every kind, and rows with values at their limits.
pub(crate) fn all_types() -> (Vec<Column>, Vec<Vec<Cell<'static>>>) {
    let columns = vec![
        column("id", INTEGER),
        column("padded", ColumnKind::Integer { bits: 64, unsigned: true, zerofill: 6 }),
        column("price", ColumnKind::Decimal { width: 65 }),
        column("ratio", ColumnKind::Double),
        column("name", ColumnKind::Text),
        column("hash", ColumnKind::Bytes),
        column("day", ColumnKind::Date),
        column("at", ColumnKind::DateTime { fraction: 3 }),
        column("took", SECONDS),
    ];
    let date = Date { year: 2026, month: 1, day: 31 };
    let time = Time { hours: 9, minutes: 5, seconds: 7, microseconds: 123_456, ..Time::default() };
    let long = Time { negative: true, hours: 838, minutes: 59, seconds: 59, microseconds: 0 };
    let rows = vec![
        vec![
            Cell::Int(1),
            Cell::UInt(42),
            Cell::Decimal(b"12.50"),
            Cell::Double(0.1),
            text("Hello"),
            Cell::Bytes(&[0x00, 0xAB, 0xFF]),
            Cell::Date(date),
            Cell::DateTime(date, time),
            Cell::Time(time),
        ],
        vec![
            Cell::Int(i64::MIN),
            Cell::UInt(u64::MAX),
            Cell::Decimal(b"-0.000000000000000000000000000001"),
            Cell::Float(-1.5e-7),
            text("日本語、\"引用\", 🧾"),
            Cell::Bytes(&[]),
            Cell::Date(Date::default()),
            Cell::DateTime(Date::default(), Time::default()),
            Cell::Time(long),
        ],
        vec![Cell::Null; 9],
        vec![
            Cell::Int(-1),
            Cell::UInt(1_234_567),
            Cell::Decimal(b"1234567890123456789"),
            Cell::Double(1e300),
            text(""),
            Cell::Bytes(b"1234567890"),
            Cell::Date(Date { year: 2026, month: 2, day: 0 }),
            Cell::DateTime(Date { year: 9999, month: 12, day: 31 }, Time { hours: 23, ..time }),
            Cell::Time(Time { hours: 25, minutes: 1, ..Time::default() }),
        ],
    ];
    (columns, rows)
}
