//! `downpipe worker`: the handler as a process of its own.

use downpipe_core::source::Stop;
use downpipe_worker::config::WorkerConfig;
use downpipe_worker::poll::{self, Polling};
use downpipe_worker::{logging, services};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::WorkerArgs;
use crate::error::CliError;
use crate::output::print_json;

pub(crate) async fn worker(args: WorkerArgs, json: bool) -> Result<(), CliError> {
    let config = WorkerConfig::from_env()?;
    logging::init(std::io::stderr);
    let (stopper, stop) = Stop::new();
    let mut terminated = signal(SignalKind::terminate()).map_err(CliError::failed)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        stopper.stop();
        // Whoever waits for the wish must not find that nobody can wish it any more.
        std::future::pending::<()>().await;
    });
    let aws = downpipe_aws::load_config().await;
    let mut worker = services::build(&config, &aws).await.map_err(CliError::failed)?;
    worker.lease = args.lease;
    let polling = Polling {
        concurrency: args.concurrency.into(),
        run: args.run_seconds,
        grace: args.grace,
        until_empty: args.until_empty,
    };
    let polled = poll::run(worker, &polling, stop).await.map_err(CliError::failed)?;
    if json {
        print_json(&serde_json::json!({ "done": polled.done, "returned": polled.returned }))?;
    }
    Ok(())
}
