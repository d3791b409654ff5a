//! The rules of the ports as suites that run on the fakes and on the real adapters alike.
//!
//! A suite tries what a port's documentation promises, and nothing else. Every message names the rule that was broken.

mod cache;
mod ledger;
mod notifier;
mod rename;
mod resume;
mod samples;
mod shared_store;
mod steps;
mod store;

pub use cache::cache_contract;
pub use ledger::ledger_contract;
pub use notifier::notifier_contract;
pub use rename::{Seen, rename_contract};
pub use resume::resume_contract;
pub use shared_store::shared_store_contract;
pub use store::{store_contract, store_refuses_wrong_checksums};
