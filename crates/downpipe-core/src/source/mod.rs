//! Where rows come from. A port: the source reads a query and pushes every row into a [`RowSink`].

mod error;
mod query;
mod sink;
mod throttle_time;
mod value_fault;

pub use self::error::{SinkError, SourceError};
pub use self::query::Query;
pub use self::sink::{RowSink, SinkState, Wanted};
pub use self::throttle_time::{ThrottleGuard, ThrottleTime};
pub use self::value_fault::ValueFault;
pub use tokio_util::sync::CancellationToken;

use crate::job::Session;

/// The state of the database from which rows are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The moment of the snapshot.
    pub as_of: jiff::Timestamp,
    /// The settings under which it is read.
    pub session: Session,
}

/// The database's account of a result that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOfResult {
    /// The rows that the *server* counted.
    pub rows: u64,
    /// The snapshot that was read. Its session was the same at the beginning and at the end.
    pub snapshot: Snapshot,
}

/// Reads queries.
pub trait RowSource: Send + Sync {
    /// Runs the query, pushes every row into the sink and proves that the end was reached: that the server counted what
    /// it sent, that the connection answers the next question and has no rows left over, that no setting of the session has
    /// changed, and that there is no warning about a value that was cut.
    ///
    /// However the read ends, no query is left running in the database. A worker that dies leaves its query running. So a later
    /// attempt at the job kills the queries of earlier ones before it reads anything.
    ///
    /// # Errors
    /// See [`SourceError`]. Rows may have reached the sink by then; they are not a result.
    fn read<S: RowSink>(
        &self,
        query: &Query,
        sink: &mut S,
    ) -> impl Future<Output = Result<EndOfResult, SourceError>> + Send;
}
