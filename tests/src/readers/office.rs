//! Files as `LibreOffice` displays them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::workspace;

use super::{Read, Table, csv_with_python, output_text, run};

/// The import options of `LibreOffice`, which a person chooses in its dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Import {
    /// The format of the file's extension.
    ByName,
    /// CSV with this delimiter.
    Csv {
        /// The character between fields.
        delimiter: char,
        /// The character set of the file.
        charset: Charset,
    },
    /// CSV as on a German Windows: semicolons, code page 1252, and decimal commas.
    GermanCsv,
}

/// A character set for an import in `LibreOffice`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// Windows' Japanese, CP932.
    ShiftJis,
}

impl Import {
    /// <https://help.libreoffice.org/latest/en-US/text/shared/guide/csv_params.html>
    fn filter(self) -> Option<String> {
        match self {
            Self::ByName => None,
            Self::Csv { delimiter, charset } => {
                let charset = match charset {
                    Charset::Utf8 => 76,
                    Charset::ShiftJis => 64,
                };
                Some(format!("--infilter=CSV:{},34,{charset}", u32::from(delimiter)))
            }
            // 1 is Windows-1252, and 1031 is German (Germany).
            Self::GermanCsv => Some(format!("--infilter=CSV:{},34,1,1,,1031", u32::from(';'))),
        }
    }
}

/// A file as `LibreOffice` displays it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text of all pages, in their layout.
    pub text: String,
    /// Pictures of the pages, under `target`, for a person to check.
    pub pages: Vec<PathBuf>,
}

/// Opens the file in `LibreOffice` and renders its pages. The pictures stay in a folder of this
/// name, which no other test may use.
///
/// Returns an error when `LibreOffice` cannot open the file.
pub fn render(file: &Path, import: Import, name: &str) -> Read<Rendered> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let pdf = office(file, import, "pdf", folder.path())?;
    let text = run(Command::new("pdftotext").args(["-layout", "-enc", "UTF-8"]).arg(&pdf).arg("-"))?;
    let pictures = workspace::path("target/readers").join(name);
    drop(fs::remove_dir_all(&pictures));
    fs::create_dir_all(&pictures).map_err(|error| error.to_string())?;
    run(Command::new("pdftoppm").args(["-r", "60", "-png"]).arg(&pdf).arg(pictures.join("page")))?;
    Ok(Rendered { text: String::from_utf8_lossy(&text).into_owned(), pages: files_in(&pictures)? })
}

/// Reads the first sheet as `LibreOffice` displays it, cell by cell.
///
/// Returns an error when `LibreOffice` cannot open the file.
pub fn shown_in_office(file: &Path, import: Import) -> Read<Table> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    // Comma, quote, UTF-8, from the first line; numbers and dates as displayed.
    let csv =
        office(file, import, "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true", folder.path())?;
    csv_with_python(&csv, ',', "utf-8")
}

/// Converts a file with `LibreOffice`.
fn office(file: &Path, import: Import, to: &str, folder: &Path) -> Read<PathBuf> {
    // Two instances cannot share a profile. A new one costs half a second.
    let profile = folder.join("profile");
    let results = folder.join("output");
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "120", "soffice", "--headless", "--norestore", "--nologo"]);
    command.arg(format!("-env:UserInstallation=file://{}", profile.display()));
    command.env("HOME", folder).env("LC_ALL", "C.UTF-8");
    command.args(["--convert-to", to]).args(import.filter()).arg("--outdir").arg(&results).arg(file);
    let output = command.output().map_err(|error| format!("cannot run LibreOffice: {error}"))?;
    // The exit status is 0 even when the file could not be read.
    let written = files_in(&results).ok().and_then(|files| files.into_iter().next());
    written.ok_or_else(|| output_text(&output))
}

/// Lists the files in a folder, by name.
fn files_in(folder: &Path) -> Read<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}
