//! `cargo xtask`: the commands of this repository. Each command's work lives in the library.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks on the terminal")]

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, Parser, Subcommand};
use xtask::{
    bench::{self, BenchOptions, Measurement},
    browser::{self, BrowserOptions},
    demo::{self, DemoOptions},
    enforce::{self, EnforceOptions},
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
    /// Show one export on this machine, from the request to the file and the e-mail
    Demo(DemoOptions),
    /// Run all tests, on the local stack
    Test {
        /// Only tests that need no server
        #[arg(long)]
        unit: bool,
        /// More arguments for `cargo test`, after `--`
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Run every static check
    Lint,
    /// Fuzz readers and writers until the time is up or a target fails
    Fuzz {
        /// A file in fuzz/fuzz_targets, without its .rs [default: all]
        target: Option<String>,
        /// Seconds for each target
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
    /// Measure what an export costs, beside other programs [default: every measurement]
    Bench {
        #[command(subcommand)]
        measurement: Option<Measurement>,
        #[command(flatten)]
        options: BenchOptions,
    },
    /// Inject every fault into exports on real parts, and print the outcomes
    Faults(FaultsOptions),
    /// Run the worker under its role where AWS asks for every permission, and without each of them
    Enforce(EnforceOptions),
    /// Test the portal in Chromium, on the local stack
    Browser(BrowserOptions),
    /// Build the zips for Lambda: worker and portal, optimised, each with the definitions in exports/
    Package,
    /// Start and stop MySQL and local AWS, for the tests and the demo
    #[command(subcommand)]
    Stack(Stack),
}

#[derive(Subcommand)]
enum Stack {
    /// Install missing parts, and start those that do not run
    Up,
    /// Stop the parts that `up` started
    Down {
        /// Also delete the databases, the state and the logs (installed programs stay)
        #[arg(long)]
        purge: bool,
    },
    /// Print the state of each part; exits with 0 only when all are healthy
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

/// Returns whether the command succeeded. An error means that it could not run.
fn run(command: Command) -> Result<bool> {
    match command {
        Command::Demo(options) => demo::run(&options).map(|()| true),
        Command::Test { unit, args } => test::run(TestOptions { unit, args: &args }),
        Command::Lint => xtask::lint::run(&Cli::command()),
        Command::Fuzz { target, seconds } => fuzz::run(FuzzOptions { target: target.as_deref(), seconds }),
        Command::Bench { measurement, options } => bench::run(measurement, &options),
        Command::Faults(options) => faults::run(&options),
        Command::Enforce(options) => enforce::run(&options),
        Command::Browser(options) => browser::run(&options),
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

#[cfg(test)]
mod tests {
    use xtask::lint::documents::{Documents, Fault, Grammar};
    use xtask::workspace;

    use super::*;

    #[test]
    fn documents_of_the_repository_have_no_broken_links_paths_or_commands() {
        let documents = Documents::read(workspace::root()).unwrap();
        let mut faults = documents.broken();
        faults.extend(documents.wrong_commands("cargo xtask", &Grammar::of_clap(&Cli::command())));
        assert_eq!(faults.iter().map(Fault::to_string).collect::<Vec<_>>(), [""; 0]);
    }
}
