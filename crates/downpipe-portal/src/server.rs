//! Serves the portal until it is told to stop.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::Extensions;
use downpipe_core::source::CancellationToken;
use tokio::net::TcpListener;

use crate::portal::{Portal, Ports};
use crate::router::router;

/// How long requests under way have to end after the portal was told to stop.
const GRACE: Duration = Duration::from_secs(4);

/// Notes from where a request came that arrived on no socket. Without it the download log has no address for the request.
pub fn came_from(request: &mut Extensions, address: IpAddr) {
    request.insert(ConnectInfo(SocketAddr::new(address, 0)));
}

/// Serves the portal on a socket until `stop` is cancelled, and then the requests under way for at most four seconds.
///
/// # Errors
/// When the socket cannot be served.
pub async fn serve<P: Ports>(
    portal: Portal<P>,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "the portal listens");
    let service = router(Arc::new(portal)).into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let grace_over = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = served.into_future() => result,
        () = grace_over => Ok(()),
    }
}
