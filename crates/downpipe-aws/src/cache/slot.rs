//! Keeps the one connection that all operations share, and makes a new one when it is gone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use downpipe_core::cache::{CacheError, CacheFault};
use downpipe_core::mutex::lock;

/// A connection that is kept until it is discarded.
#[derive(Debug)]
pub(super) struct Slot<T> {
    kept: Mutex<Kept<T>>,
    /// Held while a connection is made, so that only one is.
    attempt: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Kept<T> {
    connection: Option<Numbered<T>>,
    /// How many attempts to connect have ended.
    attempts: u64,
    /// Why the last of them failed.
    fault: Option<CacheFault>,
}

/// A connection, and the attempt that made it.
#[derive(Debug, Clone)]
pub(super) struct Numbered<T> {
    pub(super) connection: T,
    attempt: u64,
}

impl<T: Clone + Send + 'static> Slot<T> {
    pub(super) fn new() -> Arc<Self> {
        let kept = Kept { connection: None, attempts: 0, fault: None };
        Arc::new(Self { kept: Mutex::new(kept), attempt: tokio::sync::Mutex::new(()) })
    }

    /// Returns the connection, if there is one that `is_usable`.
    pub(super) fn get(&self, is_usable: impl FnOnce(&T) -> bool) -> Option<Numbered<T>> {
        lock(&self.kept).connection.clone().filter(|kept| is_usable(&kept.connection))
    }

    /// Forgets this connection, unless another has replaced it.
    pub(super) fn discard(&self, attempt: &Numbered<T>) {
        lock(&self.kept).connection.take_if(|kept| kept.attempt == attempt.attempt);
    }

    /// Connects within this time and keeps the connection, in place of the one before.
    ///
    /// Callers that come while an attempt is under way share its result.
    /// The attempt is a task of its own: a caller that gives up earlier leaves the connection to the next.
    pub(super) async fn connect(
        self: &Arc<Self>,
        timeout: Duration,
        dial: impl Future<Output = Result<T, CacheError>> + Send + 'static,
    ) -> Result<Numbered<T>, CacheError> {
        let slot = Arc::clone(self);
        let known = lock(&self.kept).attempts;
        let attempt = tokio::spawn(async move {
            let _turn = slot.attempt.lock().await;
            if let Some(shared) = slot.result_after(known) {
                return shared;
            }
            let timed = tokio::time::timeout(timeout, dial).await;
            let dialed = timed.unwrap_or_else(|elapsed| {
                Err(CacheError { fault: CacheFault::Timeout, source: elapsed.into() })
            });
            slot.keep(dialed)
        });
        attempt
            .await
            .unwrap_or_else(|ended| Err(CacheError { fault: CacheFault::Connection, source: ended.into() }))
    }

    /// Returns the result of an attempt that ended after so many, if there was one.
    fn result_after(&self, known: u64) -> Option<Result<Numbered<T>, CacheError>> {
        let kept = lock(&self.kept);
        if kept.attempts == known {
            return None;
        }
        match (&kept.connection, kept.fault) {
            (Some(connection), _) => Some(Ok(connection.clone())),
            (None, Some(fault)) => {
                let source = "another operation has just tried to connect in vain".into();
                Some(Err(CacheError { fault, source }))
            }
            (None, None) => None,
        }
    }

    fn keep(&self, dialed: Result<T, CacheError>) -> Result<Numbered<T>, CacheError> {
        let mut kept = lock(&self.kept);
        kept.attempts += 1;
        kept.fault = dialed.as_ref().err().map(|error| error.fault);
        let connection = Numbered { connection: dialed?, attempt: kept.attempts };
        kept.connection = Some(connection.clone());
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(500);

    fn refused() -> CacheError {
        CacheError { fault: CacheFault::Connection, source: "refused".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_whose_caller_gave_up_leaves_its_connection() {
        let slot = Slot::new();
        let slow = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(7)
        };
        let gave_up = tokio::time::timeout(Duration::from_millis(50), slot.connect(TIMEOUT, slow)).await;
        assert!(gave_up.is_err());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(slot.get(|_| true).map(|kept| kept.connection), Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_at_the_same_time_are_one() {
        let (slot, dialed) = (Slot::new(), Arc::new(AtomicU32::new(0)));
        let dial = |result: Result<u32, CacheError>| {
            let dialed = Arc::clone(&dialed);
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                dialed.fetch_add(1, Ordering::Relaxed);
                result
            }
        };
        let (one, other) =
            tokio::join!(slot.connect(TIMEOUT, dial(Err(refused()))), slot.connect(TIMEOUT, dial(Ok(1))));
        assert!([one, other].iter().all(|result| result.as_ref().is_err()));
        assert_eq!(dialed.load(Ordering::Relaxed), 1);
        let later = slot.connect(TIMEOUT, dial(Ok(2))).await.unwrap();
        assert_eq!((later.connection, dialed.load(Ordering::Relaxed)), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_that_takes_too_long_is_a_timeout() {
        let slot = Slot::<u32>::new();
        let error = slot.connect(TIMEOUT, std::future::pending()).await.unwrap_err();
        assert_eq!(error.fault, CacheFault::Timeout);
    }

    #[tokio::test]
    async fn connection_that_was_replaced_is_not_discarded_by_its_forerunner() {
        let slot = Slot::new();
        let first = slot.connect(TIMEOUT, async { Ok(1) }).await.unwrap();
        slot.connect(TIMEOUT, async { Ok(2) }).await.unwrap();
        slot.discard(&first);
        assert_eq!(slot.get(|_| true).map(|kept| kept.connection), Some(2));
        assert!(slot.get(|_| false).is_none());
    }
}
