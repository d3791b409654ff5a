//! The portal: the API by which apps ask for exports on behalf of people, watch them, and download the files.
//!
//! What lives here: the [routes](router), who a token says a person is, what is wrong with a request, and the
//! [server]. The portal records, asks, shows and signs. What never lives here: an export's query, a file's bytes, SQL.
//! It reads definitions and the ledger, sends messages, and signs URLs of S3.

mod accept;
mod api;
mod body;
mod caller;
pub mod config;
mod embed;
mod files;
mod guard;
mod history;
mod language;
mod limits;
mod pages;
mod peer;
mod portal;
mod problem;
mod query;
mod reply;
pub mod router;
mod secret;
pub mod server;
pub mod services;
mod token;
mod watch;

pub use self::api::document;
pub use self::history::Histories;
pub use self::limits::{REQUESTS_PER_SECOND, RequestLimits};
pub use self::portal::{Portal, Ports};
pub use self::secret::{InvalidSecret, PortalSecret, SecretStore};
pub use self::watch::Watched;
