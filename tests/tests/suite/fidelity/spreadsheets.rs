//! Tests what a person sees after opening a file in an office program.

use downpipe_tests::database::TestDatabase;
use downpipe_tests::export::{ExportOutcome, export};
use downpipe_tests::readers::{Charset, Import, Table, csv_with_python, render, shown_in_office};

use super::server_values::changes;

/// Customers as in Japanese systems. The notes are formulas that must never run.
const CUSTOMERS: &str = r#"
    SET time_zone = '+00:00';
    CREATE TABLE customers (
        id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(50), kana VARCHAR(50), address VARCHAR(200), phone VARCHAR(20),
        code CHAR(7), price DECIMAL(12,2), balance INT, born DATE, seen TIMESTAMP, note TEXT
    ) CHARACTER SET utf8mb4;
    INSERT INTO customers VALUES
    (123456789012345, '髙橋 一郎', 'ﾀｶﾊｼ ｲﾁﾛｳ', '東京都千代田区千代田１－１～２', '09012345678', '0600001', 1234.50, -5,
        '1985-04-01', '2026-01-15 12:00:00', '=1+1'),
    (1234567890123456, '﨑山 花子', 'ｻｷﾔﾏ ﾊﾅｺ', '大阪市北区梅田①丁目', '03-1234-5678', '0010010', -0.01, 0, '2026-02-28',
        '2026-07-15 12:00:00', '+81 90 1234 5678'),
    (12345678901234567890, '𠮷田 🍣', 'ﾖｼﾀﾞ', '横浜市２〜３ −５℃ ¥', '0312345678', '12E4', 0.10, -2147483648, NULL, NULL, '-5'),
    (18446744073709551615, 'O''Neill "Zoë"', '', 'a, b; c', NULL, '', 999999.99, 2147483647, '9999-12-31',
        '2026-12-31 23:59:59', '@SUM(A1:A9)'),
    (18446744073709551614, '日本 太郎', NULL, NULL, '', '0000000', 0, 1, '2000-02-29', '2000-01-01 00:00:00',
        '一行目\n二行目 "quoted"\n=1+1'),
    (18446744073709551613, '=cmd|''/c calc''!A1', NULL, NULL, '110', '1', 1, 1, '1999-12-31', '1999-12-31 00:00:00',
        '\t=1+1');
"#;

const COLUMNS: &str =
    "\n[columns.phone]\nas = \"text\"\n[columns.code]\nas = \"text\"\n[columns.note]\nlabel = \"備考\"";

async fn customers() -> TestDatabase {
    let database = TestDatabase::create().await;
    database.execute(CUSTOMERS).await;
    database
}

async fn exported(database: &TestDatabase, output: &str) -> ExportOutcome {
    export(database, "SELECT * FROM customers ORDER BY id", &format!("{output}{COLUMNS}")).await
}

/// The expected display, cell by cell, before the changes of an import.
const SHOWN: [[&str; 11]; 7] = [
    ["id", "name", "kana", "address", "phone", "code", "price", "balance", "born", "seen", "備考"],
    [
        "123456789012345",
        "髙橋 一郎",
        "ﾀｶﾊｼ ｲﾁﾛｳ",
        "東京都千代田区千代田１－１～２",
        "09012345678",
        "0600001",
        "1234.50",
        "-5",
        "1985-04-01",
        "2026-01-15 12:00:00",
        "=1+1",
    ],
    [
        "1234567890123456",
        "﨑山 花子",
        "ｻｷﾔﾏ ﾊﾅｺ",
        "大阪市北区梅田①丁目",
        "03-1234-5678",
        "0010010",
        "-0.01",
        "0",
        "2026-02-28",
        "2026-07-15 12:00:00",
        "+81 90 1234 5678",
    ],
    [
        "12345678901234567890",
        "𠮷田 🍣",
        "ﾖｼﾀﾞ",
        "横浜市２〜３ −５℃ ¥",
        "0312345678",
        "12E4",
        "0.10",
        "-2147483648",
        "",
        "",
        "-5",
    ],
    [
        "18446744073709551613",
        "=cmd|'/c calc'!A1",
        "",
        "",
        "110",
        "1",
        "1.00",
        "1",
        "1999-12-31",
        "1999-12-31 00:00:00",
        "\t=1+1",
    ],
    [
        "18446744073709551614",
        "日本 太郎",
        "",
        "",
        "",
        "0000000",
        "0.00",
        "1",
        "2000-02-29",
        "2000-01-01 00:00:00",
        "一行目\n二行目 \"quoted\"\n=1+1",
    ],
    [
        "18446744073709551615",
        "O'Neill \"Zoë\"",
        "",
        "a, b; c",
        "",
        "",
        "999999.99",
        "2147483647",
        "9999-12-31",
        "2026-12-31 23:59:59",
        "@SUM(A1:A9)",
    ],
];

const NAME: usize = 1;
const PHONE: usize = 4;
const CODE: usize = 5;
const PRICE: usize = 6;
const NOTE: usize = 10;

/// Returns all cells, the header first.
fn cells(table: Table) -> Vec<Vec<String>> {
    let rows = table.rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect());
    std::iter::once(table.columns).chain(rows).collect()
}

/// Returns [`SHOWN`] with a change of each cell, by its column.
fn shown_as(change: impl Fn(usize, &str) -> String) -> Vec<Vec<String>> {
    let row = |row: &[&str; 11]| row.iter().enumerate().map(|(at, text)| change(at, text)).collect();
    let mut rows: Vec<Vec<String>> = SHOWN.iter().map(row).collect();
    rows[0] = SHOWN[0].map(str::to_owned).to_vec();
    rows
}

/// Puts an apostrophe in front of a formula, which makes it a text.
fn guarded(at: usize, text: &str) -> String {
    let runs = text.starts_with(['=', '+', '-', '@', '\t']);
    format!("{}{text}", if runs && [NAME, NOTE].contains(&at) { "'" } else { "" })
}

/// Removes zeros at the end of a price, which CSV cannot keep because it has no formats.
fn general(at: usize, text: &str) -> String {
    let is_price = at == PRICE && text.contains('.');
    if is_price { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { guarded(at, text) }
}

#[tokio::test]
async fn excel_csv_opened_in_office_shows_every_value() {
    let exported = exported(&customers().await, "profile = \"excel\"").await;
    assert_eq!(
        changes(&exported.receipt),
        ["id: numbers_as_text 5", "name: formulas_guarded 1", "備考: formulas_guarded 5"]
    );
    let import = Import::Csv { delimiter: ',', charset: Charset::Utf8 };
    assert_eq!(cells(shown_in_office(exported.file(), import).unwrap()), shown_as(general));

    let page = render(exported.file(), import, "fidelity-excel-csv").unwrap();
    for text in
        ["髙橋 一郎", "﨑山 花子", "𠮷田", "ﾀｶﾊｼ ｲﾁﾛｳ", "大阪市北区梅田①丁目", "12345678901234567890", "備考"]
    {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
}

#[tokio::test]
async fn excel_cp932_csv_opened_in_office_shows_every_value() {
    let exported = exported(&customers().await, "profile = \"excel-cp932\"").await;
    assert_eq!(
        changes(&exported.receipt),
        [
            // A wave dash and a minus sign, for which Microsoft uses other code points, and a yen
            // sign, which is a backslash.
            "address: lookalike_characters 3",
            "id: numbers_as_text 5",
            "name: formulas_guarded 1",
            // 𠮷, 🍣 and ë.
            "name: unmappable_characters 3",
            "備考: formulas_guarded 5",
        ]
    );
    let in_cp932 = |text: &str| {
        text.replace(['𠮷', '🍣', 'ë'], "?").replace('〜', "～").replace('−', "－").replace('¥', "\\")
    };
    let import = Import::Csv { delimiter: ',', charset: Charset::ShiftJis };
    let expected = shown_as(|at, text| in_cp932(&general(at, text)));
    assert_eq!(cells(shown_in_office(exported.file(), import).unwrap()), expected);

    // Python is strict: every byte must be a character of CP932. It also shows the marks that keep
    // digits.
    let expected = shown_as(|at, text| {
        let as_text = [PHONE, CODE].contains(&at) && !text.is_empty();
        let keeps = as_text || (at == 0 && text.len() > 15);
        if keeps { format!("=\"{text}\"") } else { in_cp932(&guarded(at, text)) }
    });
    assert_eq!(cells(csv_with_python(exported.file(), ',', "cp932").unwrap()), expected);
}

#[tokio::test]
async fn workbook_opened_in_office_shows_every_value() {
    let database = customers().await;
    let exported_as = async |profile: &str| {
        exported(&database, &format!("profile = \"{profile}\"\nformat = \"xlsx\"")).await
    };
    let exported = exported_as("excel").await;
    assert_eq!(changes(&exported.receipt), ["id: numbers_as_text 5"]);
    let expected = shown_as(|_, text| text.to_owned());
    assert_eq!(cells(shown_in_office(exported.file(), Import::ByName).unwrap()), expected);
    // A profile applies to text files only.
    assert!(exported_as("excel-cp932").await.bytes() == exported.bytes());

    let page = render(exported.file(), Import::ByName, "fidelity-excel-xlsx").unwrap();
    for text in
        ["髙橋 一郎", "﨑山 花子", "𠮷田", "ﾀｶﾊｼ ｲﾁﾛｳ", "大阪市北区梅田①丁目", "12345678901234567890", "備考"]
    {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
}

/// openpyxl shows the escapes of control characters, and an office program decodes them.
#[tokio::test]
async fn control_characters_in_a_workbook_survive() {
    let database = TestDatabase::create().await;
    let sql = "SELECT 'a\tb' AS tab, 'a_x000D_b' AS not_an_escape, CONCAT('bell', CHAR(7 USING utf8mb4), '.') AS bell";
    let exported = export(&database, sql, "format = \"xlsx\"").await;
    assert_eq!(changes(&exported.receipt), [""; 0]);
    let shown = cells(shown_in_office(exported.file(), Import::ByName).unwrap());
    assert_eq!(shown[1], ["a\tb", "a_x000D_b", "bell\u{7}."]);
}

const GERMAN: &str = r#"profile = "deutsch"
[profiles.deutsch]
base = "excel"
delimiter = ";"
decimal = ","
encoding = "windows-1252"
time_zone = "Europe/Berlin""#;

#[tokio::test]
async fn own_profile_opened_in_office_shows_every_value() {
    let database = TestDatabase::create().await;
    database
        .execute(
            "SET time_zone = '+00:00';
             CREATE TABLE kunden (id BIGINT, name VARCHAR(50), preis DECIMAL(12,2), anteil DOUBLE, seit TIMESTAMP NULL, notiz TEXT);
             INSERT INTO kunden VALUES
             (1, 'Jürgen Groß; Söhne', 1234.50, 0.25, '2026-01-15 12:00:00', '=1+1'),
             (2, 'Zoë “€” naïve', -0.99, -1.5e-7, '2026-07-15 12:00:00', 'Zeile 1\nZeile 2'),
             (1234567890123456789, 'Škoda – Łódź', 1234567890.12, 1e300, NULL, NULL)",
        )
        .await;
    let exported = export(&database, "SELECT * FROM kunden ORDER BY id", GERMAN).await;
    assert_eq!(exported.receipt.encoding.as_deref(), Some("windows-1252"));
    assert_eq!(exported.receipt.time_zone, "Europe/Berlin");
    assert_eq!(
        changes(&exported.receipt),
        [
            "id: numbers_as_text 1",
            // Ł and ź are missing in the code page, which has Š.
            "name: unmappable_characters 2",
            "notiz: formulas_guarded 1",
        ]
    );
    let python = cells(csv_with_python(exported.file(), ';', "cp1252").unwrap());
    assert_eq!(
        python,
        [
            ["id", "name", "preis", "anteil", "seit", "notiz"],
            ["1", "Jürgen Groß; Söhne", "1234,50", "0,25", "2026-01-15 13:00:00", "'=1+1"],
            ["2", "Zoë “€” naïve", "-0,99", "-1,5e-7", "2026-07-15 14:00:00", "Zeile 1\nZeile 2"],
            ["=\"1234567890123456789\"", "Škoda – ?ód?", "1234567890,12", "1e300", "", ""],
        ]
    );
    // The office program has read the decimal commas, because it displays the numbers in English
    // form.
    assert_eq!(
        cells(shown_in_office(exported.file(), Import::GermanCsv).unwrap()),
        [
            ["id", "name", "preis", "anteil", "seit", "notiz"],
            ["1", "Jürgen Groß; Söhne", "1234.5", "0.25", "2026-01-15 13:00:00", "'=1+1"],
            ["2", "Zoë “€” naïve", "-0.99", "-1.50E-07", "2026-07-15 14:00:00", "Zeile 1\nZeile 2"],
            ["1234567890123456789", "Škoda – ?ód?", "1234567890.12", "1.00E+300", "", ""],
        ]
    );
}
