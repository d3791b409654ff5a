//! The rules of Downpipe.
//!
//! Folders from the top down; each imports only from those below it:
//!
//! - [`failure`] sorts every error into retry, fail or lease lost.
//! - [`export`] turns rows into a file in a store.
//! - [`request`] is a message held against the catalog.
//! - [`source`] is where rows come from.
//! - [`catalog`] has the definitions.
//! - [`message`] is what a queue delivers, [`store`] is where files go, [`ledger`] remembers jobs, [`notice`] tells requesters how a
//!   job ended, [`cache`] answers popular requests.
//! - [`job`] is what all of them speak of.
//!
//! AWS, SQL drivers and the environment do not live here. They stand behind the ports ([`ledger::JobTable`], [`source::RowSource`],
//! [`store::ObjectStore`], [`cache::Cache`], [`notice::Notifier`], [`queue::Queue`], [`login::LoginSource`]), and none of their types
//! crosses a port.

pub mod cache;
pub mod catalog;
pub mod error_chain;
pub mod export;
pub mod failure;
pub mod job;
pub mod language;
pub mod ledger;
pub mod link;
pub mod login;
pub mod message;
pub mod mutex;
pub mod notice;
mod phrases;
pub mod queue;
pub mod request;
pub mod requester;
pub mod source;
pub mod store;
pub mod untrusted_text;
mod words;

#[cfg(feature = "testing")]
pub mod testing;
