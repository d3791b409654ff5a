//! Defines the inner loops of an export as named cases: `cargo bench` measures their time, `encode`
//! runs them for a count of instructions.
//!
//! A case of one kind of value has rows of eight such columns, so that the row's own cost is small.

use crc_fast::{CrcAlgorithm, Digest as Crc};
use downpipe_core::testing::{OwnedCell, order_columns, order_row};
use downpipe_format::{Column, ColumnKind, Compression, Date, Format, Layout, Packer, Profile, RowEncoder, Style, Time};
use sha2::{Digest as _, Sha256};

/// The names of all cases.
pub const NAMES: [&str; 33] = [
    "csv-null",
    "csv-integer-small",
    "csv-integer-large",
    "csv-zerofill",
    "csv-decimal",
    "csv-float",
    "csv-double",
    "csv-date",
    "csv-datetime",
    "csv-datetime-3",
    "csv-datetime-6",
    "csv-time",
    "csv-bytes",
    "csv-text-short",
    "csv-text-quoted",
    "csv-text-japanese",
    "csv-json",
    "orders-csv",
    "orders-excel",
    "orders-excel-cp932",
    "orders-lossless",
    "orders-tsv",
    "orders-jsonl",
    "orders-xlsx",
    "orders-parquet",
    "pack-none",
    "pack-gzip",
    "pack-zstd",
    "pack-zip",
    "hash-sha256",
    "hash-crc64nvme",
    "jsonl-text-japanese",
    "jsonl-double",
];

/// The number of prepared rows, which a case repeats.
const PREPARED: u32 = 1000;

/// The number of rows of the bytes that are packed and hashed: more than any compressor's window,
/// which would otherwise find them again.
const PACKED: u32 = 5 * PREPARED;

/// The size of parts in the core.
const PART_BYTES: usize = 8 << 20;

/// A named unit of work per row.
pub struct Case(Work);

enum Work {
    Encode {
        style: Style,
        columns: Vec<Column>,
        rows: Vec<Vec<OwnedCell>>,
    },
    /// Compresses the plain CSV of orders.
    Pack(Compression, Vec<u8>),
    Sha256(Vec<u8>),
    Crc64Nvme(Vec<u8>),
}

impl Case {
    /// Prepares the case of this name.
    pub fn named(name: &str) -> Option<Self> {
        let integer = |zerofill| ColumnKind::Integer { bits: 64, unsigned: zerofill > 0, zerofill };
        let text = |texts: &'static [&'static str]| move |n: u32| texts[n as usize % texts.len()].into();
        Some(match name {
            "csv-null" => csv(ColumnKind::Text, |_| OwnedCell::Null),
            "csv-integer-small" => csv(integer(0), |n| OwnedCell::Int(i64::from(n % 1000) - 100)),
            "csv-integer-large" => csv(integer(0), |n| OwnedCell::Int(i64::MAX - i64::from(n))),
            "csv-zerofill" => csv(integer(10), |n| OwnedCell::UInt(u64::from(n % 100_000))),
            "csv-decimal" => csv(ColumnKind::Decimal { width: 12 }, |n| {
                OwnedCell::Decimal(format!("{}.{:02}", n % 100_000, n % 100))
            }),
            "csv-float" => csv(ColumnKind::Float, |n| OwnedCell::Float((n % 1_000_000) as f32 / 7.0)),
            "csv-double" => csv(ColumnKind::Double, double),
            "csv-date" => csv(ColumnKind::Date, |n| OwnedCell::Date(date(n))),
            "csv-datetime" => csv(ColumnKind::DateTime { fraction: 0 }, |n| moment(n, 0)),
            "csv-datetime-3" => csv(ColumnKind::DateTime { fraction: 3 }, |n| moment(n, n % 1000 * 1000)),
            "csv-datetime-6" => csv(ColumnKind::DateTime { fraction: 6 }, |n| moment(n, n % 1_000_000)),
            "csv-time" => csv(ColumnKind::Time { fraction: 0 }, |n| OwnedCell::Time(time(n, 0))),
            "csv-bytes" => csv(ColumnKind::Bytes, |n| OwnedCell::Bytes(n.to_le_bytes().repeat(4))),
            "csv-text-short" => csv(ColumnKind::Text, text(&SHORT)),
            "csv-text-quoted" => csv(ColumnKind::Text, text(&QUOTED)),
            "csv-text-japanese" => csv(ColumnKind::Text, text(&JAPANESE)),
            "csv-json" => csv(ColumnKind::Json, text(&JSON)),
            "jsonl-text-japanese" => eight(Format::Jsonl, ColumnKind::Text, text(&JAPANESE)),
            "jsonl-double" => eight(Format::Jsonl, ColumnKind::Double, double),
            "orders-csv" => orders(Profile::PLAIN, Format::Csv),
            "orders-excel" => orders(Profile::EXCEL, Format::Csv),
            "orders-excel-cp932" => orders(Profile::EXCEL_CP932, Format::Csv),
            "orders-lossless" => orders(Profile::LOSSLESS, Format::Csv),
            "orders-tsv" => orders(Profile::PLAIN, Format::Tsv),
            "orders-jsonl" => orders(Profile::PLAIN, Format::Jsonl),
            "orders-xlsx" => orders(Profile::PLAIN, Format::Xlsx),
            // No row repeats, because a dictionary would contain it.
            "orders-parquet" => orders_of(20 * PREPARED, Profile::PLAIN, Format::Parquet),
            "pack-none" => Self(Work::Pack(Compression::None, orders_csv())),
            "pack-gzip" => Self(Work::Pack(Compression::Gzip, orders_csv())),
            "pack-zstd" => Self(Work::Pack(Compression::Zstd, orders_csv())),
            "pack-zip" => Self(Work::Pack(Compression::Zip, orders_csv())),
            "hash-sha256" => Self(Work::Sha256(orders_csv())),
            "hash-crc64nvme" => Self(Work::Crc64Nvme(orders_csv())),
            _ => return None,
        })
    }

    /// Runs the case for so many rows, in units of [`PACKED`] where rows are bytes already. Returns
    /// the number of bytes that were written, packed or hashed.
    pub fn run(&self, rows: u32) -> u64 {
        match &self.0 {
            Work::Encode { style, columns, rows: prepared } => {
                let mut encoder = started(style, columns);
                encode(&mut encoder, prepared.iter().cycle().take(rows as usize))
            }
            Work::Pack(compression, bytes) => pack(*compression, bytes, rows / PACKED),
            Work::Sha256(bytes) => {
                let mut sha256 = Sha256::new();
                (0..rows / PACKED).for_each(|_| sha256.update(bytes));
                std::hint::black_box(sha256.finalize());
                u64::from(rows / PACKED) * bytes.len() as u64
            }
            Work::Crc64Nvme(bytes) => {
                let mut crc = Crc::new(CrcAlgorithm::Crc64Nvme);
                (0..rows / PACKED).for_each(|_| crc.update(bytes));
                std::hint::black_box(crc.finalize());
                u64::from(rows / PACKED) * bytes.len() as u64
            }
        }
    }
}

const SHORT: [&str; 5] = ["new", "paid", "shipped", "JP-00012345678", "customer@example.com"];

const QUOTED: [&str; 4] = ["no, thanks", "She said \"yes\"", "two\nlines", "\"a\",\"b\""];

const JAPANESE: [&str; 3] = [
    "午前中に届けてください。不在の場合は宅配ボックスへ入れて、電話で知らせていただけると助かります。よろしくお願いします。",
    "領収書の宛名は「株式会社 青空商事」でお願いします。品代として、日付は空欄のままにしておいてください。",
    "髙橋様への贈り物です。のし紙を付けて、金額の分かるものは同封しないでください。𠮷野家の近くのお店に届けます。",
];

const JSON: [&str; 3] = [
    r#"{"gift": true, "points": 512, "channel": "web"}"#,
    r#"{"gift": false, "points": 7, "channel": "shop", "tags": ["a", "b"]}"#,
    r#"{"note": "領収書", "points": 0}"#,
];

fn double(n: u32) -> OwnedCell {
    OwnedCell::Double(f64::from(n) / 7.0)
}

fn date(n: u32) -> Date {
    let small = |value: u32| u8::try_from(value).unwrap_or_default();
    Date { year: 2000 + u16::from(small(n % 100)), month: small(1 + n % 12), day: small(1 + n % 28) }
}

fn time(n: u32, microseconds: u32) -> Time {
    let small = |value: u32| u8::try_from(value).unwrap_or_default();
    Time { negative: false, hours: n % 24, minutes: small(n % 60), seconds: small(n / 60 % 60), microseconds }
}

fn moment(n: u32, microseconds: u32) -> OwnedCell {
    OwnedCell::DateTime(date(n), time(n, microseconds))
}

fn csv(kind: ColumnKind, cell: impl Fn(u32) -> OwnedCell) -> Case {
    eight(Format::Csv, kind, cell)
}

/// Prepares rows of eight values of one kind.
fn eight(format: Format, kind: ColumnKind, cell: impl Fn(u32) -> OwnedCell) -> Case {
    let columns = (1..=8).map(|at| Column { name: format!("c{at}"), kind }).collect();
    // Knuth's multiplicative hash makes neighbours unrelated.
    let drawn = |row: u32, at: u32| (row * 8 + at).wrapping_mul(2_654_435_761);
    let rows = (0..PREPARED).map(|row| (0..8).map(|at| cell(drawn(row, at))).collect()).collect();
    Case(Work::Encode { style: style(Profile::PLAIN, format), columns, rows })
}

fn orders(profile: Profile, format: Format) -> Case {
    orders_of(PREPARED, profile, format)
}

fn orders_of(rows: u32, profile: Profile, format: Format) -> Case {
    let rows = (1..=rows).map(order_row).collect();
    Case(Work::Encode { style: style(profile, format), columns: order_columns(), rows })
}

fn style(profile: Profile, format: Format) -> Style {
    Style::new(profile, format, Compression::None).expect("every format goes without compression")
}

fn started(style: &Style, columns: &[Column]) -> RowEncoder {
    RowEncoder::start(style.clone(), &Layout::default(), columns).expect("these columns fit every format")
}

/// Writes a whole file and drops it, a part at a time as an export does.
fn encode<'a>(encoder: &mut RowEncoder, rows: impl Iterator<Item = &'a Vec<OwnedCell>>) -> u64 {
    let mut bytes = 0;
    for row in rows {
        row.iter().for_each(|cell| encoder.cell(cell.as_cell()));
        encoder.end_row().expect("these rows fit every format");
        if encoder.buffered() >= PART_BYTES {
            bytes += take_all(encoder);
        }
    }
    encoder.file().finish().expect("there is room for the file");
    bytes + take_all(encoder)
}

fn take_all(encoder: &mut RowEncoder) -> u64 {
    let mut bytes = 0;
    while encoder.buffered() > 0 {
        bytes += encoder.file().take(PART_BYTES).expect("what was written can be read").len() as u64;
    }
    bytes
}

/// Returns orders as plain CSV.
fn orders_csv() -> Vec<u8> {
    let mut encoder = started(&style(Profile::PLAIN, Format::Csv), &order_columns());
    for row in (1..=PACKED).map(order_row) {
        row.iter().for_each(|cell| encoder.cell(cell.as_cell()));
        encoder.end_row().expect("these rows fit every format");
    }
    encoder.file().take(usize::MAX).expect("CSV is in memory")
}

fn pack(compression: Compression, bytes: &[u8], times: u32) -> u64 {
    let mut packer = Packer::new(compression);
    packer.begin_file("orders.csv").expect("a short name");
    for _ in 0..times {
        packer.push(bytes.to_vec()).expect("there is memory");
        if packer.buffered() >= PART_BYTES {
            std::hint::black_box(packer.take_part().expect("there is memory"));
        }
    }
    packer.end_file().expect("there is memory");
    std::hint::black_box(packer.finish().expect("there is memory"));
    u64::from(times) * bytes.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_of_every_name_exists_and_grows_with_rows() {
        for name in NAMES {
            let case = Case::named(name).unwrap_or_else(|| panic!("{name}"));
            assert!(case.run(2 * PACKED) > case.run(PACKED), "{name}");
        }
        assert!(Case::named("csv").is_none());
    }
}
