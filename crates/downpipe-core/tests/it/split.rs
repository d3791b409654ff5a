//! A spreadsheet with more rows than a sheet takes becomes several files: all of them, or none.

use downpipe_core::pipeline::ExportError;
use downpipe_core::source::SourceError;
use downpipe_core::testing::{OwnedCell, ScriptedSource, StoreFault};
use downpipe_format::{Column, ColumnKind};
use sha2::{Digest as _, Sha256};

use crate::pipeline::{Bench, KEY, PLAIN, columns};

const SHEET: i64 = 1_048_575;

/// Ids so long that a sheet of them is more than one part of an upload.
const FIRST: i64 = 10_000_000;

fn sheet() -> Bench {
    Bench::of(&format!("{PLAIN}[output]\nprofile = \"excel\""))
}

fn rows(count: i64) -> ScriptedSource {
    ScriptedSource::new(
        columns()[..1].to_vec(),
        (0..count).map(|id| vec![OwnedCell::Int(FIRST + id)]).collect(),
    )
}

#[tokio::test]
async fn a_full_sheet_is_one_file() {
    let bench = sheet();
    let receipt = bench.export(&rows(SHEET)).await.unwrap();
    assert_eq!((receipt.rows, receipt.files.len()), (1_048_575, 1));
    assert_eq!(receipt.files[0].file_name, "orders.csv");
    assert_eq!(bench.store.keys(), [KEY, &format!("{KEY}.receipt.json")]);
    assert_eq!(bench.store.metadata(KEY).unwrap()["downpipe-rows"], "1048575", "renaming told it");
}

#[tokio::test]
async fn a_row_more_makes_two_files_with_one_receipt() {
    let bench = sheet();
    let receipt = bench.export(&rows(SHEET + 1)).await.unwrap();
    let files: Vec<_> = receipt.files.iter().map(|file| (file.file_name.as_str(), file.rows)).collect();
    assert_eq!(files, [("orders-1-of-2.csv", 1_048_575), ("orders-2-of-2.csv", 1)]);
    assert_eq!(receipt.bytes, receipt.files.iter().map(|file| file.bytes).sum::<u64>());
    let keys = ["file-1-of-2.csv", "file-2-of-2.csv", "file.csv.receipt.json"];
    assert_eq!(bench.store.keys(), keys.map(|name| format!("downpipe/orders/{name}")));
    let file = |number: u32| {
        let key = format!("downpipe/orders/file-{number}-of-2.csv");
        String::from_utf8(bench.store.get(&key).unwrap()).unwrap()
    };
    let header = "\u{feff}id\r\n";
    assert_eq!(file(2), format!("{header}11048575\r\n"));
    let (first, last) = (file(1), "11048574\r\n");
    assert!(first.starts_with(&format!("{header}10000000\r\n")) && first.ends_with(last));
    assert_eq!((bench.store.open_uploads(), bench.store.orphaned_parts()), (0, 0));
}

#[tokio::test]
async fn a_limit_below_a_sheet_needs_no_second_name() {
    let bench = Bench::of(&format!("{PLAIN}[limits]\nrows = 1048575\n[output]\nprofile = \"excel\""));
    bench.export(&rows(SHEET)).await.unwrap();
    assert_eq!(
        bench.store.metadata(KEY).unwrap().get("downpipe-rows"),
        None,
        "it was begun under its own name"
    );
}

#[tokio::test]
async fn what_fails_in_the_second_file_leaves_nothing_of_the_first() {
    let bench = sheet();
    let source = rows(SHEET + 3).failing_after(1_048_577, || SourceError::Killed);
    assert!(matches!(bench.export(&source).await, Err(ExportError::Source(SourceError::Killed))));
    bench.assert_nothing_left();
}

#[tokio::test]
async fn files_that_cannot_get_their_names_do_not_stay() {
    for fault in [StoreFault::Answer, StoreFault::Rename(1), StoreFault::RenameHalfway(1)] {
        let bench = sheet();
        let bench = Bench { store: bench.store.failing(fault), ..bench };
        assert!(bench.export(&rows(SHEET + 1)).await.is_err(), "{fault:?}");
        bench.assert_nothing_left();
    }
}

/// All of it comes at the end, when it is known that there will be no other.
#[tokio::test]
async fn a_workbook_that_is_the_only_one_is_not_renamed() {
    let bench = Bench::of(&format!("{PLAIN}[output]\nformat = \"xlsx\""));
    let bench = Bench { store: bench.store.failing(StoreFault::Rename(1)), ..bench };
    // No compressor makes this smaller than half of it.
    let noise = |id: i64| OwnedCell::Text(format!("{:x?}", &Sha256::digest(id.to_le_bytes())[..]));
    let text = Column { name: "memo".to_owned(), kind: ColumnKind::Text };
    let rows = (0..300_000).map(|id| vec![noise(id)]).collect();
    bench.export(&ScriptedSource::new(vec![text], rows)).await.unwrap();
    assert_eq!(bench.store.uploads_begun(), 1, "it came in parts");
}
