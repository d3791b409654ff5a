//! What can happen to whole workers: processes (`downpipe worker`) with a queue, a ledger, a topic, a bucket and a database, with a
//! proxy before all of AWS and one before MySQL.

pub mod broken;
pub mod delivery;
pub mod killed;
pub mod memory;
pub mod runs;
pub mod scene;
pub mod secrets;
pub mod works;
