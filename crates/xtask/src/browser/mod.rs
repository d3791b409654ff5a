//! `cargo xtask browser`: the portal in Chromium, on real parts.
//!
//! What the tests do stands in `tests/browser/`. This prepares what they stand on: a database, a bucket, a queue and a topic of
//! their own, Chromium, and the library that drives it.

mod install;
mod resources;

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use clap::Args;

use self::resources::Resources;
use crate::{
    cargo::{self, PROGRAMS},
    prepare::{stack_and_build, with_stack},
    stack::{Paths, Purpose, StackEnv, Steps},
    workspace,
};

/// The folder of the tests.
const TESTS: &str = "tests/browser";

/// Which tests are run.
#[derive(Args, Clone, Debug)]
pub struct BrowserOptions {
    /// Only tests whose name matches this regular expression
    filter: Option<String>,
}

/// Runs the tests and returns whether all passed. Stops the stack again if it was started for this.
///
/// # Errors
/// When what the tests need cannot be installed, built or made.
pub fn run(options: &BrowserOptions) -> Result<bool> {
    with_stack(|paths| on_stack(paths, options))
}

fn on_stack(paths: &Paths, options: &BrowserOptions) -> Result<bool> {
    let programs = [&PROGRAMS[..], &["--bins"]].concat();
    let (env, built) = match StackEnv::load(paths) {
        // Other processes may use the stack, so it keeps running.
        Ok(env) => (env, cargo::build(&programs, &Steps::start())?),
        Err(_) => stack_and_build(paths, Purpose::Demo, &programs)?,
    };
    let installed = install::ensure(paths, &Steps::start())?;
    let resources = Resources::make(&env)?;
    let logs = cargo::target_dir()?.join("browser/logs");
    fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
    let mut command = Command::new("node");
    env.apply_to(&mut command).arg("--test-reporter=spec");
    if let Some(filter) = &options.filter {
        command.arg("--test-name-pattern").arg(filter);
    }
    command.arg(workspace::path(TESTS).join("run.mjs")).envs(resources.variables());
    command.env("DOWNPIPE_CATALOG", workspace::path(TESTS).join("exports"));
    set_paths(&mut command, built.path("downpipe")?, &logs, &installed);
    let status = command.status().context("cannot run node")?;
    resources.delete()?;
    Ok(status.success())
}

/// Tells the tests where things are.
fn set_paths(command: &mut Command, program: &Path, logs: &Path, installed: &install::Installed) {
    let shop = workspace::path("examples/shop/shop.py");
    command
        .env("DOWNPIPE_PROGRAM", program)
        .env("DOWNPIPE_BROWSER_LOGS", logs)
        .env("DOWNPIPE_CHROMIUM", &installed.chromium)
        .env("DOWNPIPE_NODE_MODULES", &installed.node_modules)
        .env("DOWNPIPE_PYTHON", "python3")
        .env("DOWNPIPE_SHOP", shop);
}
