//! The project's own commands, as a library that tests use, too.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks on the terminal")]

pub mod aws_cli;
pub mod bench;
pub mod browser;
mod cargo;
pub mod demo;
pub mod deploy;
pub mod document;
pub mod enforce;
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
