//! Compares plain files byte for byte with the server's text protocol, which Downpipe does not use,
//! written by the `csv` crate. No lenient reader stands between them.
//!
//! Binary numbers are excluded: the server shows fewer digits, or another form (see
//! `binary_numbers_are_written_in_full`).

use std::fmt::Write as _;

use downpipe_tests::database::{Server, TestDatabase};
use downpipe_tests::export::export;
use downpipe_tests::{all_types, generate};

use super::server_values::{self, Column, Rows, server_values};

/// Returns a field as the crate writes it in a row of two fields.
fn field(text: Option<&str>) -> String {
    match text {
        None => String::new(),
        Some("") => "\"\"".to_owned(),
        // PostgreSQL reads this text as the end of the data, so Downpipe quotes it. The crate does
        // not.
        Some("\\.") => "\"\\.\"".to_owned(),
        Some(text) => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["x", text]).unwrap();
            let line = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            line.strip_prefix("x,").unwrap().strip_suffix('\n').unwrap().to_owned()
        }
    }
}

fn file(columns: &[Column], said: &Rows) -> String {
    let header = columns.iter().map(|column| field(Some(&column.name))).collect::<Vec<_>>();
    let rows = said.iter().map(|row| row.iter().map(|text| field(text.as_deref())).collect());
    std::iter::once(header).chain(rows).map(|fields: Vec<String>| fields.join(",") + "\n").collect()
}

/// Exports these columns of a table, without binary numbers, and compares the file.
async fn assert_bytes(database: &TestDatabase, table: &str, names: &str) {
    let mut columns = server_values::columns(database, table, names).await;
    columns.retain(|column| !["float", "double"].contains(&column.kind.as_str()));
    let expected = file(&columns, &server_values(database, &columns, table).await);
    let written = export(database, &server_values::select(&columns, table), "").await.bytes();
    if written != expected.as_bytes() {
        // Line by line, which shows where they differ. Some lines are long.
        let written = String::from_utf8_lossy(&written).into_owned();
        for (written, expected) in written.lines().zip(expected.lines()) {
            assert_eq!(written, expected, "{table}");
        }
        panic!("{table}: expected {} bytes, got {}", expected.len(), written.len());
    }
}

#[tokio::test]
async fn plain_file_of_every_type_equals_the_servers_text() {
    let database = TestDatabase::create().await;
    database.execute(&all_types::statements(Server::MySql)).await;
    let names = format!("{}, doubled, stored_", all_types::names(Server::MySql));
    assert_bytes(&database, "all_types", &names).await;
}

/// Covers `BIT(1)` to `BIT(64)`, every width of `ZEROFILL`, and every precision of seconds: the
/// least, the greatest and a middle value, and `NULL`.
#[tokio::test]
async fn plain_file_of_every_width_equals_the_servers_text() {
    let mut columns: Vec<(String, String, [String; 3])> = Vec::new();
    let mut column = |name: String, sql: String, values: [&str; 3]| {
        columns.push((name, sql, values.map(str::to_owned)));
    };
    for width in 1..=64 {
        let shift = 64 - width;
        let values = [format!("~0 >> {shift}"), format!("{} >> {shift}", 0xAAAA_AAAA_AAAA_AAAA_u64)];
        column(format!("b{width}"), format!("BIT({width})"), ["0", &values[0], &values[1]]);
    }
    for width in (1..=20).chain([255]) {
        let values = ["0", "18446744073709551615", "42"];
        column(format!("z{width}"), format!("BIGINT({width}) ZEROFILL"), values);
    }
    for (sql, max) in
        [("TINYINT", "255"), ("SMALLINT", "65535"), ("MEDIUMINT", "16777215"), ("INT", "4294967295")]
    {
        column(sql.to_lowercase() + "_", format!("{sql} ZEROFILL"), ["0", max, "7"]);
    }
    for digits in 0..=6 {
        let values = ["'0000-00-00 00:00:00'", "'9999-12-31 23:59:59'", "'2026-06-15 02:04:06.123456'"];
        column(format!("d{digits}"), format!("DATETIME({digits})"), values);
        let values = ["'0000-00-00 00:00:00'", "'2038-01-19 03:14:07'", "'2026-06-15 02:04:06.000009'"];
        column(format!("p{digits}"), format!("TIMESTAMP({digits})"), values);
        column(
            format!("t{digits}"),
            format!("TIME({digits})"),
            ["'-838:59:59'", "'838:59:59'", "'-100:00:00.5004'"],
        );
    }
    column("y".to_owned(), "YEAR".to_owned(), ["0", "2155", "1901"]);
    let nines = "9".repeat(65);
    column(
        "whole".to_owned(),
        "DECIMAL(65,0)".to_owned(),
        [&format!("'-{nines}'"), &format!("'{nines}'"), "-1"],
    );

    let mut create = "SET sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'; \
                      CREATE TABLE widths (id INT PRIMARY KEY"
        .to_owned();
    let mut insert = "INSERT INTO widths VALUES ".to_owned();
    for (name, sql, _) in &columns {
        let _ = write!(create, ", {name} {sql} NULL");
    }
    for row in 0..4 {
        let _ = write!(insert, "{}({row}", if row > 0 { ", " } else { "" });
        for (.., values) in &columns {
            let _ = write!(insert, ", {}", values.get(row).map_or("NULL", String::as_str));
        }
        insert += ")";
    }
    let database = TestDatabase::create().await;
    database.execute(&format!("{create}); {insert}")).await;
    let names: Vec<&str> = columns.iter().map(|(name, ..)| name.as_str()).collect();
    assert_bytes(&database, "widths", &format!("id, {}", names.join(", "))).await;
}

#[tokio::test]
async fn plain_file_of_every_ascii_character_equals_the_servers_text() {
    let database = TestDatabase::create().await;
    database
        .execute(
            "CREATE TABLE ascii (id INT PRIMARY KEY, alone TEXT, inside TEXT, twice TEXT) CHARACTER SET utf8mb4;
             INSERT INTO ascii
             WITH RECURSIVE codes AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM codes WHERE n < 127),
             characters AS (SELECT n, CHAR(n USING utf8mb4) AS c FROM codes)
             SELECT n, c, CONCAT('日', c, REPEAT('x', 40), c), CONCAT(c, c) FROM characters",
        )
        .await;
    assert_bytes(&database, "ascii", "id, alone, inside, twice").await;
}

#[tokio::test]
async fn plain_file_of_random_tables_equals_the_servers_text() {
    let database = TestDatabase::create().await;
    for seed in 1000..1030 {
        let name = format!("seed_{seed}");
        let table = generate::table(seed, &name, database.server);
        database.execute(&table.statements).await;
        assert_bytes(&database, &name, &format!("id, {}", table.names.join(", "))).await;
    }
}
