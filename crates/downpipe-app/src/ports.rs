//! Everything that a worker stands on.

use downpipe_core::cache::Cache;
use downpipe_core::ledger::JobTable;
use downpipe_core::notice::Notifier;
use downpipe_core::queue::Queue;
use downpipe_core::source::RowSource;
use downpipe_core::store::ResumableStore;

/// One implementation of every port. A type that implements it has no values: it only names them.
pub trait Ports: 'static {
    /// Keeps jobs, under the rules of the [`Ledger`](downpipe_core::ledger::Ledger).
    type Table: JobTable;
    /// Reads rows.
    type Source: RowSource;
    /// Stores files.
    type Store: ResumableStore;
    /// Notifies people.
    type Notifier: Notifier;
    /// Delivers messages.
    type Queue: Queue;
    /// Keeps receipts and progress for a while.
    type Cache: Cache + 'static;
}
