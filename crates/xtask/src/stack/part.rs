//! What the parts of the stack have in common: installed, started, waited for, stopped.

use std::{
    env,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use super::{log, paths::Paths, port::Reservation, process, record::Record, step::Steps};

const TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// One server of the stack.
pub(super) trait Part: Sync {
    /// Short, lower case; it names files and appears in messages.
    fn name(&self) -> &'static str;

    /// Installs and prepares what is missing.
    fn install(&self, paths: &Paths, steps: &Steps) -> Result<()>;

    /// Returns the command that runs the server in the foreground, listening on 127.0.0.1:`port`. Its environment is empty but for what is set here.
    fn command(&self, paths: &Paths, port: u16) -> Result<Command>;

    /// Checks that a server at `address` answers as this part does.
    fn check(&self, address: &str) -> Result<()>;

    /// Returns whether the part that was just started has finished starting, once it answers. `log` is this start's log.
    fn has_started(&self, _log: &Path) -> bool {
        true
    }
}

/// Makes sure the part runs and is healthy, and returns its port.
pub(super) fn bring_up(part: &dyn Part, paths: &Paths, steps: &Steps) -> Result<u16> {
    let bring_up = || -> Result<u16> {
        let mut record = Record::load(paths, part.name())?;
        if let (Some(port), Some(process)) = (record.port, &record.process) {
            if process.is_alive() && part.check(&address(port)).is_ok() {
                steps.say(part.name(), "runs already");
                return Ok(port);
            }
            // Dead, or alive and not answering. Also its children, which would hold on to what the next one
            // needs.
            process::stop(process, paths.stack())?;
        }
        // Before the installation, so that the ports are taken at the same time and differ.
        let reservation = Reservation::new(record.port)?;
        part.install(paths, steps)?;
        start(part, paths, steps, reservation, &mut record)
    };
    bring_up().with_context(|| part.name())
}

/// Stops the part if it runs.
pub(super) fn take_down(part: &dyn Part, paths: &Paths, steps: &Steps) -> Result<()> {
    let mut record = Record::load(paths, part.name())?;
    let Some(process) = record.process.take() else { return Ok(()) };
    let stopped = process::stop(&process, paths.stack()).with_context(|| part.name())?;
    record.save(paths, part.name())?;
    if stopped {
        steps.say(part.name(), "stopped");
    }
    Ok(())
}

pub(super) fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn start(
    part: &dyn Part,
    paths: &Paths,
    steps: &Steps,
    reservation: Reservation,
    record: &mut Record,
) -> Result<u16> {
    let log = paths.log(part.name());
    let command = with_small_environment(part.command(paths, reservation.port())?);
    steps.say(part.name(), "starts");
    let port = reservation.release();
    let (mut child, identity) = process::start(command, paths.stack(), &log)?;
    // At once: a command that is interrupted while it waits must not lose sight of what it has started.
    record.port = Some(port);
    record.process = Some(identity.clone());
    record.save(paths, part.name())?;

    if let Err(err) = wait_until_healthy(part, &mut child, &address(port), &log) {
        process::stop(&identity, paths.stack())?;
        record.process = None;
        record.save(paths, part.name())?;
        bail!("{err:#}; {}", log::tail(&log));
    }
    steps.say(part.name(), &format!("is healthy on {}", address(port)));
    Ok(port)
}

fn wait_until_healthy(part: &dyn Part, child: &mut Child, address: &str, log: &Path) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(status) = child.try_wait().context("cannot look after the new process")? {
            return Err(anyhow!("ended while starting ({status})"));
        }
        match part.check(address) {
            Ok(()) if part.has_started(log) => return Ok(()),
            Err(err) if Instant::now() > deadline => {
                return Err(err.context(format!("not healthy after {} s", TIMEOUT.as_secs())));
            }
            Ok(()) if Instant::now() > deadline => {
                return Err(anyhow!("answers, but is not ready after {} s", TIMEOUT.as_secs()));
            }
            _ => thread::sleep(POLL),
        }
    }
}

/// Servers see nothing of the shell that happened to start them: its AWS profile, endpoint or database would
/// otherwise reach every Lambda function of the stack.
pub(super) fn with_small_environment(command: Command) -> Command {
    let mut small = Command::new(command.get_program());
    small.args(command.get_args()).env_clear();
    small.env("PATH", env::var_os("PATH").unwrap_or_default()).env("LANG", "C.UTF-8").env("TZ", "UTC");
    small.envs(command.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    if let Some(dir) = command.get_current_dir() {
        small.current_dir(dir);
    }
    small
}
