//! Where rows come from. A port: the database reads, and pushes every row into a [`RowSink`].

use std::error::Error;

use downpipe_format::{Cell, Column, EncodeError};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ledger::LedgerError;
use crate::pace::{Pace, Waits};
use crate::resume::KeyError;
use crate::sql::SqlPiece;
use crate::store::{StoreError, WriteToken};

/// A query that is ready to run.
#[derive(Debug, Clone)]
pub struct Query {
    /// SQL with its values in place.
    pub sql: Vec<SqlPiece>,
    /// When it must have ended; a query still running then is killed.
    pub deadline: Instant,
    /// Whether somebody wants it to stop before.
    pub stop: Stop,
    /// The attempt at a job that it is read for: the database's administrators see whose it is, and a later attempt finds what
    /// this one has left running.
    pub token: Option<WriteToken>,
    /// Where to be slow. The caps on rows and bytes are the pipeline's business; the server's load is the source's.
    pub pace: Pace,
    /// How long that has held it back.
    pub waits: Waits,
}

impl Query {
    /// A query that nobody will stop, read for no job and as fast as may be.
    #[must_use]
    pub fn new(sql: Vec<SqlPiece>, deadline: Instant) -> Self {
        let (stop, pace, waits) = (Stop::never(), Pace::default(), Waits::default());
        Self { sql, deadline, stop, token: None, pace, waits }
    }
}

/// The wish that a query stop before its time.
#[derive(Debug, Clone, Default)]
pub struct Stop(Option<watch::Receiver<bool>>);

/// Whoever holds this can wish it.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stop {
    /// Nobody will wish it.
    #[must_use]
    pub fn never() -> Self {
        Self(None)
    }

    /// A wish that can be made.
    #[must_use]
    pub fn new() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(sender), Self(Some(receiver)))
    }

    /// Waits until it is wished; for ever, if nobody can wish it any more.
    pub async fn wished(&self) {
        if let Some(mut wish) = self.0.clone()
            && wish.wait_for(|wished| *wished).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

impl Stopper {
    /// Wishes it.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// What a database says of a result that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndOfResult {
    /// The rows that the *server* counted.
    pub rows: u64,
    /// The moment of the snapshot that was read.
    pub as_of: jiff::Timestamp,
}

/// Reads queries.
pub trait RowSource: Send + Sync {
    /// Runs the query, pushes every row into the sink and proves that the end was reached: that the server counted what
    /// it sent, and that the connection still answers with what is asked of it and not with rows left over.
    ///
    /// Whatever the end, no query is left running in the database. Where a worker dies there is no end: before a later attempt at
    /// the job reads anything, the queries of earlier ones are killed.
    ///
    /// # Errors
    /// See [`SourceError`]. Rows may have reached the sink by then; they are not a result.
    fn read<S: RowSink>(
        &self,
        query: &Query,
        sink: &mut S,
    ) -> impl Future<Output = Result<EndOfResult, SourceError>> + Send;
}

/// Takes rows. All but [`flush`](Self::flush) is synchronous, so that a row costs no wake-up.
pub trait RowSink: Send {
    /// Whether columns of these names will do. Asked before the query runs, which may take minutes: what is wrong with its
    /// definition is said at once. (Their kinds may turn out otherwise: what a parameter is, MySQL learns when it runs.)
    ///
    /// # Errors
    /// When they do not fit the definition.
    fn accept(&self, columns: &[Column]) -> Result<(), SinkError>;

    /// The query's columns, once, before the first row, and for a result without rows too: its file has a header. With them
    /// the moment of the snapshot they are read from.
    ///
    /// # Errors
    /// When they do not fit the definition.
    fn start(&mut self, columns: &[Column], as_of: jiff::Timestamp) -> Result<Wanted, SinkError>;

    /// The next of the wanted cells of the row.
    fn cell(&mut self, cell: Cell<'_>);

    /// The row's resume key, if it is [wanted](Wanted::key): after its cells.
    ///
    /// # Errors
    /// When it does not ascend.
    fn key(&mut self, key: Cell<'_>) -> Result<(), SinkError>;

    /// The row is complete.
    ///
    /// # Errors
    /// When a limit is passed, or a cell cannot be in the file's format.
    fn end_row(&mut self) -> Result<SinkState, SinkError>;

    /// Makes room, waiting for slower parts downstream: this is the back-pressure.
    ///
    /// # Errors
    /// When something downstream has failed.
    fn flush(&mut self) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// What a sink wants of every row, each column by its place in the query, from 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The cells, in the order in which it wants them.
    pub cells: Vec<usize>,
    /// The resume key, wanted besides, whether or not it is among the cells.
    pub key: Option<usize>,
}

/// Whether a sink wants more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkState {
    /// Go on.
    Ready,
    /// Call [`RowSink::flush`] before the next row.
    Full,
}

/// Why a sink takes no more rows.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The rows cannot be written in the definition's columns or in this format.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A limit is passed.
    #[error("more than {most} {what}")]
    Limit {
        /// `rows` or `bytes`.
        what: &'static str,
        /// The most that is allowed.
        most: u64,
    },
    /// A sheet is full, and the store takes one file only.
    #[error("more than {most} rows, which is all that a sheet takes")]
    SheetFull {
        /// The rows that it takes.
        most: u64,
    },
    /// The query has no such column.
    #[error("resume.column: expected a column of the query, got {column:?}")]
    NoResumeColumn {
        /// The column that `[resume]` names.
        column: String,
    },
    /// The resume key of a row cannot be gone on after.
    #[error("row {row}, resume column {column:?}: {reason}")]
    Key {
        /// The row, from 1, the header not counted.
        row: u64,
        /// The column that `[resume]` names.
        column: String,
        /// What is wrong.
        reason: KeyError,
    },
    /// The columns are not those with which an earlier run began the file.
    #[error("the columns have changed since the file was begun: expected {expected:?}, got {actual:?}")]
    ColumnsChanged {
        /// The headings of the file.
        expected: Vec<String>,
        /// Those of the query now.
        actual: Vec<String>,
    },
    /// The upload failed.
    #[error("the file could not be stored")]
    Store(#[from] StoreError),
    /// The ledger failed, or gave the job to somebody else.
    #[error("the job could not be recorded")]
    Ledger(#[from] LedgerError),
}

/// Why a query gave no complete result.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The database could not be reached, or the connection broke. It may work later.
    #[error("the database could not be reached, or the connection to it broke")]
    Disconnected(#[source] Box<dyn Error + Send + Sync>),
    /// Its certificate is not what it should be, or it has none. Nothing was sent to it.
    #[error("the database did not prove that it is the right one")]
    Untrusted(#[source] Box<dyn Error + Send + Sync>),
    /// The database refused the login.
    #[error("the database refused the login")]
    LoginRefused(#[source] Box<dyn Error + Send + Sync>),
    /// The database ran the query and said no. It will say so again.
    #[error("the database reported error {code}")]
    QueryFailed {
        /// MySQL's error number; 0 for an error that the driver found.
        code: u16,
        /// Its words, which may quote the data.
        message: String,
    },
    /// A column has a type that the driver does not know.
    #[error("a column has a type that cannot be read: {0}")]
    UnknownType(String),
    /// The deadline or the database's time limit was met.
    #[error("the query did not end in time")]
    TimedOut,
    /// The deadline was met, and the definition's pace has to do with it.
    #[error("the query did not end in time; {key} held it back for {seconds} s")]
    HeldBack {
        /// The key of the definition that held it back the longest: `pace.rows_per_second`.
        key: &'static str,
        /// For so long.
        seconds: u64,
    },
    /// The definition says how much load is too much, and the load cannot be seen.
    #[error("{key} cannot be kept: {reason}")]
    LoadUnknown {
        /// The key of the definition: `pace.max_replica_lag`.
        key: &'static str,
        /// Why, and what would help.
        reason: &'static str,
    },
    /// Whoever asked for the query wanted it to stop.
    #[error("the query was stopped on request")]
    Stopped,
    /// Somebody stopped the query in the database.
    #[error("the query was stopped in the database")]
    Killed,
    /// The result ended before its end. Never to be mistaken for a small result.
    #[error("the result ended early: {0}")]
    Short(String),
    /// The sink took no more.
    #[error(transparent)]
    Sink(#[from] SinkError),
}
