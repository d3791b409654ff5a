//! `downpipe worker`: handles the queue's messages in a process of its own.

use downpipe_app::config::WorkerConfig;
use downpipe_app::poll::{self, Polling};
use downpipe_app::{logging, services};

use crate::args::WorkerArgs;
use crate::error::CliError;
use crate::output::print_json;

pub(crate) async fn worker(args: WorkerArgs, json: bool) -> Result<(), CliError> {
    let config = WorkerConfig::from_env()?;
    logging::init(std::io::stderr);
    let stop = super::cancelled_by_signals()?;
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
