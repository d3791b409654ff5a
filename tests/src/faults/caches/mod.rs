//! Faults of the cache of whole workers: of its network, its content, its logins. Each export is asked for twice, and gives the
//! bytes that it gives without a cache.

mod click;
pub mod content;
pub mod login;
pub mod memcached;
pub mod network;
mod proxy;
mod scene;
mod server;
