//! Finds a server and connects to it.

use std::net::SocketAddr;

use downpipe_core::cache::{CacheError, CacheFault};
use tokio::net::{TcpStream, lookup_host};

use super::address::HostPort;

/// Connects to the first address of a host that answers.
pub(super) async fn connect(server: &HostPort) -> Result<TcpStream, CacheError> {
    let unknown = |source| CacheError { fault: CacheFault::Name, source };
    let found = lookup_host((server.host.as_str(), server.port)).await;
    let addresses: Vec<SocketAddr> = found.map_err(|error| unknown(error.into()))?.collect();
    if addresses.is_empty() {
        return Err(unknown("the name has no address".into()));
    }
    let broken = |source: std::io::Error| CacheError { fault: CacheFault::Connection, source: source.into() };
    let stream = TcpStream::connect(&addresses[..]).await.map_err(broken)?;
    stream.set_nodelay(true).map_err(broken)?;
    Ok(stream)
}
