//! The disk on which the workbook is put together is full.

use std::process::Command;

use downpipe_format::{Cell, ColumnKind, EncodeError, Layout};

use crate::workbook::{column, encoder};

/// Runs one of the tests below where no file may grow beyond so many blocks of 512 bytes.
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
fn rows_that_do_not_fit_the_disk_are_an_error() {
    on_a_small_disk("disk::rows", 100);
}

#[test]
fn a_workbook_that_does_not_fit_the_disk_is_an_error() {
    on_a_small_disk("disk::finish", 100);
}

#[test]
#[ignore = "needs a small disk"]
fn rows() {
    let mut encoder = encoder(&Layout::default(), &[column("c", ColumnKind::Text)]).unwrap();
    let error = (0..10_000).find_map(|_| {
        encoder.cell(Cell::Text(b"text"));
        encoder.end_row().err()
    });
    assert!(matches!(&error, Some(EncodeError::Disk(error)) if error.raw_os_error().is_some()), "{error:?}");
    // Nothing more is written, and nothing panics.
    encoder.cell(Cell::Text(b"text"));
    assert!(matches!(encoder.end_row(), Err(EncodeError::Disk(_))));
    assert!(matches!(encoder.file().finish(), Err(EncodeError::Disk(_))));
    assert_eq!(encoder.file().buffered(), 0);
}

#[test]
#[ignore = "needs a small disk"]
fn finish() {
    let mut encoder = encoder(&Layout::default(), &[column("c", ColumnKind::Text)]).unwrap();
    // The rows just fit; the last of them are still in memory.
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
