//! A proxy in front of a cache: passes bytes on unchanged, and delays, holds or cuts them when a fault asks for it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// The state of the network between a worker and the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// Bytes pass at once.
    Up,
    /// Every connection is reset, new ones included.
    Down,
    /// Connections are accepted and stay open, and no byte passes.
    BlackHole,
    /// Each piece of an answer takes so long.
    Slow(Duration),
}

/// The proxy. Dropping it closes all its connections.
#[derive(Debug)]
pub(super) struct CacheProxy {
    port: u16,
    network: watch::Sender<Network>,
    accepting: AbortHandle,
}

impl CacheProxy {
    /// Starts a proxy in front of this `HOST:PORT`.
    pub(super) async fn start(upstream: String) -> Self {
        let (network, _) = watch::channel(Network::Up);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(accept(listener, upstream, network.clone())).abort_handle();
        Self { port, network, accepting }
    }

    /// Returns the port on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Changes the network, for open connections too.
    pub(super) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

impl Drop for CacheProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, upstream: String, network: watch::Sender<Network>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                drop(connections.spawn(serve(client, upstream.clone(), network.subscribe())));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until its end, or until the network goes down.
async fn serve(mut client: TcpStream, upstream: String, network: watch::Receiver<Network>) {
    let mut down = network.clone();
    tokio::select! {
        _ = pass(&mut client, &upstream, &network) => {}
        _ = down.wait_for(|network| *network == Network::Down) => client.set_zero_linger().unwrap(),
    }
}

async fn pass(
    client: &mut TcpStream,
    upstream: &str,
    network: &watch::Receiver<Network>,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        passed = pass_one_way(from_client, to_server, network.clone(), false) => passed,
        passed = pass_one_way(from_server, to_client, network.clone(), true) => passed,
    }
}

async fn pass_one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut network: watch::Receiver<Network>,
    are_answers: bool,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        let now = *network.wait_for(|network| *network != Network::BlackHole).await.unwrap();
        if let (Network::Slow(time), true) = (now, are_answers) {
            tokio::time::sleep(time).await;
        }
        to.write_all(&bytes[..read]).await?;
    }
}
