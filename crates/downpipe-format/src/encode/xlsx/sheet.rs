//! Writes the sheet of a workbook with `rust_xlsxwriter`, and works around the limits of that library.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::shown::{Shown, width};
use crate::encode::encoder::EncodeError;
use crate::model::FileColumn;
use crate::text::CELL_UNITS;

/// The most bytes that the tags of a text, with a share of its row's tags, take in the sheet's XML:
/// `<c r="XFD1048576" s="4294967295" t="inlineStr"><is><r><t xml:space="preserve"></t></r></is></c>`.
const TEXT_TAGS: u64 = 130;

/// The most bytes that a number of up to 20 digits takes there, with its tags.
const NUMBER_TAGS: u64 = 90;

/// The most digits of a very large or very small number: the library writes no exponents.
const NUMBER_DIGITS: u64 = 350;

/// The most bytes that one byte of a text takes there: `_x0001_`.
const ESCAPED_BYTE: u64 = 7;

/// The most characters that one byte takes in rich text, for which the library counts the XML.
const RICH_BYTE: usize = 7;

/// The most characters that the tags of rich text take: `<r><t xml:space="preserve"></t></r>`.
const RICH_TAGS: usize = 40;

/// A sheet, which takes rows from the top to the bottom.
pub(super) struct Sheet {
    workbook: Workbook,
    worksheet: Worksheet,
    /// Every format in use.
    formats: Vec<(Shown, Format)>,
    /// The format of each column, which is that of its first number.
    columns: Vec<Shown>,
    /// An upper bound of the length of the sheet's XML, in bytes.
    xml: u64,
}

impl Sheet {
    /// Creates a sheet with its header.
    pub(super) fn new(columns: &[FileColumn]) -> Result<Self, EncodeError> {
        let mut workbook = Workbook::new();
        // So that the same rows always give the same bytes.
        let created = ExcelDateTime::from_ymd(2000, 1, 1).map_err(refused)?;
        workbook.set_properties(&DocProperties::new().set_creation_datetime(&created));
        let mut worksheet = workbook.new_worksheet_with_constant_memory().map_err(refused)?;
        worksheet.set_name("Export").map_err(refused)?;
        worksheet.set_freeze_panes(1, 0).map_err(refused)?;
        let mut sheet = Self {
            workbook,
            worksheet,
            formats: Vec::new(),
            columns: vec![Shown::General; columns.len()],
            xml: 0,
        };
        let bold = Format::new().set_bold();
        for (at, column) in (0..).zip(columns) {
            sheet.worksheet.set_column_width(at, width(column)).map_err(refused)?;
            sheet.header(at, column, &bold)?;
        }
        Ok(sheet)
    }

    fn header(&mut self, at: u16, column: &FileColumn, format: &Format) -> Result<(), EncodeError> {
        let units = column.label.encode_utf16().count();
        if units > CELL_UNITS {
            return Err(EncodeError::DoesNotFit {
                format: "xlsx",
                place: format!("columns.{}.label", column.name),
                expected: format!("at most {CELL_UNITS} characters"),
                actual: units.to_string(),
            });
        }
        self.count_text(&column.label);
        let worksheet = &mut self.worksheet;
        match escaped(&column.label) {
            None => write(|| worksheet.write_string_with_format(0, at, &column.label, format)),
            Some(label) => {
                let pieces = [(&Format::default(), label.as_str())];
                write(|| worksheet.write_rich_string_with_format(0, at, &pieces, format))
            }
        }
    }

    /// Writes a number.
    pub(super) fn number(
        &mut self,
        row: u32,
        column: u16,
        number: f64,
        shown: Shown,
    ) -> Result<(), EncodeError> {
        let short = number == 0.0 || (1e-5..1e17).contains(&number.abs());
        self.xml += NUMBER_TAGS + if short { 0 } else { NUMBER_DIGITS };
        let in_column = self.columns[usize::from(column)];
        if in_column == shown {
            let worksheet = &mut self.worksheet;
            return write(|| worksheet.write_number(row, column, number));
        }
        let at = self.format(shown);
        let (worksheet, format) = (&mut self.worksheet, &self.formats[at].1);
        if in_column == Shown::General {
            // The column's format holds for cells that have none. A format for each cell would cost a look-up for each.
            worksheet.set_column_format(column, format).map_err(refused)?;
            self.columns[usize::from(column)] = shown;
            return write(|| worksheet.write_number(row, column, number));
        }
        write(|| worksheet.write_number_with_format(row, column, number, format))
    }

    /// Writes a text of at most [`CELL_UNITS`].
    pub(super) fn text(
        &mut self,
        row: u32,
        column: u16,
        text: Cow<'_, str>,
        name: &str,
    ) -> Result<(), EncodeError> {
        self.count_text(&text);
        let worksheet = &mut self.worksheet;
        let Some(escaped) = escaped(&text) else {
            return write(|| worksheet.write_string(row, column, text));
        };
        if escaped.len() * RICH_BYTE + RICH_TAGS > CELL_UNITS {
            let expected = format!("at most {CELL_UNITS} characters with their escapes");
            let actual = format!("{} with such as are taken for escapes", text.encode_utf16().count());
            return Err(EncodeError::cell("xlsx", u64::from(row), name, expected, actual));
        }
        write(|| worksheet.write_rich_string(row, column, &[(&Format::default(), escaped.as_str())]))
    }

    /// Writes a row without values.
    pub(super) fn empty_row(&mut self, row: u32) -> Result<(), EncodeError> {
        self.xml += NUMBER_TAGS;
        let worksheet = &mut self.worksheet;
        write(|| worksheet.write_blank(row, 0, &Format::default()))
    }

    /// Puts the workbook together. Returns its file, to be read from its beginning, and its length in bytes.
    pub(super) fn finish(mut self: Box<Self>) -> Result<(File, u64), EncodeError> {
        // The archive must know at its beginning whether it needs lengths of 64 bits, with which LibreOffice 7 opens none.
        self.workbook.use_zip_large_file(self.xml > u64::from(u32::MAX));
        self.workbook.push_worksheet(self.worksheet);
        let mut out = io::BufWriter::new(tempfile::tempfile()?);
        let workbook = &mut self.workbook;
        write(|| workbook.save_to_writer(&mut out))?;
        out.flush()?;
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let length = file.stream_position()?;
        file.rewind()?;
        Ok((file, length))
    }

    fn format(&mut self, shown: Shown) -> usize {
        if let Some(at) = self.formats.iter().position(|(known, _)| *known == shown) {
            return at;
        }
        self.formats.push((shown, Format::new().set_num_format(shown.code())));
        self.formats.len() - 1
    }

    fn count_text(&mut self, text: &str) {
        // 0xEF begins U+FFFE and other characters.
        let may_be_escaped = |byte: &u8| matches!(byte, 0..0x20 | b'&' | b'<' | b'>' | b'_' | 0xEF);
        let escapes = text.bytes().filter(may_be_escaped).count();
        let bytes = |length| u64::try_from(length).unwrap_or(u64::MAX);
        self.xml += TEXT_TAGS + bytes(text.len()) + bytes(escapes) * (ESCAPED_BYTE - 1);
    }
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sheet").field("columns", &self.columns.len()).finish_non_exhaustive()
    }
}

/// Returns the escaped text, where the library's own escapes would be wrong.
///
/// A control character is written as `_x0001_`, so a text that looks like that gets an escape in front: `_x005F_x0001_`
/// (ECMA-376 part 1, 22.9.2.19, `ST_Xstring`). The library looks for such texts before it escapes the control characters. It misses
/// one that gets its last underscore from them: `_x0041` before U+0001 would be read as `A` and `x0001_`. The library does not
/// escape rich text, so such a text is written as rich text.
fn escaped(text: &str) -> Option<String> {
    let looks_like_escape = |at: usize| {
        let hex = text.as_bytes().get(at + 2..at + 6)?;
        hex.iter().all(u8::is_ascii_hexdigit).then(|| text[at + 6..].chars().next()).flatten()
    };
    let next = |at: &(usize, &str)| looks_like_escape(at.0);
    if !text.match_indices("_x").any(|at| next(&at).is_some_and(is_escaped)) {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut done = 0;
    for at in text.match_indices("_x") {
        if next(&at).is_some_and(|next| next == '_' || is_escaped(next)) {
            out.push_str(&text[done..at.0]);
            out.push_str("_x005F");
            done = at.0;
        }
    }
    out.push_str(&text[done..]);
    Some(out)
}

/// Returns whether the library writes the character as `_xHHHH_`, because XML does not have it.
fn is_escaped(character: char) -> bool {
    matches!(character, '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}') && !matches!(character, '\t' | '\n')
}

/// Calls what writes to the disk, and turns the library's panic on a full disk into an error.
fn write<T>(call: impl FnOnce() -> Result<T, XlsxError>) -> Result<(), EncodeError> {
    // The sheet is not used after a panic.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(refused(error)),
        Err(panic) => match panic.downcast_ref::<String>().and_then(|message| disk_error(message)) {
            Some(error) => Err(EncodeError::Disk(error)),
            None => resume_unwind(panic),
        },
    }
}

/// Reads the error of the operating system in a panic's message: `... Os { code: 28, kind: StorageFull, ... }`.
fn disk_error(message: &str) -> Option<io::Error> {
    let (_, code) = message.split_once("Os { code: ")?;
    let (code, _) = code.split_once(',')?;
    code.parse().ok().map(io::Error::from_raw_os_error)
}

fn refused(error: XlsxError) -> EncodeError {
    match error {
        XlsxError::IoError(error) | XlsxError::TempFileError(_, error) => EncodeError::Disk(error),
        // Known limits were checked before, and another attempt would meet an unknown one again.
        other => EncodeError::DoesNotFit {
            format: "xlsx",
            place: "workbook".to_owned(),
            expected: "rows within the limits of the format".to_owned(),
            actual: other.to_string(),
        },
    }
}
