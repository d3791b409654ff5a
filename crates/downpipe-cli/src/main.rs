//! `downpipe`: exports from a shell, and commands on the queue and the ledger.
//!
//! Data goes to standard output, everything else to standard error. Exit status: 0 done, 1 failed, 2 wrong usage.

#![expect(clippy::print_stderr, reason = "a command-line tool talks on the terminal")]

mod args;
mod commands;
mod error;
mod local_store;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser as _;
use downpipe_core::untrusted_text::escaped_lines;

use crate::args::{Cli, Command};

// One thread for all connections, so that a packet wakes no other thread. Compressing, hashing and files are blocking work and have
// threads of their own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { json, command } = Cli::parse();
    let result = match command {
        Command::Run(args) => commands::run::run(args, json).await,
        Command::Send(args) => commands::send::send(args, json).await,
        Command::Worker(args) => commands::worker::worker(args, json).await,
        Command::Serve { listen } => commands::serve::serve(listen).await,
        Command::Status { id } => commands::jobs::status(&id, json).await,
        Command::Cancel { id } => commands::cancel::cancel(&id, json).await,
        Command::Retry { id } => commands::again::retry(&id, json).await,
        Command::Delete { id } => commands::again::delete(&id, json).await,
        Command::Sweep { dry_run } => commands::sweep::sweep(dry_run, json).await,
        Command::Redrive { dry_run } => commands::redrive::redrive(dry_run, json).await,
        Command::List(args) => commands::jobs::list(&args, json).await,
        Command::Check(args) => commands::check::check(args, json).await,
        Command::Migrate => commands::migrate::migrate().await,
        Command::Subscribe { email, requester } => {
            commands::subscribe::subscribe(&email, requester.as_ref()).await
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("downpipe: {}", escaped_lines(&error.to_string()));
            error.exit_code()
        }
    }
}
