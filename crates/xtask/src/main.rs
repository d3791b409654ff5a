//! `cargo xtask`: the commands of this repository. Each command's work lives in the library.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks on the terminal")]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::{
    bench::{self, BenchOptions, Measurement},
    faults::{self, FaultsOptions},
    fuzz::{self, FuzzOptions},
    stack::{self, Paths, Purpose},
    test::{self, TestOptions},
};

/// The commands of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything once, from nothing to a file and an e-mail, on this machine
    Demo,
    /// All tests, with the stack around them
    Test {
        /// Only what needs no server
        #[arg(long)]
        unit: bool,
        /// More arguments for `cargo test`, after `--`
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Everything that can be said about the code without running it
    Lint,
    /// Arbitrary input for what reads and writes, until the time is up or something breaks
    Fuzz {
        /// One of the files in fuzz/fuzz_targets, without its .rs; all of them otherwise
        target: Option<String>,
        /// How long each target is run
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
    /// What an export costs, beside other people's programs and beside itself; all of it unless something is named
    Bench {
        #[command(subcommand)]
        measurement: Option<Measurement>,
        #[command(flatten)]
        options: BenchOptions,
    },
    /// Every fault, injected into an export on real parts, and what came of it
    Faults(FaultsOptions),
    /// The zip for Lambda: the worker, optimised, and the definitions in exports/
    Package,
    /// MySQL and local AWS, for the tests and the demo
    #[command(subcommand)]
    Stack(Stack),
}

#[derive(Subcommand)]
enum Stack {
    /// Install what is missing and start what is not running
    Up,
    /// Stop what `up` started
    Down {
        /// Also delete the databases, the state and the logs (installed programs stay)
        #[arg(long)]
        purge: bool,
    },
    /// Say what is running; exits with 0 only when everything is healthy
    Status,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all is well; an error is trouble of our own.
fn run(command: Command) -> Result<bool> {
    match command {
        Command::Demo => xtask::demo::run().map(|()| true),
        Command::Test { unit, args } => test::run(TestOptions { unit, args: &args }),
        Command::Lint => xtask::lint::run(),
        Command::Fuzz { target, seconds } => fuzz::run(FuzzOptions { target: target.as_deref(), seconds }),
        Command::Bench { measurement, options } => bench::run(measurement, &options),
        Command::Faults(options) => faults::run(&options),
        Command::Package => xtask::release::run().map(|()| true),
        Command::Stack(command) => run_stack(&command),
    }
}

fn run_stack(command: &Stack) -> Result<bool> {
    let paths = Paths::of_workspace();
    match command {
        Stack::Up => {
            stack::up(&paths, Purpose::Tests)?;
            print!("{}", stack::status(&paths)?);
            println!("\nTo use it from a shell:  . {}", paths.env_file().display());
        }
        Stack::Down { purge: false } => stack::down(&paths)?,
        Stack::Down { purge: true } => stack::purge(&paths)?,
        Stack::Status => {
            let status = stack::status(&paths)?;
            print!("{status}");
            return Ok(status.all_healthy());
        }
    }
    Ok(true)
}
