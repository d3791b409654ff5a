//! Tests a full disk.

use std::process::Command;

use downpipe_format::{Cell, ColumnKind, EncodeError, Layout};

use crate::workbook::{column, encoder};

/// Runs one of the ignored tests where no file may have more than so many blocks of 512 bytes.
fn on_a_small_disk(test: &str, blocks: u32) {
    let script =
        format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" --exact {test} --ignored --nocapture");
    let program = std::env::current_exe().unwrap();
    let output = Command::new("sh").arg("-c").arg(script).arg(program).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{out}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn rows_on_full_disk_are_an_error() {
    on_a_small_disk("disk::rows_on_small_disk", 100);
}

#[test]
fn finish_on_full_disk_is_an_error() {
    on_a_small_disk("disk::finish_on_small_disk", 100);
}

#[test]
#[ignore = "needs a small disk"]
fn rows_on_small_disk() {
    let mut encoder = encoder(&Layout::default(), &[column("c", ColumnKind::Text)]).unwrap();
    let error = (0..10_000).find_map(|_| {
        encoder.cell(Cell::Text(b"text"));
        encoder.end_row().err()
    });
    assert!(matches!(&error, Some(EncodeError::Disk(error)) if error.raw_os_error().is_some()), "{error:?}");
    // Later calls fail, too, and do not panic.
    encoder.cell(Cell::Text(b"text"));
    assert!(matches!(encoder.end_row(), Err(EncodeError::Disk(_))));
    assert!(matches!(encoder.file().finish(), Err(EncodeError::Disk(_))));
    assert_eq!(encoder.file().buffered(), 0);
}

#[test]
#[ignore = "needs a small disk"]
fn finish_on_small_disk() {
    let mut encoder = encoder(&Layout::default(), &[column("c", ColumnKind::Text)]).unwrap();
    // The rows just fit, because the last of them are still in memory.
    let text = vec![b'x'; 25_000];
    for _ in 0..2 {
        encoder.cell(Cell::Text(&text));
        encoder.end_row().unwrap();
    }
    encoder.cell(Cell::Text(&text));
    encoder.end_row().unwrap();
    assert!(matches!(encoder.file().finish(), Err(EncodeError::Disk(_))));
    assert_eq!(encoder.file().buffered(), 0);
}
