//! How long messages are hidden while their jobs are worked on.

use std::time::Duration;

/// Returns the visibility timeout of a message whose worker has, or is about to have, a lease of this length.
///
/// It is half a lease longer than the lease. So a crashed worker's message is redelivered in seconds instead of the queue's 90
/// minutes, and never while the lease still holds.
pub(crate) fn visibility_beyond(lease: Duration) -> Duration {
    lease * 3 / 2
}
