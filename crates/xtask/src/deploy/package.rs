//! The zips of worker and portal, as Lambda unpacks them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The folder of the definitions in the zip; the template's default for `Catalog`.
const CATALOG: &str = "exports";

/// How hard to compress: deflate's levels.
#[derive(Clone, Copy, Debug)]
pub enum Effort {
    /// For the local stack: a bootstrap with debug information is large, and its way is short.
    Fast = 1,
    /// For Lambda, which fetches the package at every cold start.
    Best = 9,
}

/// Lambda fetches and unpacks the zip at every cold start, while a person waits: the worker's stays below 8 MiB.
pub const MAX_WORKER_BYTES: u64 = 8 << 20;

/// The portal's zip stays below 12 MiB.
pub const MAX_PORTAL_BYTES: u64 = 12 << 20;

/// Writes a zip with `bootstrap` at its root and the definitions of the folder `exports` beside it.
///
/// The same content gives the same bytes, so that a hash of the zip says whether there is anything to deploy.
pub fn package(bootstrap: &Path, exports: &Path, zip: &Path, effort: Effort) -> Result<()> {
    let write = || -> Result<()> {
        if let Some(parent) = zip.parent() {
            fs::create_dir_all(parent)?;
        }
        // Under another name until it is whole: others may be about to deploy the one that is there.
        let partial = zip.with_extension(format!("{}.partial", std::process::id()));
        let mut writer = ZipWriter::new(BufWriter::new(File::create(&partial)?));
        add(&mut writer, "bootstrap", bootstrap, 0o755, effort)?;
        for definition in definitions(exports)? {
            let name = definition.file_name().unwrap_or_default().to_string_lossy();
            add(&mut writer, &format!("{CATALOG}/{name}"), &definition, 0o644, effort)?;
        }
        writer.finish()?.flush()?;
        Ok(fs::rename(&partial, zip)?)
    };
    write().with_context(|| format!("cannot package {} as {}", bootstrap.display(), zip.display()))
}

/// Packs an optimised program as Lambda gets it, and returns the zip's size in bytes.
///
/// # Errors
/// Also when the zip is too large for a quick start.
pub fn package_for_lambda(bootstrap: &Path, exports: &Path, zip: &Path, max_bytes: u64) -> Result<u64> {
    package(bootstrap, exports, zip, Effort::Best)?;
    small_enough(zip, max_bytes)
}

fn small_enough(zip: &Path, max_bytes: u64) -> Result<u64> {
    let bytes = fs::metadata(zip)?.len();
    ensure!(
        bytes < max_bytes,
        "{}: expected a zip under {} MiB, got {:.2} MiB",
        zip.display(),
        max_bytes >> 20,
        bytes as f64 / f64::from(1 << 20)
    );
    Ok(bytes)
}

fn definitions(exports: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(exports).with_context(|| format!("cannot read {}", exports.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    ensure!(!files.is_empty(), "{} holds no definition", exports.display());
    // A folder lists its files in no particular order.
    files.sort();
    Ok(files)
}

fn add(
    writer: &mut ZipWriter<BufWriter<File>>,
    name: &str,
    file: &Path,
    mode: u32,
    effort: Effort,
) -> Result<()> {
    let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(effort as i64))
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(mode);
    writer.start_file(name, options)?;
    Ok(writer.write_all(&content)?)
}

#[cfg(test)]
mod tests {
    use zip::ZipArchive;

    use super::*;

    #[test]
    fn package_of_the_same_content_has_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let exports = dir.path().join("definitions");
        fs::create_dir(&exports).unwrap();
        let bootstrap = dir.path().join("program");
        for (file, content) in [("b.toml", "b"), ("a.toml", "a"), ("notes.md", "not for the worker")] {
            fs::write(exports.join(file), content).unwrap();
        }
        fs::write(&bootstrap, "program").unwrap();
        let (one, two) = (dir.path().join("one/worker.zip"), dir.path().join("two.zip"));
        package(&bootstrap, &exports, &one, Effort::Fast).unwrap();
        File::options().append(true).open(&bootstrap).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        package(&bootstrap, &exports, &two, Effort::Fast).unwrap();
        assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());

        let mut archive = ZipArchive::new(File::open(&one).unwrap()).unwrap();
        let entries: Vec<_> = (0..archive.len())
            .map(|index| {
                let entry = archive.by_index(index).unwrap();
                (entry.name().unwrap().into_owned(), entry.unix_mode().unwrap() & 0o777)
            })
            .collect();
        let expected = [("bootstrap", 0o755), ("exports/a.toml", 0o644), ("exports/b.toml", 0o644)];
        assert_eq!(entries, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }

    #[test]
    fn package_over_the_limit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let zip = dir.path().join("worker.zip");
        let file = File::create(&zip).unwrap();
        file.set_len(MAX_WORKER_BYTES - 1).unwrap();
        assert_eq!(small_enough(&zip, MAX_WORKER_BYTES).unwrap(), MAX_WORKER_BYTES - 1);
        file.set_len(MAX_WORKER_BYTES + (1 << 18)).unwrap();
        let err = small_enough(&zip, MAX_WORKER_BYTES).unwrap_err().to_string();
        assert!(err.ends_with("worker.zip: expected a zip under 8 MiB, got 8.25 MiB"), "{err}");
    }

    #[test]
    fn package_without_definitions_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("bootstrap"), "program").unwrap();
        let err =
            package(&dir.path().join("bootstrap"), dir.path(), &dir.path().join("worker.zip"), Effort::Best)
                .unwrap_err();
        assert!(format!("{err:#}").ends_with("holds no definition"), "{err:#}");
    }
}
