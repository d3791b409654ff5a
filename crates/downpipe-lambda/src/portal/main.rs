//! The portal's `bootstrap`: reads the configuration, then answers the requests of the function's URL.

mod peer;

use std::process::ExitCode;
use std::sync::Arc;

use downpipe_app::logging;
use downpipe_core::error_chain::error_chain;
use downpipe_portal::config::PortalConfig;
use downpipe_portal::router::router;
use downpipe_portal::services;
use lambda_http::{Request, Service as _, service_fn};

type Error = Box<dyn std::error::Error + Send + Sync>;

// One thread, because Lambda sends a process one request at a time.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    logging::init(std::io::stdout);
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = error_chain(error.as_ref()), "the portal cannot start");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let config = PortalConfig::from_env()?;
    let aws = downpipe_aws::load_config().await;
    let portal = services::build(&config, &aws).await?;
    let routes = router(Arc::new(portal));
    lambda_http::run(service_fn(move |mut request: Request| {
        peer::note(&mut request);
        let mut routes = routes.clone();
        async move { routes.call(request).await }
    }))
    .await
}
