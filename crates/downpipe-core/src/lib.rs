//! The rules of Downpipe.
//!
//! What lives here, in the order a message meets it: the [`message`], the [`catalog`] of [`definition`]s with their
//! [`params`] and [`sql`], the accepted [`request`], the [`job`] and its [`ledger`], the [`pipeline`] from [`source`] to
//! [`store`], the [`receipt`] and the [`notice`]. What does not: AWS, SQL drivers, the environment. Those stand behind the
//! ports ([`ledger::Ledger`], [`source::RowSource`], [`store::ObjectStore`], [`notice::Notifier`], [`login::LoginSource`]),
//! and no type of theirs crosses one.

pub mod catalog;
pub mod definition;
pub mod failure;
mod file_writer;
pub mod job;
pub mod ledger;
pub mod login;
pub mod message;
pub mod notice;
mod object_writer;
mod offload;
mod packing;
pub mod params;
mod parts;
pub mod pipeline;
pub mod receipt;
pub mod rejection;
pub mod request;
pub mod source;
mod split;
pub mod sql;
pub mod store;

#[cfg(feature = "testing")]
pub mod testing;
