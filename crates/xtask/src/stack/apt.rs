//! Debian's packages, for what cannot be put into a folder of our own.

use std::{process::Command, sync::Mutex};

use anyhow::Result;

use super::{install, paths::Paths, step::Steps};

/// Installs packages, if this is root on a machine that has apt. Says whether it did; elsewhere the person must.
pub(crate) fn install(paths: &Paths, steps: &Steps, part: &str, packages: &[&str]) -> Result<bool> {
    /// apt refuses to run twice at once, and several parts may need it.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    let Some(apt) = install::find_program("apt-get").filter(|_| rustix::process::geteuid().is_root()) else {
        return Ok(false);
    };
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    steps.say(part, &format!("installs Debian's {}", packages.join(" ")));
    let log = paths.log("apt");
    install::run(Command::new(&apt).args(["update", "--quiet"]), &log)?;
    install::run(
        Command::new(&apt)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--quiet", "--yes", "--no-install-recommends"])
            .args(packages),
        &log,
    )?;
    Ok(true)
}
