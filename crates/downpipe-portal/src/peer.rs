//! Where a request came from.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

/// The address of the connection. A header would be the sender's own word.
#[derive(Debug)]
pub(crate) struct Peer(pub(crate) Option<String>);

impl Peer {
    /// Returns the name under which requests are counted.
    pub(crate) fn key(&self) -> &str {
        self.0.as_deref().unwrap_or("unknown")
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_string())))
    }
}
