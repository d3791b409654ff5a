//! Other programs: their installation and their commands.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::lab::Lab;
use crate::{stack, workspace};

/// Returns a script of `bench/peers`.
pub(super) fn script(lab: &Lab, python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    lab.env.apply_to(&mut command);
    command.arg("-B").arg(workspace::path("bench/peers").join(name));
    command
}

/// Returns the Python that has the libraries of all programs. The installation is tried once.
pub(super) fn interpreter(lab: &Lab) -> Result<PathBuf> {
    let requirements = include_str!("../../../../bench/peers/requirements.txt");
    let python = lab.python.get_or_init(|| {
        let folder = lab.folder.join("peers");
        match stack::ensure_venv(&folder, &lab.paths, &lab.steps, "peers", requirements) {
            Ok(()) => Some(folder.join("bin/python")),
            Err(error) => {
                lab.steps.say("peers", &format!("{error:#}"));
                None
            }
        }
    });
    python.clone().context("not installed: its Python packages are not to be had")
}

/// Returns a program of Debian. Installs it when it is missing and this process may.
pub(super) fn debian(lab: &Lab, program: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = stack::find_program(program) {
        return Ok(path);
    }
    let installed = stack::install_packages(&lab.paths, &lab.steps, "peers", &[package]);
    if let Err(error) = &installed {
        lab.steps.say("peers", &format!("{error:#}"));
    }
    let path = stack::find_program(program);
    path.with_context(|| format!("not installed: sudo apt-get install --no-install-recommends {package}"))
}

/// Returns a command whose output goes to a file. A shell redirects it, and then becomes the program.
pub(super) fn into_file(command: &Command, out: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "out=$0; exec \"$@\" > \"$out\""]).arg(out);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}
