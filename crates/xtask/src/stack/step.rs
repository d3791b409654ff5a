//! One calm line per step.

use std::time::Instant;

/// Tells the person what is going on, with the seconds since the command started.
pub(crate) struct Steps {
    started: Instant,
}

impl Steps {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    pub(crate) fn say(&self, part: &str, what: &str) {
        eprintln!("[{:5.1} s] {part:<10} {what}", self.started.elapsed().as_secs_f32());
    }
}
