//! Compares the content of compressed and split files, as other programs unpack them, with the
//! plain export.

use std::process::Command;

use downpipe_tests::STACK;
use downpipe_tests::database::TestDatabase;
use downpipe_tests::export::{ExportOutcome, export};
use downpipe_tests::readers::{gunzip, unzip, unzip_list, unzstd};
use downpipe_tests::sha256::sha256sum;

/// Creates random bytes, of which 20 MB of hexadecimal digits compress to half at best: more than
/// one part of 8 MiB.
async fn noise() -> TestDatabase {
    let database = TestDatabase::create().await;
    database
        .execute(
            "CREATE TABLE noise (id INT PRIMARY KEY AUTO_INCREMENT, data VARBINARY(1000));
             INSERT INTO noise (data) WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)
             SELECT RANDOM_BYTES(1000) FROM n;
             INSERT INTO noise (data) SELECT RANDOM_BYTES(1000) FROM noise, (VALUES ROW(1), ROW(2), ROW(3), ROW(4), ROW(5),
             ROW(6), ROW(7), ROW(8), ROW(9)) AS nine;",
        )
        .await;
    database
}

const SQL: &str = "SELECT id, data FROM noise ORDER BY id";

/// Exports the noise with this output section, and checks the checksum in the receipt.
async fn exported(database: &TestDatabase, output: &str) -> ExportOutcome {
    let exported = export(database, SQL, output).await;
    assert_eq!(sha256sum(exported.file()), exported.receipt.files[0].sha256);
    assert_eq!(exported.receipt.rows, 10_000);
    exported
}

/// Compares two files. `assert_eq` would print megabytes.
fn assert_same(unpacked: &[u8], plain: &[u8]) {
    assert_eq!(unpacked.len(), plain.len());
    assert!(unpacked == plain);
}

/// A file has one gzip member for each part.
#[tokio::test]
async fn file_compressed_with_gzip_unpacks_to_the_plain_file() {
    const MEMBERS: &str = "import sys, zlib\n\
        data, members = open(sys.argv[1], 'rb').read(), 0\n\
        while data:\n    \
            member = zlib.decompressobj(31)\n    \
            member.decompress(data)\n    \
            data, members = member.unused_data, members + 1\n\
        print(members)";
    let database = noise().await;
    let packed = exported(&database, "compression = \"gzip\"").await;
    assert_eq!(packed.receipt.files[0].file_name, "test.csv.gz");
    assert_same(&gunzip(packed.file()).unwrap(), &exported(&database, "").await.bytes());

    let mut python = Command::new(&STACK.for_tests.as_ref().unwrap().python);
    let output = python.args(["-c", MEMBERS]).arg(packed.file()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "2");
}

/// A file has one Zstandard frame for each part.
#[tokio::test]
async fn file_compressed_with_zstd_unpacks_to_the_plain_file() {
    let database = noise().await;
    let packed = exported(&database, "compression = \"zstd\"").await;
    assert_eq!(packed.receipt.files[0].file_name, "test.csv.zst");
    assert_same(&unzstd(packed.file()).unwrap(), &exported(&database, "").await.bytes());

    let output = Command::new("zstd").arg("--list").arg(packed.file()).output().unwrap();
    let listing = String::from_utf8(output.stdout).unwrap();
    let frames = listing.lines().nth(1).and_then(|line| line.split_whitespace().next());
    assert_eq!(frames, Some("2"), "{listing}");
}

#[tokio::test]
async fn file_in_a_zip_unpacks_to_the_plain_file() {
    let database = noise().await;
    let packed = exported(&database, "compression = \"zip\"").await;
    let plain = exported(&database, "").await;
    assert_eq!(packed.receipt.files[0].file_name, "test.zip");
    assert_eq!(unzip_list(packed.file()).unwrap(), [("test.csv".to_owned(), plain.receipt.bytes)]);
    assert_same(&unzip(packed.file(), "test.csv").unwrap(), &plain.bytes());
}

#[tokio::test]
async fn workbook_in_a_zip_unpacks_to_the_plain_workbook() {
    let database = noise().await;
    let sql = format!("{SQL} LIMIT 100");
    let packed = export(&database, &sql, "format = \"xlsx\"\ncompression = \"zip\"").await;
    let plain = export(&database, &sql, "format = \"xlsx\"").await;
    assert_eq!(unzip_list(packed.file()).unwrap(), [("test.xlsx".to_owned(), plain.receipt.bytes)]);
    assert_same(&unzip(packed.file(), "test.xlsx").unwrap(), &plain.bytes());
}

/// The number of data rows of a sheet, below its header.
const SHEET_ROWS: u64 = 1_048_575;

/// A query of three rows more than a sheet holds.
const MANY: &str = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1048578)
    SELECT /*+ SET_VAR(cte_max_recursion_depth = 1048578) */ n FROM n";

/// Returns the two expected files, each with a header.
fn sheets() -> [Vec<u8>; 2] {
    [1..=SHEET_ROWS, SHEET_ROWS + 1..=SHEET_ROWS + 3].map(|numbers| {
        let mut sheet = b"\xEF\xBB\xBFn\r\n".to_vec();
        for number in numbers {
            sheet.extend_from_slice(number.to_string().as_bytes());
            sheet.extend_from_slice(b"\r\n");
        }
        sheet
    })
}

#[tokio::test]
async fn rows_beyond_a_sheet_go_to_a_second_file() {
    let exported = export(&TestDatabase::create().await, MANY, "profile = \"excel\"").await;
    let files: Vec<(&str, u64)> =
        exported.receipt.files.iter().map(|file| (file.file_name.as_str(), file.rows)).collect();
    assert_eq!(files, [("test-1-of-2.csv", SHEET_ROWS), ("test-2-of-2.csv", 3)]);
    assert_eq!(exported.receipt.rows, SHEET_ROWS + 3);
    for ((path, file), sheet) in exported.files.iter().zip(&exported.receipt.files).zip(sheets()) {
        assert_same(&std::fs::read(path).unwrap(), &sheet);
        assert_eq!(sha256sum(path), file.sha256);
        assert_eq!(file.bytes, sheet.len() as u64);
    }
}

#[tokio::test]
async fn zip_of_several_sheets_holds_all_of_them() {
    let output = "profile = \"excel\"\ncompression = \"zip\"";
    let exported = export(&TestDatabase::create().await, MANY, output).await;
    let [first, second] = sheets();
    assert_eq!(exported.receipt.rows, SHEET_ROWS + 3);
    assert_eq!(exported.receipt.files[0].file_name, "test.zip");
    let listed =
        [("test.csv".to_owned(), first.len() as u64), ("test-2.csv".to_owned(), second.len() as u64)];
    assert_eq!(unzip_list(exported.file()).unwrap(), listed);
    assert_same(&unzip(exported.file(), "test.csv").unwrap(), &first);
    assert_same(&unzip(exported.file(), "test-2.csv").unwrap(), &second);
}
