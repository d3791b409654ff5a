//! Fakes of the ports, and the contracts that fakes and real adapters must keep.
//!
//! What lives here: [`MemoryJobTable`], [`MemoryStore`], [`MemoryCache`], [`ScriptedSource`], [`RecordingNotifier`],
//! [`RecordingProgress`] and [`FixedLogin`], each of which a test can make fail, realistic rows ([`order_row`]), and the [`contracts`].
//! What does not: anything that a release build may see. The feature `testing` is for tests only.

pub mod contracts;

mod cache;
mod download;
mod ledger;
mod login;
mod notices;
mod notifier;
mod orders;
mod progress;
mod queue;
mod source;
mod store;
mod store_state;
mod upload;

pub use cache::MemoryCache;
pub use ledger::MemoryJobTable;
pub use login::FixedLogin;
pub use notices::{sample_job, sample_notices};
pub use notifier::RecordingNotifier;
pub use orders::{order_columns, order_row};
pub use progress::RecordingProgress;
pub use queue::RecordingQueue;
pub use source::{OwnedCell, ScriptedSource};
pub use store::MemoryStore;
pub use store_state::StoreFault;
pub use upload::MemoryUpload;

use crate::mutex::lock;
