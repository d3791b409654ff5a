//! Writes workbooks and reads them back, for the tests of other modules.

use std::io::{Cursor, Read as _};

use calamine::{Data, Reader as _, Xlsx};
use downpipe_format::{
    Cell, Changes, Column, ColumnKind, ColumnOptions, Compression, EncodeError, Encoder, Format, Layout,
    Profile, RowEncoder, Style, TreatAs,
};

pub(crate) const INTEGER: ColumnKind = integer(0);

pub(crate) const fn integer(zerofill: u8) -> ColumnKind {
    ColumnKind::Integer { bits: 64, unsigned: false, zerofill }
}

pub(crate) fn column(name: &str, kind: ColumnKind) -> Column {
    Column { name: name.to_owned(), kind }
}

pub(crate) fn treated(name: &str, treat_as: TreatAs) -> Layout {
    let options = ColumnOptions { treat_as: Some(treat_as), ..ColumnOptions::default() };
    Layout::new([(name.to_owned(), options)].into())
}

pub(crate) fn encoder(layout: &Layout, columns: &[Column]) -> Result<RowEncoder, EncodeError> {
    let style = Style::new(Profile::PLAIN, Format::Xlsx, Compression::None).unwrap();
    RowEncoder::start(style, layout, columns)
}

/// Takes the file in pieces.
pub(crate) fn bytes(mut file: Box<dyn Encoder>) -> Vec<u8> {
    assert_eq!(file.buffered(), 0);
    file.finish().unwrap();
    let length = file.buffered();
    let mut bytes = Vec::new();
    while file.buffered() > 0 {
        let piece = file.take(1000).unwrap();
        assert!((1..=1000).contains(&piece.len()));
        bytes.extend(piece);
    }
    assert_eq!(file.take(1000).unwrap(), b"");
    assert_eq!(bytes.len(), length);
    bytes
}

/// A workbook, and its changes.
pub(crate) struct Workbook {
    pub(crate) bytes: Vec<u8>,
    pub(crate) changes: Changes,
}

impl Workbook {
    pub(crate) fn of(layout: &Layout, columns: &[Column], rows: &[Vec<Cell<'_>>]) -> Self {
        let mut encoder = encoder(layout, columns).unwrap();
        for row in rows {
            row.iter().for_each(|cell| encoder.cell(*cell));
            encoder.end_row().unwrap();
        }
        Self { changes: encoder.changes(), bytes: bytes(encoder.into_file().encoder) }
    }

    /// Writes a workbook with one column, `c`.
    pub(crate) fn of_cells(layout: &Layout, kind: ColumnKind, cells: &[Cell<'_>]) -> Self {
        let rows: Vec<Vec<Cell<'_>>> = cells.iter().map(|cell| vec![*cell]).collect();
        Self::of(layout, &[column("c", kind)], &rows)
    }

    /// Returns one of the archive's files.
    pub(crate) fn part(&self, name: &str) -> String {
        let mut archive = zip::ZipArchive::new(Cursor::new(&self.bytes)).unwrap();
        let mut text = String::new();
        archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    pub(crate) fn sheet(&self) -> String {
        self.part("xl/worksheets/sheet1.xml")
    }

    /// Returns the cells as another program reads them, the header first.
    pub(crate) fn rows(&self) -> Vec<Vec<Data>> {
        let mut workbook = Xlsx::new(Cursor::new(self.bytes.clone())).unwrap();
        let range = workbook.worksheet_range("Export").unwrap();
        range.rows().map(<[Data]>::to_vec).collect()
    }

    /// Returns the cells below the header, each with its number format, `text` or `nothing`.
    pub(crate) fn shown(&self) -> Vec<String> {
        let (sheet, styles) = (self.sheet(), self.part("xl/styles.xml"));
        let formats = number_formats(&styles);
        let rows = sheet.split("<row ").skip(2);
        rows.map(|row| {
            let cell = row.split_once("<c ").map_or("", |(_, cell)| cell);
            if let Some(text) =
                enclosed(cell, "<t>", "</t>").or(enclosed(cell, "<t xml:space=\"preserve\">", "</t>"))
            {
                format!("{text} as text")
            } else if let Some(number) = enclosed(cell, "<v>", "</v>") {
                let style = enclosed(cell, " s=\"", "\"").map_or(0, |style| style.parse().unwrap());
                format!("{number} as {}", formats[style])
            } else {
                "nothing".to_owned()
            }
        })
        .collect()
    }
}

/// Returns the number format of every cell style, in order.
fn number_formats(styles: &str) -> Vec<String> {
    let cell_styles = enclosed(styles, "<cellXfs", "</cellXfs>").unwrap();
    let ids = cell_styles.split("numFmtId=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    ids.map(|id| match enclosed(styles, &format!("<numFmt numFmtId=\"{id}\" formatCode=\""), "\"") {
        Some(code) => code.to_owned(),
        // The built-in ones, ECMA-376 part 1, 18.8.30.
        None => match id {
            "0" => "General",
            "1" => "0",
            "2" => "0.00",
            other => other,
        }
        .to_owned(),
    })
    .collect()
}

pub(crate) fn enclosed<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(start)?.1.split_once(end)?.0)
}
