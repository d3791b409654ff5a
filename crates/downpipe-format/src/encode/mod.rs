//! An encoder for every format, behind the port [`Encoder`].

mod csv;
mod encoder;
mod jsonl;
mod load_data;
mod parquet;
mod rows;
mod treatment;
mod xlsx;

pub use self::encoder::{EncodeError, Encoder};
pub use self::load_data::LOAD_DATA_SESSION;
pub use self::rows::{FinishedFile, RowEncoder};

use self::csv::CsvEncoder;
use self::jsonl::JsonlEncoder;
use self::parquet::ParquetEncoder;
use self::xlsx::XlsxEncoder;
use crate::model::{FileColumn, FileStart, Format, Profile, Style};

impl Style {
    /// Creates the encoder for a file of these columns.
    ///
    /// # Errors
    /// When the format cannot have such columns.
    pub(crate) fn encoder(
        &self,
        columns: &[FileColumn],
        begin: FileStart,
    ) -> Result<Box<dyn Encoder>, EncodeError> {
        Ok(match self.format() {
            Format::Csv => Box::new(CsvEncoder::new(self.profile(), columns, begin)),
            Format::Tsv => Box::new(CsvEncoder::new(
                &Profile { delimiter: b'\t', ..self.profile().clone() },
                columns,
                begin,
            )),
            Format::Jsonl => Box::new(JsonlEncoder::new(columns)),
            Format::Parquet => Box::new(ParquetEncoder::new(columns)),
            Format::Xlsx => Box::new(XlsxEncoder::new(columns)?),
        })
    }
}
