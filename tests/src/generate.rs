//! Generates tables with a random schema and random values that lean towards the edges. The same
//! seed gives the same table.

use std::fmt::Write as _;

use fastrand::Rng;

use crate::database::Server;

/// A random table.
#[derive(Debug)]
pub struct GeneratedTable {
    /// The statements `CREATE TABLE` and `INSERT`.
    pub statements: String,
    /// The columns' names, without the key `id`.
    pub names: Vec<String>,
    /// All columns, quoted for a `SELECT`.
    pub columns: String,
    /// The number of rows.
    pub rows: usize,
}

/// A column type, and a generator of its values.
struct Kind {
    /// The type in SQL.
    sql: String,
    value: fn(&mut Rng, &str) -> String,
}

/// Generates a table with this name.
pub fn table(seed: u64, name: &str, server: Server) -> GeneratedTable {
    let mut rng = Rng::with_seed(seed);
    let kinds: Vec<Kind> = (0..rng.usize(1..=12)).map(|_| kind(&mut rng, server)).collect();
    let names: Vec<String> = (0..kinds.len()).map(|at| column_name(&mut rng, at)).collect();
    let columns: Vec<String> = names.iter().map(|name| format!("`{}`", name.replace('`', "``"))).collect();
    let mut statements = format!(
        "SET sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00';
         CREATE TABLE {name} (id INT NOT NULL PRIMARY KEY"
    );
    for (column, kind) in columns.iter().zip(&kinds) {
        let _ = write!(statements, ", {column} {} NULL", kind.sql);
    }
    statements += ") CHARACTER SET utf8mb4;";
    let rows = rng.usize(0..60);
    let mut separator = format!(" INSERT INTO {name} VALUES ");
    for row in 0..rows {
        let _ = write!(statements, "{separator}({row}");
        for kind in &kinds {
            let null = rng.usize(0..8) == 0;
            let value = if null { "NULL".to_owned() } else { (kind.value)(&mut rng, &kind.sql) };
            let _ = write!(statements, ", {value}");
        }
        statements.push(')');
        separator = ", ".to_owned();
    }
    GeneratedTable { statements, columns: format!("id, {}", columns.join(", ")), names, rows }
}

/// Returns a name that must be quoted. Only its number makes it unique.
fn column_name(rng: &mut Rng, at: usize) -> String {
    let words = [
        "a",
        "ObjectDigest",
        "日本",
        "with space",
        "quo\"te",
        "back`tick",
        "com,ma",
        "select",
        "ü",
        "per%cent",
    ];
    format!("{}{at}", words[rng.usize(..words.len())])
}

fn kind(rng: &mut Rng, server: Server) -> Kind {
    let integers = ["TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT"];
    let sql = |sql: String, value| Kind { sql, value };
    match rng.usize(0..28) {
        0..=3 => {
            let sign = ["", " UNSIGNED", " ZEROFILL"][rng.usize(..3)];
            sql(format!("{}{sign}", integers[rng.usize(..integers.len())]), integer)
        }
        4 | 5 => {
            let scale = rng.usize(0..=30);
            sql(format!("DECIMAL({},{scale})", rng.usize(scale.max(1)..=65)), decimal)
        }
        6 => sql("FLOAT".to_owned(), single),
        7 => sql("DOUBLE".to_owned(), double),
        8 | 9 => sql(format!("BIT({})", rng.usize(1..=64)), bits),
        10 => sql("DATE".to_owned(), date),
        11 | 12 => sql(format!("DATETIME({})", rng.usize(0..=6)), datetime),
        13 => sql(format!("TIMESTAMP({})", rng.usize(0..=6)), timestamp),
        14 => sql(format!("TIME({})", rng.usize(0..=6)), time),
        15 => sql("YEAR".to_owned(), year),
        16 => sql(format!("CHAR({})", rng.usize(20..60)), text),
        17..=19 => sql(format!("VARCHAR({})", rng.usize(30..200)), text),
        20 => sql(["TEXT", "MEDIUMTEXT", "LONGTEXT"][rng.usize(..3)].to_owned(), text),
        21 => sql("VARCHAR(60) CHARACTER SET cp932".to_owned(), japanese),
        22 => sql("VARCHAR(60) CHARACTER SET latin1".to_owned(), western),
        23 => sql(format!("VARCHAR(60) CHARACTER SET {}", ["utf16", "utf32"][rng.usize(..2)]), text),
        24 => sql(["VARBINARY(80)", "BLOB", "LONGBLOB"][rng.usize(..3)].to_owned(), bytes),
        25 if server == Server::MySql => sql("JSON".to_owned(), json),
        25 => sql("GEOMETRY".to_owned(), geometry),
        26 => sql("SET('a','b','日本','\"','\\\\')".to_owned(), members),
        _ if rng.bool() => sql("GEOMETRY".to_owned(), geometry),
        _ => sql("ENUM('x','Y','日本','a,b','\"','\\\\N')".to_owned(), member),
    }
}

fn integer(rng: &mut Rng, sql: &str) -> String {
    let bits = match sql.split(' ').next() {
        Some("TINYINT") => 8,
        Some("SMALLINT") => 16,
        Some("MEDIUMINT") => 24,
        Some("INT") => 32,
        _ => 64,
    };
    let unsigned = sql.contains(' ');
    let max = if unsigned { u64::MAX >> (64 - bits) } else { (u64::MAX >> (64 - bits)) / 2 };
    let value = match rng.usize(0..4) {
        0 => max,
        1 => 0,
        2 => rng.u64(0..=max.min(9)),
        _ => rng.u64(0..=max),
    };
    if !unsigned && rng.bool() { format!("-{value}") } else { value.to_string() }
}

fn decimal(rng: &mut Rng, sql: &str) -> String {
    let digits = sql.trim_start_matches("DECIMAL(").trim_end_matches(')');
    let (precision, scale) = digits.split_once(',').unwrap();
    let (precision, scale): (usize, usize) = (precision.parse().unwrap(), scale.parse().unwrap());
    let nines = rng.usize(0..4) == 0;
    let mut text = if rng.bool() { "-".to_owned() } else { String::new() };
    let digit = |rng: &mut Rng| char::from(if nines { b'9' } else { rng.u8(b'0'..=b'9') });
    text.extend((0..rng.usize(0..=precision - scale)).map(|_| digit(rng)));
    if text.is_empty() || text == "-" {
        text.push('0');
    }
    text.push('.');
    text.extend((0..scale.max(1)).map(|_| if scale == 0 { '0' } else { digit(rng) }));
    text
}

/// Generates any finite number by its bits, so that tiny numbers are as frequent as huge ones.
fn double(rng: &mut Rng, _: &str) -> String {
    let bits = f64::from_bits(rng.u64(..));
    let value = if bits.is_finite() && rng.usize(0..3) > 0 { bits } else { f64::from(rng.i32(..)) / 8.0 };
    format!("{value:e}")
}

fn single(rng: &mut Rng, _: &str) -> String {
    let value = f32::from_bits(rng.u32(..));
    let value = if value.is_finite() { value } else { 0.1 };
    format!("{:e}", f64::from(value))
}

fn bits(rng: &mut Rng, sql: &str) -> String {
    let width: u32 = sql.trim_start_matches("BIT(").trim_end_matches(')').parse().unwrap();
    format!("{}", rng.u64(..) >> (64 - width))
}

fn date(rng: &mut Rng, _: &str) -> String {
    match rng.usize(0..8) {
        0 => "'0000-00-00'".to_owned(),
        1 => format!("'{:04}-{:02}-00'", rng.u16(0..=9999), rng.u8(0..=12)),
        2 => format!("'{:04}-02-31'", rng.u16(0..=9999)),
        _ => format!("'{:04}-{:02}-{:02}'", rng.u16(1..=9999), rng.u8(1..=12), rng.u8(1..=28)),
    }
}

fn fraction(rng: &mut Rng, sql: &str) -> String {
    let digits: usize = sql.trim_end_matches(')').rsplit('(').next().unwrap().parse().unwrap();
    let text: String = (0..digits).map(|_| char::from(rng.u8(b'0'..=b'9'))).collect();
    if text.is_empty() { text } else { format!(".{text}") }
}

fn clock(rng: &mut Rng) -> String {
    format!("{:02}:{:02}:{:02}", rng.u8(0..24), rng.u8(0..60), rng.u8(0..60))
}

fn datetime(rng: &mut Rng, sql: &str) -> String {
    if rng.usize(0..10) == 0 {
        return "'0000-00-00 00:00:00'".to_owned();
    }
    let day = date(rng, sql).trim_matches('\'').to_owned();
    // Not every server takes a time on the zero date.
    let day = if day.starts_with("0000-00-00") { "2026-01-31".to_owned() } else { day };
    format!("'{day} {}{}'", clock(rng), fraction(rng, sql))
}

fn timestamp(rng: &mut Rng, sql: &str) -> String {
    if rng.usize(0..10) == 0 {
        return "'0000-00-00 00:00:00'".to_owned();
    }
    let (month, day) = (rng.u8(1..=12), rng.u8(1..=28));
    format!("'{:04}-{month:02}-{day:02} {}{}'", rng.u16(1971..2038), clock(rng), fraction(rng, sql))
}

fn time(rng: &mut Rng, sql: &str) -> String {
    let sign = if rng.bool() { "-" } else { "" };
    format!("'{sign}{:02}:{:02}:{:02}{}'", rng.u16(0..838), rng.u8(0..60), rng.u8(0..60), fraction(rng, sql))
}

fn year(rng: &mut Rng, _: &str) -> String {
    if rng.usize(0..6) == 0 { "0".to_owned() } else { rng.u16(1901..=2155).to_string() }
}

/// Generates text of characters that have a meaning in some format.
fn text(rng: &mut Rng, _: &str) -> String {
    const ODD: [&str; 22] = [
        "a", "B", " ", ",", ";", "\t", "\n", "\r", "\"", "'", "\\", "\\N", "NULL", "\\.", "\0", "\u{1a}",
        "=", "日本", "é", "🚀", "\u{2028}", "\u{feff}",
    ];
    let length = rng.usize(0..6);
    literal(&(0..length).map(|_| ODD[rng.usize(..ODD.len())]).collect::<String>())
}

fn japanese(rng: &mut Rng, _: &str) -> String {
    const WORDS: [&str; 9] = ["表", "能", "ソ", "ｱｲｳ", "髙", "①", "～", "\\", ","];
    literal(&(0..rng.usize(0..8)).map(|_| WORDS[rng.usize(..WORDS.len())]).collect::<String>())
}

fn western(rng: &mut Rng, _: &str) -> String {
    const LETTERS: [&str; 8] = ["é", "ü", "ß", "€", "ÿ", "\"", "\\", "x"];
    literal(&(0..rng.usize(0..8)).map(|_| LETTERS[rng.usize(..LETTERS.len())]).collect::<String>())
}

/// Returns a literal in hexadecimal, which no `sql_mode` changes.
fn literal(text: &str) -> String {
    if text.is_empty() { "''".to_owned() } else { format!("_utf8mb4 x'{}'", hex(text.as_bytes())) }
}

fn bytes(rng: &mut Rng, _: &str) -> String {
    let bytes: Vec<u8> = (0..rng.usize(0..20)).map(|_| rng.u8(..)).collect();
    format!("x'{}'", hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn json(rng: &mut Rng, sql: &str) -> String {
    let leaf = |rng: &mut Rng| match rng.usize(0..5) {
        0 => "null".to_owned(),
        1 => rng.i64(..).to_string(),
        2 => format!("{}.5", rng.i32(..)),
        3 => "\"q\\\"b\\\\n\\n日本🚀\"".to_owned(),
        _ => rng.bool().to_string(),
    };
    let document = match rng.usize(0..3) {
        0 => leaf(rng),
        1 => format!("[{}, {}]", leaf(rng), leaf(rng)),
        _ => format!("{{\"k\": {}, \"日本\": [{}]}}", leaf(rng), leaf(rng)),
    };
    debug_assert_eq!(sql, "JSON");
    format!("CAST({} AS JSON)", literal(&document))
}

fn geometry(rng: &mut Rng, _: &str) -> String {
    let mut number = || f64::from(rng.i32(-9000..9000)) / 100.0;
    format!("ST_GeomFromText('LINESTRING({} {},{} {})')", number(), number(), number(), number())
}

fn members(rng: &mut Rng, _: &str) -> String {
    rng.usize(0..32).to_string()
}

fn member(rng: &mut Rng, _: &str) -> String {
    rng.usize(1..=6).to_string()
}
