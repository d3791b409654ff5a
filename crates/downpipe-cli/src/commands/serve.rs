//! `downpipe serve`: serves the portal in a process of its own.

use std::net::SocketAddr;

use downpipe_app::logging;
use downpipe_portal::config::PortalConfig;
use downpipe_portal::{server, services};
use tokio::net::TcpListener;

use crate::error::CliError;

pub(crate) async fn serve(listen: SocketAddr) -> Result<(), CliError> {
    let config = PortalConfig::from_env()?;
    logging::init(std::io::stderr);
    let stop = super::cancelled_by_signals()?;
    let aws = downpipe_aws::load_config().await;
    let portal = services::build(&config, &aws).await.map_err(CliError::failed)?;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        CliError::Failed(format!("--listen {listen}: the address cannot be listened on: {error}").into())
    })?;
    server::serve(portal, listener, stop).await.map_err(CliError::failed)
}
