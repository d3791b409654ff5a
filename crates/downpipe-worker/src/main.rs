//! `bootstrap`: what Lambda starts. Reads the configuration, then waits for messages.

use std::process::ExitCode;

use downpipe_core::failure::chain;
use downpipe_worker::config::WorkerConfig;
use downpipe_worker::{lambda, logging, services};

type Error = Box<dyn std::error::Error + Send + Sync>;

// One thread for all connections: what comes over one of them wakes nobody else, and Lambda hardly gives us more than one core.
// Compressing and hashing are blocking work, and have threads of their own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    logging::init(std::io::stdout);
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(error.as_ref()), "the worker cannot start");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let config = WorkerConfig::from_env()?;
    let aws = downpipe_aws::load_config().await;
    let worker = services::build(&config, &aws).await?;
    lambda::run(&worker).await
}
