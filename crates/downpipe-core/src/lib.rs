//! The rules of Downpipe.
//!
//! What lives here, in the order a message meets it: the [`message`], the [`catalog`] of [`definition`]s with their [`params`]
//! and [`sql`], the accepted [`request`], the [`job`] with its states ([`entry`]) and its [`ledger`], the [`pipeline`] from
//! [`source`] to [`store`] at its [`pace`], its [`checkpoint`]s and the [`resume`] key, the [`receipt`] and the [`notice`]. What
//! does not: AWS, SQL drivers, the environment. Those stand behind the ports ([`ledger::JobTable`], [`source::RowSource`],
//! [`store::ObjectStore`], [`notice::Notifier`], [`queue::Queue`], [`login::LoginSource`]), and no type of theirs crosses one.

pub mod catalog;
pub mod checkpoint;
pub mod definition;
mod digests;
pub mod entry;
pub mod failure;
mod file_writer;
pub mod job;
pub mod ledger;
pub mod login;
pub mod message;
pub mod notice;
mod object_writer;
mod offload;
mod order;
pub mod pace;
mod packing;
pub mod params;
mod parts;
pub mod pipeline;
mod proof;
pub mod queue;
pub mod receipt;
pub mod rejection;
pub mod request;
pub mod resume;
pub mod source;
mod split;
pub mod sql;
pub mod store;

#[cfg(feature = "testing")]
pub mod testing;
