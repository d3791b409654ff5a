//! What every program of Downpipe shares.
//!
//! What lives here: the [configuration](config) read from the environment, the [way of a message](handle) from the queue to the
//! e-mail, [clicks](click) that come without a message, the worker that [polls the queue](poll), and the [sweep]. What does not: the rules about requests, jobs and files
//! (`downpipe-core`), databases and clouds (`downpipe-mysql`, `downpipe-aws`), and Lambda's events (`downpipe-lambda`).

mod attempt;
pub mod check;
pub mod click;
pub mod config;
pub mod delete;
pub mod deliver;
pub mod estimate;
mod followers;
pub mod handle;
mod heartbeat;
pub mod kept_secret;
pub mod ledger_table;
pub mod link;
pub mod logging;
mod notify;
pub mod poll;
pub mod ports;
mod record;
pub mod redrive;
mod renew;
pub mod retry;
mod reuse;
pub mod secret_text;
pub mod services;
pub mod signing;
pub mod sweep;
mod visibility;
pub mod worker;
