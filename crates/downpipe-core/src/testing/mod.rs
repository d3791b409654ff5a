//! Fakes of the ports, and the rules that fakes and real adapters alike must keep.
//!
//! What lives here: [`MemoryLedger`], [`MemoryStore`], [`ScriptedSource`], [`RecordingNotifier`], [`RecordingProgress`] and
//! [`FixedLogin`], each of them able to fail when told so, rows like people's own ([`order_row`]), and the [`contracts`]. What
//! does not: anything that a release build may see. The feature `testing` is for tests only.

pub mod contracts;

mod ledger;
mod login;
mod notifier;
mod orders;
mod progress;
mod queue;
mod source;
mod store;
mod upload;

pub use ledger::MemoryLedger;
pub use login::FixedLogin;
pub use notifier::RecordingNotifier;
pub use orders::{order_columns, order_row};
pub use progress::RecordingProgress;
pub use queue::RecordingQueue;
pub use source::{OwnedCell, ScriptedSource};
pub use store::{MemoryStore, StoreFault};
pub use upload::MemoryUpload;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. A test that panicked with the lock in hand has failed already; the others may look at what it left.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
