//! The sink of rows, as a source sees it.

use downpipe_format::{Cell, Column};

use super::Snapshot;
use super::error::SinkError;

/// Takes rows. All but [`flush`](Self::flush) is synchronous, so that a row costs no wake-up.
pub trait RowSink: Send {
    /// Checks the columns' names before the query runs, which may take minutes, so that an error in the definition is reported at
    /// once. (Their kinds may change: MySQL learns the type of a parameter when it runs.)
    ///
    /// # Errors
    /// When they do not fit the definition.
    fn accept(&self, columns: &[Column]) -> Result<(), SinkError>;

    /// Takes the query's columns and the snapshot, once, before the first row, and for a result without rows too: its file has a
    /// header.
    ///
    /// # Errors
    /// When they do not fit the definition, or columns or session are not those with which an earlier run began the file.
    fn start(&mut self, columns: &[Column], snapshot: &Snapshot) -> Result<Wanted, SinkError>;

    /// Takes the next of the wanted cells of the row.
    fn cell(&mut self, cell: Cell<'_>);

    /// Takes the row's resume key, if it is [wanted](Wanted::key), after its cells.
    ///
    /// # Errors
    /// When it does not ascend.
    fn key(&mut self, key: Cell<'_>) -> Result<(), SinkError>;

    /// Ends the row.
    ///
    /// # Errors
    /// When a limit is exceeded, or a cell does not fit the file's format.
    fn end_row(&mut self) -> Result<SinkState, SinkError>;

    /// Sends what is full, and waits for slower parts downstream: this is the back-pressure.
    ///
    /// # Errors
    /// When something downstream has failed.
    fn flush(&mut self) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// The cells that a sink wants of every row, each by its column's position in the query, from 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The cells, in the order in which it wants them.
    pub cells: Vec<usize>,
    /// The column of the resume key, if that is wanted. It may be among the cells, too.
    pub key: Option<usize>,
}

/// Whether a sink takes more rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkState {
    /// It takes the next row.
    Ready,
    /// [`RowSink::flush`] must come before the next row.
    Full,
}
