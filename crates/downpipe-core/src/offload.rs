//! Work that takes a thread for milliseconds, off the thread that reads rows.

use std::convert::Infallible;

use tokio::task::{JoinHandle, spawn_blocking};

/// Something that does its work on another thread, one piece after another: who brings the next piece waits until the one
/// before is done, so no more than one is ever waiting.
pub(crate) struct Offload<T, E = Infallible> {
    /// `None` while it works.
    idle: Option<T>,
    work: Option<JoinHandle<(T, Result<(), E>)>>,
}

impl<T: Send + 'static, E: Send + 'static> Offload<T, E> {
    pub(crate) fn new(worker: T) -> Self {
        Self { idle: Some(worker), work: None }
    }

    /// Gives it a piece of work.
    ///
    /// # Errors
    /// When the piece before has failed.
    pub(crate) async fn start(
        &mut self,
        piece: impl FnOnce(&mut T) -> Result<(), E> + Send + 'static,
    ) -> Result<(), E> {
        self.wait().await?;
        self.work = self.idle.take().map(|mut worker| {
            spawn_blocking(move || {
                let done = piece(&mut worker);
                (worker, done)
            })
        });
        Ok(())
    }

    /// Waits until it has done what it was given.
    ///
    /// # Errors
    /// When that has failed.
    pub(crate) async fn wait(&mut self) -> Result<&mut T, E> {
        // Polled in its place: whoever stops waiting can come again.
        if let Some(work) = &mut self.work {
            let (worker, done) =
                work.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            self.work = None;
            self.idle = Some(worker);
            done?;
        }
        Ok(self.idle.as_mut().unwrap_or_else(|| unreachable!("it works or it is idle")))
    }

    /// It, unless it works.
    pub(crate) fn idle(&mut self) -> Option<&mut T> {
        self.idle.as_mut()
    }
}
