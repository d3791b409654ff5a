//! The rules of the ports as suites that run on the fakes and on the real adapters alike.
//!
//! A suite asks for what a port's documentation promises and for nothing else. Every message names the rule that was
//! broken.

mod go_on;
mod ledger;
mod rename;
mod samples;
mod store;

pub use go_on::go_on_contract;
pub use ledger::ledger_contract;
pub use rename::{Seen, rename_contract};
pub use store::{store_contract, store_refuses_wrong_checksums};
