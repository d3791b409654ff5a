//! Unpacks what was packed, with other decoders.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

use std::io::{Cursor, Read as _};

use downpipe_format::{Compression, Packer};
use flate2::read::{GzDecoder, MultiGzDecoder};
use proptest::prelude::*;
use zip::{CompressionMethod, ZipArchive};

/// A call of a packer within a file.
#[derive(Debug, Clone)]
enum Step {
    Push(Vec<u8>),
    TakePart,
}

/// Packs files, each by its name and steps. Returns the parts of the object, the last of which is that of `finish`.
fn pack(compression: Compression, files: &[(&str, Vec<Step>)]) -> Vec<Vec<u8>> {
    let mut packer = Packer::new(compression);
    let mut parts = Vec::new();
    for (name, steps) in files {
        packer.begin_file(name).unwrap();
        for step in steps {
            match step {
                Step::Push(bytes) => packer.push(bytes.clone()).unwrap(),
                Step::TakePart => {
                    let promised = packer.buffered();
                    let part = packer.take_part().unwrap();
                    assert!(part.len() >= promised, "{} of {promised} bytes", part.len());
                    assert_eq!(packer.buffered(), 0);
                    parts.push(part);
                }
            }
        }
        packer.end_file().unwrap();
    }
    parts.push(packer.finish().unwrap());
    assert_eq!(packer.buffered(), 0);
    parts
}

/// Returns the pushed bytes of each part.
fn pushed(steps: &[Step]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    for step in steps {
        match step {
            Step::Push(bytes) => parts.last_mut().unwrap().extend_from_slice(bytes),
            Step::TakePart => parts.push(Vec::new()),
        }
    }
    parts
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

fn unzstd(bytes: &[u8]) -> Vec<u8> {
    zstd::decode_all(bytes).unwrap()
}

/// Unpacks the files of an archive. The reader checks lengths and checksums.
fn unzip(bytes: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let mut plain = Vec::new();
            file.read_to_end(&mut plain).unwrap();
            (file.name().unwrap().into_owned(), plain)
        })
        .collect()
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Push),
        // Compressible, and more than a block of Zstandard and the window of Deflate.
        1 => (any::<u8>(), 0..300_000usize).prop_map(|(seed, len)| Step::Push(rows(seed, len))),
        2 => Just(Step::TakePart),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..8)
}

/// Returns about `len` bytes that look like CSV.
fn rows(seed: u8, len: usize) -> Vec<u8> {
    let mut rows = Vec::with_capacity(len + 64);
    for row in 0_u64.. {
        if rows.len() >= len {
            break;
        }
        let digits = (row + u64::from(seed)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        rows.extend_from_slice(format!("{row},{digits},東京都,2026-01-{:02}\n", row % 28 + 1).as_bytes());
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parts_without_compression_equal_the_pushed_bytes(steps in steps()) {
        prop_assert_eq!(pack(Compression::None, &[("a.csv", steps.clone())]), pushed(&steps));
    }

    #[test]
    fn part_of_gzip_unpacks_by_itself(steps in steps()) {
        let parts = pack(Compression::Gzip, &[("a.csv", steps.clone())]);
        prop_assert_eq!(gunzip(&parts.concat()), pushed(&steps).concat());
        for (part, plain) in parts.iter().zip(pushed(&steps)) {
            // An empty part has no empty member either.
            prop_assert_eq!(if part.is_empty() { Vec::new() } else { gunzip(part) }, plain);
        }
    }

    #[test]
    fn part_of_zstd_unpacks_by_itself(steps in steps()) {
        let parts = pack(Compression::Zstd, &[("a.csv", steps.clone())]);
        prop_assert_eq!(unzstd(&parts.concat()), pushed(&steps).concat());
        for (part, plain) in parts.iter().zip(pushed(&steps)) {
            // An empty part has no empty frame either.
            prop_assert_eq!(if part.is_empty() { Vec::new() } else { unzstd(part) }, plain);
        }
    }

    #[test]
    fn zip_archive_has_every_file(files in prop::collection::vec(steps(), 0..4)) {
        let names = ["受注.csv", "a.xlsx", "b/c.csv", "d.jsonl"];
        let files: Vec<_> = names.into_iter().zip(files).collect();
        let expected: Vec<_> =
            files.iter().map(|(name, steps)| ((*name).to_owned(), pushed(steps).concat())).collect();
        prop_assert_eq!(unzip(pack(Compression::Zip, &files).concat()), expected);
    }
}

#[test]
fn part_has_one_member_or_frame_or_is_empty_without_bytes() {
    let steps = [
        Step::TakePart,
        Step::Push(b"a\n".to_vec()),
        Step::Push(b"b\n".to_vec()),
        Step::TakePart,
        Step::TakePart,
        Step::Push(Vec::new()),
        Step::TakePart,
        Step::Push(b"c\n".to_vec()),
        Step::TakePart,
    ];
    for compression in [Compression::Gzip, Compression::Zstd] {
        let parts = pack(compression, &[("a.csv", steps.to_vec())]);
        let empty: Vec<_> = parts.iter().map(Vec::is_empty).collect();
        assert_eq!(empty, [true, false, true, true, false, true], "{compression:?}");
    }
    let parts = pack(Compression::Gzip, &[("a.csv", steps.to_vec())]);
    let mut plain = String::new();
    GzDecoder::new(&parts[1][..]).read_to_string(&mut plain).unwrap();
    assert_eq!(plain, "a\nb\n", "one member");
}

#[test]
fn object_without_bytes_is_a_readable_file() {
    let nothing = || [("a.csv", vec![Step::TakePart])];
    assert_eq!(pack(Compression::None, &nothing()).concat(), b"");
    let gzip = pack(Compression::Gzip, &nothing()).concat();
    assert_eq!((gunzip(&gzip), gzip.len()), (Vec::new(), 20));
    let zstd = pack(Compression::Zstd, &nothing()).concat();
    assert_eq!((unzstd(&zstd), zstd.len()), (Vec::new(), 13));
    assert_eq!(unzip(pack(Compression::Zip, &nothing()).concat()), [("a.csv".to_owned(), Vec::new())]);
    assert_eq!(unzip(pack(Compression::Zip, &[]).concat()), []);
}

#[test]
fn same_bytes_give_the_same_object() {
    for &compression in Compression::ALL {
        let files = [("a.csv", vec![Step::Push(rows(1, 100_000)), Step::TakePart, Step::Push(rows(2, 10))])];
        assert_eq!(pack(compression, &files), pack(compression, &files), "{compression:?}");
    }
    // Neither a time nor a name.
    let gzip = pack(Compression::Gzip, &[("a.csv", vec![])]).concat();
    assert_eq!(gzip[..9], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn pushed_buffer_without_compression_is_not_copied() {
    let bytes = rows(1, 1000);
    let address = bytes.as_ptr();
    let mut packer = Packer::new(Compression::None);
    packer.begin_file("a.csv").unwrap();
    packer.push(bytes).unwrap();
    let part = packer.take_part().unwrap();
    assert_eq!(part.as_ptr(), address);
}

#[test]
fn damaged_zstd_frame_is_refused_by_its_checksum() {
    let mut frame = pack(Compression::Zstd, &[("a.csv", vec![Step::Push(b"0123456789".to_vec())])]).concat();
    // The bytes are not compressible, so the frame has them as they are.
    let at = frame.windows(3).position(|bytes| bytes == b"456").unwrap();
    frame[at] = b'7';
    assert!(zstd::decode_all(&frame[..]).is_err(), "the checksum is there");
}

#[test]
fn archive_entry_has_name_time_mode_and_method() {
    let files = [("受注.csv", vec![Step::Push(rows(1, 1000))]), ("a.xlsx", vec![Step::Push(rows(1, 1000))])];
    let mut archive = ZipArchive::new(Cursor::new(pack(Compression::Zip, &files).concat())).unwrap();
    let plain = rows(1, 1000).len() as u64;
    let csv = archive.by_name("受注.csv").unwrap();
    assert_eq!(csv.name_raw(), "受注.csv".as_bytes());
    assert_eq!(csv.compression(), CompressionMethod::Deflated);
    assert_eq!(csv.last_modified().unwrap().to_string(), "1980-01-01 00:00:00");
    assert_eq!(csv.unix_mode(), Some(0o100_644));
    assert!(csv.compressed_size() < plain);
    drop(csv);
    let workbook = archive.by_name("a.xlsx").unwrap();
    // It can be read from a stream, and is not compressed: each block of Deflate has 5 bytes around it.
    assert_eq!(workbook.compression(), CompressionMethod::Deflated);
    assert!((plain + 1..plain + 20).contains(&workbook.compressed_size()));
}

#[test]
fn file_name_too_long_for_archive_is_refused() {
    let mut packer = Packer::new(Compression::Zip);
    let error = packer.begin_file(&"a".repeat(65_536)).unwrap_err();
    assert_eq!(error.to_string(), "a name in a zip archive has 65,535 bytes at most");
}

#[test]
#[should_panic(expected = "only a zip archive has more than one file")]
fn second_file_without_archive_panics() {
    let mut packer = Packer::new(Compression::Gzip);
    for name in ["a.csv", "b.csv"] {
        packer.begin_file(name).unwrap();
        packer.end_file().unwrap();
    }
}
