//! Tests the caches on a real Valkey, behind a judge of tokens, and on a real Memcached.

mod connections;
mod contract;
mod faults;
mod memcached;
