//! Tests the readers themselves, on files made by hand or by programs other than the reader.

use std::path::{Path, PathBuf};
use std::process::Command;

use downpipe_tests::STACK;
use downpipe_tests::database::{Loaded, Server, TestDatabase};
use downpipe_tests::readers::{
    Charset, Import, Kind, ParquetReader, XlsxReader, csv_with_duckdb, csv_with_python, gunzip,
    jsonl_with_duckdb, jsonl_with_python, parquet, parquet_layout, render, shown_in_office, unzip,
    unzip_list, unzstd, value, xlsx,
};
use sqlx::Row as _;
use tempfile::TempDir;

/// Writes a file with this content.
fn file(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs a program in a folder.
fn run(folder: &TempDir, program: impl AsRef<Path>, args: &[&str]) {
    let status = Command::new(program.as_ref()).args(args).current_dir(folder.path()).status().unwrap();
    assert!(status.success(), "{}", program.as_ref().display());
}

fn python(folder: &TempDir, code: &str) {
    run(folder, &STACK.for_tests.as_ref().unwrap().python, &["-c", code]);
}

fn some(row: &[&str]) -> Vec<Option<String>> {
    row.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn csv_in_python_keeps_values_and_broken_csv_is_refused() {
    let folder = folder();
    let path = file(&folder, "a.csv", "\u{feff}id,name\r\n1,\"a, \"\"b\"\"\r\nc\"\r\n0012,\r\n".as_bytes());
    let table = csv_with_python(&path, ',', "utf-8-sig").unwrap();
    assert_eq!(table.columns, ["id", "name"]);
    assert_eq!(table.rows, [some(&["1", "a, \"b\"\r\nc"]), some(&["0012", ""])]);
    // Python's `utf-8` keeps the byte order mark as part of the first name.
    assert_eq!(csv_with_python(&path, ',', "utf-8").unwrap().columns[0], "\u{feff}id");

    let japanese = file(&folder, "b.csv", b"\x93\xfa\x96\x7b;x\n\x87\x40;\xfb\xfc\n");
    let table = csv_with_python(&japanese, ';', "cp932").unwrap();
    assert_eq!((table.columns, table.rows), (vec!["日本".into(), "x".into()], vec![some(&["①", "髙"])]));
    assert!(csv_with_python(&japanese, ';', "utf-8").is_err(), "not UTF-8");

    for wrong in ["a,b\n\"x\"y,1\n", "a,b\n\"x", "a,b\n1\n", ""] {
        let path = file(&folder, "wrong.csv", wrong.as_bytes());
        assert!(csv_with_python(&path, ',', "utf-8").is_err(), "{wrong:?}");
    }
}

#[test]
fn csv_in_duckdb_distinguishes_null_from_empty() {
    let folder = folder();
    let path = file(&folder, "a.csv", b"a,b\n,\"\"\n\\N,0012\n\"\\N\",\"x\ny\"\n");
    let row = |a: Option<&str>, b: Option<&str>| vec![a.map(str::to_owned), b.map(str::to_owned)];
    let empty = csv_with_duckdb(&path, ',', "").unwrap();
    assert_eq!(
        empty.rows,
        [row(None, Some("")), row(Some("\\N"), Some("0012")), row(Some("\\N"), Some("x\ny"))]
    );
    let marked = csv_with_duckdb(&path, ',', "\\N").unwrap();
    assert_eq!(
        marked.rows,
        [row(Some(""), Some("")), row(None, Some("0012")), row(Some("\\N"), Some("x\ny"))]
    );
    assert_eq!(marked.types, ["VARCHAR", "VARCHAR"]);
    let short = file(&folder, "short.csv", b"a,b\n1,2\n3\n");
    assert!(csv_with_duckdb(&short, ',', "").is_err());
}

#[test]
fn json_lines_in_python_keep_digits_and_names() {
    let folder = folder();
    let text = "{\"n\":12345678901234567890.10,\"t\":\"日\u{2028}\\u0000\",\"o\":{\"k\":[1.0,null]},\"b\":true,\"x\":null}\n\
                {\"n\":-0,\"t\":\"\",\"o\":[],\"b\":false,\"x\":null}\n";
    let path = file(&folder, "a.jsonl", text.as_bytes());
    let table = jsonl_with_python(&path).unwrap();
    assert_eq!(table.columns, ["n", "t", "o", "b", "x"]);
    let expected = [
        value(Kind::Number, "12345678901234567890.10"),
        value(Kind::Text, "日\u{2028}\0"),
        value(Kind::Json, "{\"k\":[1.0,null]}"),
        value(Kind::Bool, "true"),
        value(Kind::Null, ""),
    ];
    assert_eq!(table.rows[0], expected);
    assert_eq!(table.rows[1][..2], [value(Kind::Number, "-0"), value(Kind::Text, "")]);

    for wrong in [
        "{\"a\":1}\n{\"b\":1}\n",
        "{\"a\":NaN}\n",
        "{\"a\":1,\"a\":2}\n",
        "{\"a\":1}",
        "\n",
        "\u{feff}{\"a\":1}\n",
        "{\"a\":1\n",
    ] {
        let path = file(&folder, "wrong.jsonl", wrong.as_bytes());
        assert!(jsonl_with_python(&path).is_err(), "{wrong:?}");
    }
}

#[test]
fn json_lines_in_duckdb_get_types() {
    let folder = folder();
    let text = b"{\"n\":1.5,\"i\":9223372036854775807,\"t\":\"x\",\"o\":{\"k\":[1]}}\n{\"n\":null,\"i\":1,\"t\":\"\",\"o\":null}\n";
    let table = jsonl_with_duckdb(&file(&folder, "a.jsonl", text)).unwrap();
    assert_eq!(table.types, ["DOUBLE", "BIGINT", "VARCHAR", "STRUCT(k BIGINT[])"]);
    assert_eq!(table.rows[0], some(&["1.5", "9223372036854775807", "x", "{\"k\":[1]}"]));
    assert_eq!(table.rows[1], [None, Some("1".into()), Some(String::new()), None]);
    assert!(jsonl_with_duckdb(&file(&folder, "b.jsonl", b"{\"n\":1\n")).is_err());
}

const WORKBOOK: &str = r#"
import datetime, openpyxl
book = openpyxl.Workbook()
sheet = book.active
sheet.title = "Orders"
sheet.append(["id", "name", "day", "at", "took", "paid", "sum", "none"])
sheet.append([1, "=not a formula", datetime.date(2026, 1, 31), datetime.datetime(2026, 1, 31, 23, 59, 59, 500000),
              datetime.timedelta(hours=838, minutes=59, seconds=59), True, "=1+1", None])
sheet["B2"].data_type = "s"
sheet.append([-1.5, "日本", datetime.date(9999, 12, 31), datetime.datetime(1900, 3, 1), datetime.timedelta(seconds=1.5),
              False, 0.1, None])
sheet.freeze_panes = "B2"
sheet.column_dimensions["B"].width = 20
book.create_sheet("More").append(["x"])
book.save("a.xlsx")
"#;

#[test]
fn workbook_in_python_is_read_cell_by_cell() {
    let folder = folder();
    python(&folder, WORKBOOK);
    let path = folder.path().join("a.xlsx");
    let sheets = xlsx(&path, XlsxReader::Openpyxl).unwrap();
    assert_eq!(sheets.iter().map(|sheet| &sheet.name).collect::<Vec<_>>(), ["Orders", "More"]);
    assert_eq!((sheets[1].columns.len(), sheets[1].rows.len()), (1, 0));
    let orders = &sheets[0];
    assert_eq!(orders.columns, ["id", "name", "day", "at", "took", "paid", "sum", "none"]);
    let first = [
        value(Kind::Number, "1"),
        value(Kind::Text, "=not a formula"),
        value(Kind::Date, "2026-01-31"),
        value(Kind::DateTime, "2026-01-31T23:59:59.500000"),
        value(Kind::Duration, "838:59:59.000000"),
        value(Kind::Bool, "true"),
        value(Kind::Formula, "=1+1"),
        value(Kind::Null, ""),
    ];
    assert_eq!(orders.rows[0], first);
    assert_eq!(orders.rows[1][0], value(Kind::Number, "-1.5"));
    assert_eq!(orders.rows[1][2], value(Kind::Date, "9999-12-31"));
    assert_eq!(orders.rows[1][4], value(Kind::Duration, "00:00:01.500000"));
    assert_eq!(orders.frozen.as_deref(), Some("B2"));
    assert_eq!(orders.widths, [(2, 2, 20.0)]);
    assert_eq!(orders.formats[0].as_deref(), Some("General"));
    assert_eq!(orders.formats[2].as_deref(), Some("yyyy-mm-dd"));

    let seen = xlsx(&path, XlsxReader::Pandas).unwrap();
    assert_eq!(seen[0].rows[1][1], value(Kind::Text, "日本"));
    assert_eq!(seen[0].rows[0][2], value(Kind::DateTime, "2026-01-31T00:00:00.000000"));
    assert_eq!(seen[0].rows[0][7], value(Kind::Null, ""));

    let text = file(&folder, "text.xlsx", b"id,name\n1,x\n");
    assert!(xlsx(&text, XlsxReader::Openpyxl).is_err());
    assert!(xlsx(&text, XlsxReader::Pandas).is_err());
}

const PARQUET: &str = r#"
import datetime, decimal, pyarrow, pyarrow.parquet
at = datetime.datetime(2026, 1, 31, 23, 59, 59, 1)
columns = {
    "i": ([-9223372036854775808, None, 2], pyarrow.int64()),
    "u": ([18446744073709551615, None, 2], pyarrow.uint64()),
    "f": ([1234567.8, None, 0.1], pyarrow.float32()),
    "d": ([1.5e-7, None, float("inf")], pyarrow.float64()),
    "exact": ([decimal.Decimal("-12345678901234567890123456.0000000010"), None, decimal.Decimal("1E-10")],
              pyarrow.decimal128(38, 10)),
    "day": ([datetime.date(2026, 1, 31), None, datetime.date(1, 1, 1)], pyarrow.date32()),
    "at": ([at, None, at], pyarrow.timestamp("us")),
    "utc": ([at, None, at], pyarrow.timestamp("us", "UTC")),
    "t": ([datetime.time(1, 2, 3, 4), None, datetime.time(0)], pyarrow.time64("us")),
    "b": ([b"\x00\xff", None, b""], pyarrow.binary()),
    "s": (["日本", None, ""], pyarrow.string()),
    "yes": ([True, None, False], pyarrow.bool_()),
}
fields = [pyarrow.field(name, kind) for name, (_, kind) in columns.items()] + [
    pyarrow.field("id", pyarrow.int32(), nullable=False)]
arrays = [pyarrow.array(values, kind) for values, kind in columns.values()] + [pyarrow.array([1, 2, 3], pyarrow.int32())]
schema = pyarrow.schema(fields, metadata={"made": "by hand"})
pyarrow.parquet.write_table(pyarrow.table(arrays, schema=schema), "a.parquet", row_group_size=2, compression="zstd")
"#;

#[test]
fn parquet_in_every_reader_is_exact() {
    let folder = folder();
    python(&folder, PARQUET);
    let path = folder.path().join("a.parquet");
    let first = some(&[
        "-9223372036854775808",
        "18446744073709551615",
        "1234567.8",
        "1.5e-07",
        "-12345678901234567890123456.0000000010",
        "2026-01-31",
        "2026-01-31T23:59:59.000001",
        "2026-01-31T23:59:59.000001Z",
        "01:02:03.000004",
        "00FF",
        "日本",
        "true",
        "1",
    ]);
    for reader in [ParquetReader::DuckDb, ParquetReader::PyArrow] {
        let table = parquet(&path, reader).unwrap();
        assert_eq!(table.rows[0], first, "{reader:?}");
        assert!(table.rows[1][..12].iter().all(Option::is_none), "{reader:?}: {:?}", table.rows[1]);
        assert_eq!(table.rows[2][2..6], some(&["0.1", "inf", "0.0000000001", "0001-01-01"]), "{reader:?}");
        assert_eq!(table.rows[2][9..12], some(&["", "", "false"]), "{reader:?}");
    }
    let types = parquet(&path, ParquetReader::DuckDb).unwrap().types;
    assert_eq!(types[3..6], ["DOUBLE", "DECIMAL(38,10)", "DATE"]);
    assert_eq!(types[6..8], ["TIMESTAMP", "TIMESTAMP WITH TIME ZONE"]);
    assert_eq!(parquet(&path, ParquetReader::PyArrow).unwrap().types[7], "timestamp[us, tz=UTC]");

    // pandas loses digits of integers that have a NULL among them, and nothing else.
    let seen = parquet(&path, ParquetReader::Pandas).unwrap();
    assert_eq!(seen.rows[0][2..], first[2..]);
    assert_eq!(seen.rows[1][..12], vec![None; 12]);

    for reader in [ParquetReader::DuckDb, ParquetReader::PyArrow, ParquetReader::Pandas] {
        let cut = std::fs::read(&path).unwrap();
        let cut = file(&folder, "cut.parquet", &cut[..cut.len() - 5]);
        assert!(parquet(&cut, reader).is_err(), "{reader:?}");
    }
}

#[test]
fn parquet_layout_is_reported() {
    let folder = folder();
    python(&folder, PARQUET);
    let layout = parquet_layout(&folder.path().join("a.parquet")).unwrap();
    assert_eq!(layout.groups.iter().map(|group| group.rows).collect::<Vec<_>>(), [2, 1]);
    assert!(layout.groups.iter().all(|group| group.bytes > 100 && group.compressed > 100));
    assert_eq!(layout.groups[0].codecs, ["ZSTD"]);
    let exact = &layout.schema[4];
    assert_eq!(
        (exact.physical.as_str(), exact.logical.as_str()),
        ("FIXED_LEN_BYTE_ARRAY", "Decimal(precision=38, scale=10)")
    );
    assert!(exact.optional && !layout.schema[12].optional);
    assert_eq!(layout.metadata["made"], "by hand");
    assert!(layout.created_by.starts_with("parquet-cpp"), "{}", layout.created_by);
}

#[test]
fn truncated_compressed_file_is_refused() {
    let folder = folder();
    let path = file(&folder, "a.txt", b"hello hello hello\n");
    run(&folder, "gzip", &["--keep", "a.txt"]);
    run(&folder, "zstd", &["--quiet", "a.txt"]);
    let (gz, zst) = (path.with_extension("txt.gz"), path.with_extension("txt.zst"));
    assert_eq!(gunzip(&gz).unwrap(), b"hello hello hello\n");
    assert_eq!(unzstd(&zst).unwrap(), b"hello hello hello\n");
    for path in [gz, zst] {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 3);
        std::fs::write(&path, bytes).unwrap();
        assert!(gunzip(&path).is_err() && unzstd(&path).is_err(), "{}", path.display());
    }
}

#[test]
fn zip_archive_is_listed_and_opened() {
    let folder = folder();
    python(
        &folder,
        "import zipfile\nwith zipfile.ZipFile('a.zip', 'w') as z:\n z.writestr('[odd] näme.txt', 'x' * 1000)\n \
         z.writestr('b/c.txt', 'y')",
    );
    let path = folder.path().join("a.zip");
    assert_eq!(unzip_list(&path).unwrap(), [("[odd] näme.txt".to_owned(), 1000), ("b/c.txt".to_owned(), 1)]);
    assert_eq!(unzip(&path, "[odd] näme.txt").unwrap().len(), 1000);
    assert!(unzip(&path, "none").is_err());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(unzip_list(&path).is_err(), "a bit is wrong");
}

#[test]
fn csv_in_office_is_shown_as_on_screen() {
    let folder = folder();
    let path = file(&folder, "a.csv", "id;name;share\n0012;東京都;50%\n".as_bytes());
    let import = Import::Csv { delimiter: ';', charset: Charset::Utf8 };
    let table = shown_in_office(&path, import).unwrap();
    assert_eq!(table.columns, ["id", "name", "share"]);
    assert_eq!(table.rows[0], some(&["12", "東京都", "50.00%"]));
    let page = render(&path, import, "office-csv").unwrap();
    assert!(page.text.contains("東京都"), "{}", page.text);
    assert_eq!(page.pages.len(), 1);
    assert!(std::fs::read(&page.pages[0]).unwrap().starts_with(b"\x89PNG"));

    let japanese = file(&folder, "b.csv", b"id,name\n1,\x93\xfa\x96\x7b\n");
    let import = Import::Csv { delimiter: ',', charset: Charset::ShiftJis };
    assert_eq!(shown_in_office(&japanese, import).unwrap().rows[0], some(&["1", "日本"]));
}

#[test]
fn workbook_in_office_is_opened() {
    let folder = folder();
    python(&folder, WORKBOOK);
    let path = folder.path().join("a.xlsx");
    let table = shown_in_office(&path, Import::ByName).unwrap();
    assert_eq!(table.columns[..3], ["id", "name", "day"]);
    assert_eq!(table.rows[0][..3], some(&["1", "=not a formula", "2026-01-31"]));
    assert!(render(&path, Import::ByName, "office-xlsx").unwrap().text.contains("日本"));
    let wrong = file(&folder, "wrong.xlsx", b"PK\x03\x04 and then nothing that belongs here");
    assert!(shown_in_office(&wrong, Import::ByName).is_err());
}

const LOAD: &str = "LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table} CHARACTER SET utf8mb4 \
                    FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' LINES TERMINATED BY '\\n' IGNORE 1 LINES (id, name)";

#[tokio::test]
async fn load_data_in_each_client_reports_counts_and_warnings() {
    let folder = folder();
    let good = file(&folder, "good.csv", "id,name\n1,\"日本, \"\"x\"\" 🚀\"\n2,\\N\n3,\"\"\n".as_bytes());
    let bad = file(&folder, "bad.csv", b"id,name\nx,y\n");
    for server in [Server::MySql, Server::MariaDb] {
        let database = TestDatabase::create_on(server).await;
        database.execute("CREATE TABLE t (id INT, name VARCHAR(20))").await;
        let loaded = database.load_data(LOAD, &good, "t").await.unwrap();
        let counts = "Records: 3  Deleted: 0  Skipped: 0  Warnings: 0".to_owned();
        assert_eq!(loaded, Loaded { counts, warnings: Vec::new() }, "{server:?}");
        let rows = database.query("SELECT HEX(name) FROM t ORDER BY id").await;
        let names: Vec<Option<String>> = rows.iter().map(|row| row.get(0)).collect();
        let first: String = "日本, \"x\" 🚀".bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(names, [Some(first), None, Some(String::new())], "{server:?}");

        // With LOCAL, errors become warnings.
        let warned = database.load_data(LOAD, &bad, "t").await.unwrap();
        assert!(warned.warnings[0].contains("Incorrect integer value: 'x'"), "{server:?}: {warned:?}");
        let error = database.load_data(LOAD, &good, "nowhere").await.unwrap_err();
        assert!(error.contains("1146"), "{server:?}: {error}");
    }
}
