//! `bootstrap`, which Lambda starts: reads the configuration, then waits for messages.

mod event;
mod lambda;

use std::process::ExitCode;

use downpipe_app::config::WorkerConfig;
use downpipe_app::{logging, services};
use downpipe_core::error_chain::error_chain;

use self::lambda::Function;

type Error = Box<dyn std::error::Error + Send + Sync>;

// One thread for all connections, because Lambda gives hardly more than one core. Compressing and hashing are blocking work and have
// threads of their own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    logging::init(std::io::stdout);
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = error_chain(error.as_ref()), "the worker cannot start");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let config = WorkerConfig::from_env()?;
    let aws = downpipe_aws::load_config().await;
    let worker = services::build(&config, &aws).await?;
    lambda::run(&Function { worker, config, aws }).await
}
