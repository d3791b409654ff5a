//! Faults of whole workers: `downpipe worker` processes with a queue, a ledger, a topic, a bucket
//! and a database, behind a proxy for AWS and one for MySQL.

pub mod broken;
pub mod delivery;
pub mod dynamodb;
pub mod harness;
pub mod kill_loop;
pub mod killed;
mod ledger_times;
pub mod memory;
mod questions;
pub mod runs;
pub mod scene;
pub mod secrets;
