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
    refused: Option<fn(&Notice) -> bool>,
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
        Self { state: Mutex::new(State { failures_left: failures, ..State::default() }) }
    }

    /// A notifier that refuses these notices for good.
    #[must_use]
    pub fn refusing(refused: fn(&Notice) -> bool) -> Self {
        Self { state: Mutex::new(State { refused: Some(refused), ..State::default() }) }
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
            return Err(NotifyError::Unavailable("the notifier was told to fail".into()));
        }
        if state.refused.is_some_and(|refused| refused(notice)) {
            return Err(NotifyError::Refused("the notifier was told to refuse it".into()));
        }
        state.published.push(notice.clone());
        Ok(())
    }
}
