//! A notifier that keeps what it was given.

use std::sync::Mutex;

use super::lock;
use crate::notice::{Notice, Notifier, NotifyError};

/// Keeps every notice that it takes.
#[derive(Debug, Default)]
pub struct RecordingNotifier {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures_left: usize,
    published: Vec<Notice>,
}

impl RecordingNotifier {
    /// A notifier that takes everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A notifier that refuses the first `failures` notices.
    #[must_use]
    pub fn failing_first(failures: usize) -> Self {
        Self { state: Mutex::new(State { failures_left: failures, published: Vec::new() }) }
    }

    /// What was taken, in order.
    #[must_use]
    pub fn published(&self) -> Vec<Notice> {
        lock(&self.state).published.clone()
    }
}

impl Notifier for RecordingNotifier {
    async fn publish(&self, notice: &Notice) -> Result<(), NotifyError> {
        let mut state = lock(&self.state);
        if state.failures_left > 0 {
            state.failures_left -= 1;
            return Err(NotifyError("the notifier was told to fail".into()));
        }
        state.published.push(notice.clone());
        Ok(())
    }
}
