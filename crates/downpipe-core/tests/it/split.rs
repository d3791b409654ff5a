//! Tests spreadsheets with more rows than a sheet holds: they become several files, all or none.

use downpipe_core::export::ExportError;
use downpipe_core::source::SourceError;
use downpipe_core::testing::{OwnedCell, ScriptedSource, StoreFault};
use downpipe_format::{Column, ColumnKind};
use sha2::{Digest as _, Sha256};

use crate::pipeline::{KEY, PLAIN, TestExport, columns};

const SHEET: i64 = 1_048_575;

/// The first id, so long that a sheet of ids exceeds one part.
const FIRST: i64 = 10_000_000;

fn sheet() -> TestExport {
    TestExport::of(&format!("{PLAIN}[output]\nprofile = \"excel\""))
}

fn rows(count: i64) -> ScriptedSource {
    ScriptedSource::new(
        columns()[..1].to_vec(),
        (0..count).map(|id| vec![OwnedCell::Int(FIRST + id)]).collect(),
    )
}

#[tokio::test]
async fn full_sheet_is_one_file() {
    let fixture = sheet();
    let receipt = fixture.export(&rows(SHEET)).await.unwrap();
    assert_eq!((receipt.rows, receipt.files.len()), (1_048_575, 1));
    assert_eq!(receipt.files[0].file_name, "orders.csv");
    assert_eq!(fixture.store.keys(), [KEY, &format!("{KEY}.receipt.json")]);
    assert_eq!(fixture.store.metadata(KEY).unwrap()["downpipe-rows"], "1048575", "set by the rename");
}

#[tokio::test]
async fn row_beyond_a_sheet_makes_two_files_with_one_receipt() {
    let fixture = sheet();
    let receipt = fixture.export(&rows(SHEET + 1)).await.unwrap();
    let files: Vec<_> = receipt.files.iter().map(|file| (file.file_name.as_str(), file.rows)).collect();
    assert_eq!(files, [("orders-1-of-2.csv", 1_048_575), ("orders-2-of-2.csv", 1)]);
    assert_eq!(receipt.bytes, receipt.files.iter().map(|file| file.bytes).sum::<u64>());
    let keys = ["file-1-of-2.csv", "file-2-of-2.csv", "file.csv.receipt.json"];
    assert_eq!(fixture.store.keys(), keys.map(|name| format!("downpipe/orders/{name}")));
    let file = |number: u32| {
        let key = format!("downpipe/orders/file-{number}-of-2.csv");
        String::from_utf8(fixture.store.get(&key).unwrap()).unwrap()
    };
    let header = "\u{feff}id\r\n";
    assert_eq!(file(2), format!("{header}11048575\r\n"));
    let (first, last) = (file(1), "11048574\r\n");
    assert!(first.starts_with(&format!("{header}10000000\r\n")) && first.ends_with(last));
    assert_eq!((fixture.store.open_uploads(), fixture.store.orphaned_parts()), (0, 0));
}

#[tokio::test]
async fn sheet_under_a_row_limit_is_not_renamed() {
    let fixture = TestExport::of(&format!("{PLAIN}[limits]\nrows = 1048575\n[output]\nprofile = \"excel\""));
    fixture.export(&rows(SHEET)).await.unwrap();
    assert_eq!(
        fixture.store.metadata(KEY).unwrap().get("downpipe-rows"),
        None,
        "it was begun under its own name"
    );
}

#[tokio::test]
async fn failure_in_the_second_file_leaves_nothing_of_the_first() {
    let fixture = sheet();
    let source = rows(SHEET + 3).failing_after(1_048_577, || SourceError::Killed);
    assert!(matches!(fixture.export(&source).await, Err(ExportError::Source(SourceError::Killed))));
    fixture.assert_nothing_left();
}

#[tokio::test]
async fn files_whose_rename_fails_are_deleted() {
    for fault in [StoreFault::Answer, StoreFault::Rename(1), StoreFault::RenameHalfway(1)] {
        let fixture = sheet();
        let fixture = TestExport { store: fixture.store.failing(fault), ..fixture };
        assert!(fixture.export(&rows(SHEET + 1)).await.is_err(), "{fault:?}");
        fixture.assert_nothing_left();
    }
}

/// The workbook is sent at its end, when its final name is known.
#[tokio::test]
async fn single_workbook_is_not_renamed() {
    let fixture = TestExport::of(&format!("{PLAIN}[output]\nformat = \"xlsx\""));
    let fixture = TestExport { store: fixture.store.failing(StoreFault::Rename(1)), ..fixture };
    // The hexadecimal noise compresses to half at best.
    let noise = |id: i64| OwnedCell::Text(format!("{:x?}", &Sha256::digest(id.to_le_bytes())[..]));
    let text = Column { name: "memo".to_owned(), kind: ColumnKind::Text };
    let rows = (0..300_000).map(|id| vec![noise(id)]).collect();
    fixture.export(&ScriptedSource::new(vec![text], rows)).await.unwrap();
    assert_eq!(fixture.store.uploads_begun(), 1, "it came in parts");
}
