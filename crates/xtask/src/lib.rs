//! The project's own commands, as a library: what `cargo xtask` does, tests can do too.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool says on the terminal what it is doing"
)]

pub mod aws_cli;
pub mod bench;
mod cargo;
pub mod demo;
pub mod deploy;
mod document;
pub mod faults;
pub mod fuzz;
pub mod lint;
mod number;
mod prepare;
pub mod release;
pub mod sample;
pub mod stack;
pub mod test;
pub mod workspace;
