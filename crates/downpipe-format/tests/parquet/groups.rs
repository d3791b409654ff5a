//! Tests row groups, and the pieces in which a file is taken.

use downpipe_format::{Cell, ColumnKind, Layout};
use parquet::basic::Compression;
use parquet::file::reader::FileReader as _;
use parquet::file::statistics::Statistics;
use parquet::record::Field;

use crate::{INTEGER, column, text, write};

#[test]
fn file_without_rows_has_a_schema_and_no_group() {
    let written =
        write(&Layout::default(), &[column("n", INTEGER), column("t", ColumnKind::Text)], []).unwrap();
    assert_eq!((written.groups(), written.rows().as_str(), written.pieces), (vec![], "", 1));
    assert!(written.schema().contains("OPTIONAL BYTE_ARRAY t (STRING);"), "{}", written.schema());
}

#[test]
fn group_ends_at_its_size_and_is_taken_by_itself() {
    let long = "日本語".repeat(100_000);
    let columns = [column("n", INTEGER), column("t", ColumnKind::Text)];
    let rows = (0..25).map(|n| vec![Cell::Int(n), if n % 5 == 0 { Cell::Null } else { text(&long) }]);
    let written = write(&Layout::default(), &columns, rows).unwrap();
    assert_eq!((written.groups(), written.pieces), (vec![13, 12], 3));
    assert_eq!(written.column(), (0..25).map(Field::Long).collect::<Vec<_>>());
}

/// A row is never divided.
#[test]
fn large_cell_makes_a_large_group() {
    let large = vec![b'x'; 20 * 1024 * 1024];
    let cells = [Cell::Bytes(b"a"), Cell::Bytes(&large), Cell::Bytes(b"b")];
    let written =
        write(&Layout::default(), &[column("b", ColumnKind::Bytes)], cells.map(|cell| vec![cell])).unwrap();
    assert_eq!(written.groups(), [2, 1]);
    let lengths: Vec<usize> = written
        .column()
        .iter()
        .map(|field| if let Field::Bytes(bytes) = field { bytes.len() } else { 0 })
        .collect();
    assert_eq!(lengths, [1, 20 * 1024 * 1024, 1]);
}

#[test]
fn group_ends_at_its_rows() {
    let rows = (0..1_048_577).map(|_| vec![Cell::Null]);
    let written = write(&Layout::default(), &[column("n", INTEGER)], rows).unwrap();
    assert_eq!(written.groups(), [1_048_576, 1]);
}

#[test]
fn chunk_is_compressed_and_has_statistics() {
    let rows = [Cell::Int(3), Cell::Null, Cell::Int(-1)].map(|cell| vec![cell]);
    let written = write(&Layout::default(), &[column("n", INTEGER)], rows).unwrap();
    let metadata = written.file.metadata();
    let created_by = metadata.file_metadata().created_by().unwrap();
    assert!(created_by.starts_with("downpipe version "), "{created_by}");
    let chunk = metadata.row_group(0).column(0);
    assert!(matches!(chunk.compression(), Compression::ZSTD(_)));
    let Some(Statistics::Int64(statistics)) = chunk.statistics() else { panic!("{:?}", chunk.statistics()) };
    assert_eq!(
        (statistics.min_opt(), statistics.max_opt(), statistics.null_count_opt()),
        (Some(&-1), Some(&3), Some(1))
    );
}
