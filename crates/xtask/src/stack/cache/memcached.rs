//! Debian's Memcached.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::stack::{apt, health, install, part::Part, paths::Paths, step::Steps};

const PROGRAM: &str = "memcached";

/// A Memcached of the stack.
pub(in crate::stack) struct Memcached;

impl Part for Memcached {
    fn name(&self) -> &'static str {
        PROGRAM
    }

    fn install(&self, paths: &Paths, steps: &Steps) -> Result<()> {
        if install::find_program(PROGRAM).is_none() && !apt::install(paths, steps, PROGRAM, &[PROGRAM])? {
            bail!("{PROGRAM} is not installed: sudo apt-get install {PROGRAM}");
        }
        Ok(())
    }

    fn command(&self, _paths: &Paths, port: u16) -> Result<Command> {
        let program = install::find_program(PROGRAM).context("memcached is not installed")?;
        let mut command = Command::new(program);
        command.args(["--listen=127.0.0.1", "--udp-port=0", "--memory-limit=64"]);
        command.arg(format!("--port={port}"));
        if rustix::process::geteuid().is_root() {
            // It refuses to run as root.
            command.arg("--user=nobody");
        }
        Ok(command)
    }

    fn check(&self, address: &str) -> Result<()> {
        health::memcached_version(address).map(drop)
    }
}
