//! Checks compression: any pushed bytes, cut into parts anywhere, unpack to the same bytes.

#![no_main]

use std::io::{Cursor, Read as _};

use arbitrary::Arbitrary;
use downpipe_format::{Compression, Packer};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Way {
    None,
    Gzip,
    Zstd,
    Zip,
}

#[derive(Debug, Arbitrary)]
enum Step {
    Push(Vec<u8>),
    /// Pushes this byte so many times, or a sequence that counts up from it.
    PushMany(u8, u16, bool),
    TakePart,
}

fuzz_target!(|input: (Way, Vec<(String, Vec<Step>)>)| {
    let (way, mut files) = input;
    let compression = match way {
        Way::None => Compression::None,
        Way::Gzip => Compression::Gzip,
        Way::Zstd => Compression::Zstd,
        Way::Zip => Compression::Zip,
    };
    if compression != Compression::Zip {
        files.truncate(1);
    }
    files.truncate(8);

    let mut packer = Packer::new(compression);
    let mut parts = Vec::new();
    let mut pushed = Vec::new();
    for (name, steps) in &files {
        packer.begin_file(name).expect("a short name");
        let mut plain = vec![Vec::new()];
        for step in steps {
            let bytes = match step {
                Step::Push(bytes) => bytes.clone(),
                Step::PushMany(byte, len, counting) => (0..usize::from(*len))
                    .map(|at| byte.wrapping_add(if *counting { (at % 251) as u8 } else { 0 }))
                    .collect(),
                Step::TakePart => {
                    let promised = packer.buffered();
                    let part = packer.take_part().expect("memory");
                    assert!(part.len() >= promised);
                    assert_eq!(packer.buffered(), 0);
                    parts.push(part);
                    plain.push(Vec::new());
                    continue;
                }
            };
            plain.last_mut().expect("there is one").extend_from_slice(&bytes);
            packer.push(bytes).expect("memory");
        }
        packer.end_file().expect("memory");
        pushed.push((name, plain));
    }
    parts.push(packer.finish().expect("memory"));

    let plain: Vec<Vec<u8>> = pushed.iter().flat_map(|(_, parts)| parts.clone()).collect();
    match compression {
        Compression::None => assert_eq!(parts.concat(), plain.concat()),
        Compression::Gzip | Compression::Zstd => {
            let unpack = if compression == Compression::Gzip { gunzip } else { unzstd };
            assert_eq!(unpack(&parts.concat()), plain.concat());
            for (part, plain) in parts.iter().zip(&plain) {
                assert_eq!(if part.is_empty() { Vec::new() } else { unpack(part) }, *plain);
            }
        }
        Compression::Zip => {
            let mut archive = zip::ZipArchive::new(Cursor::new(parts.concat())).expect("an archive");
            // The reader shows only the last of several files with the same name.
            let mut last: Vec<_> = Vec::new();
            for (name, parts) in &pushed {
                last.retain(|(other, _)| other != name);
                last.push((*name, parts.concat()));
            }
            assert_eq!(archive.len(), last.len());
            for (name, plain) in last {
                let at = archive.index_for_name(name).expect("the name");
                let mut read = Vec::new();
                archive.by_index(at).expect("a file").read_to_end(&mut read).expect("the file");
                assert_eq!(read, plain);
            }
        }
    }
});

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut plain).expect("gzip");
    plain
}

fn unzstd(bytes: &[u8]) -> Vec<u8> {
    zstd::decode_all(bytes).expect("Zstandard")
}
