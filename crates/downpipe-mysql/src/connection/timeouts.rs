//! How long Downpipe's own statements may take.

use std::time::Duration;

use downpipe_core::source::SourceError;

/// For statements that touch no table. A connection that leaves one unanswered for this long has met a network that swallows
/// packets.
pub(crate) const ROUND_TRIP_TIMEOUT: Duration = Duration::from_secs(20);

/// For saying goodbye. The file does not depend on how its connection ends.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits for an answer for so long.
///
/// # Errors
/// [`SourceError::Disconnected`] when the time is up.
pub(crate) async fn within<T>(
    time: Duration,
    answer: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    let answered = tokio::time::timeout(time, answer).await;
    answered.unwrap_or_else(|elapsed| Err(SourceError::Disconnected(elapsed.into())))
}
