//! Work that takes a thread for milliseconds, off the thread that reads rows.

use std::convert::Infallible;

use tokio::task::{JoinHandle, spawn_blocking};

/// Does its work on another thread, one task after another. Starting a task waits for the one before, so at most one is ever
/// waiting.
pub(crate) struct BackgroundWorker<T, E = Infallible> {
    /// `None` while it works.
    idle: Option<T>,
    work: Option<JoinHandle<(T, Result<(), E>)>>,
}

impl<T: Send + 'static, E: Send + 'static> BackgroundWorker<T, E> {
    pub(crate) fn new(worker: T) -> Self {
        Self { idle: Some(worker), work: None }
    }

    /// Starts a task, as soon as the one before is done.
    ///
    /// # Errors
    /// When the task before has failed.
    pub(crate) async fn start(
        &mut self,
        task: impl FnOnce(&mut T) -> Result<(), E> + Send + 'static,
    ) -> Result<(), E> {
        self.wait().await?;
        self.work = self.idle.take().map(|mut worker| {
            spawn_blocking(move || {
                let done = task(&mut worker);
                (worker, done)
            })
        });
        Ok(())
    }

    /// Waits until the task is done.
    ///
    /// # Errors
    /// When it has failed.
    pub(crate) async fn wait(&mut self) -> Result<&mut T, E> {
        // Polled in its place: a caller that stops waiting can wait again.
        if let Some(work) = &mut self.work {
            let (worker, done) =
                work.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            self.work = None;
            self.idle = Some(worker);
            done?;
        }
        Ok(self.idle.as_mut().unwrap_or_else(|| unreachable!("it works or it is idle")))
    }

    /// Returns the worker, unless it works.
    pub(crate) fn idle(&mut self) -> Option<&mut T> {
        self.idle.as_mut()
    }
}
