//! Starts processes that outlive this command, and stops exactly those again.
//!
//! A pid alone is not an identity: the system hands it out again. A pid together with the time its process
//! started is. Every process leads its own process group, which its children (Lambda bootstraps, say) belong
//! to.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

use super::log;

/// The variable that every process of a stack carries and its children inherit; its value is the stack's
/// folder.
pub(super) const MARKER: &str = "DOWNPIPE_STACK_DIR";

const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// A process that is not mistaken for a later one of the same pid.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Identity {
    pub(super) pid: i32,
    /// Field 22 of `/proc/PID/stat`: clock ticks between the system's start and the process's.
    pub(super) started: u64,
}

impl Identity {
    pub(super) fn of(pid: i32) -> Option<Self> {
        Stat::read(pid).map(|stat| Self { pid, started: stat.started })
    }

    /// Returns whether this very process still runs. A zombie does not: it only waits to be counted.
    pub(super) fn is_alive(&self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.started == self.started && stat.running)
    }
}

/// Starts `command` in a process group of its own, with its output in a fresh log.
pub(super) fn start(mut command: Command, stack: &Path, log: &Path) -> Result<(Child, Identity)> {
    let (stdout, stderr) = log::fresh(log)?;
    command.env(MARKER, stack).process_group(0).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    let identity = i32::try_from(child.id()).ok().and_then(Identity::of);
    let identity = identity.ok_or_else(|| anyhow!("{program} ended at once; {}", log::tail(log)))?;
    Ok((child, identity))
}

/// Asks the process and its group to stop, and makes them when they do not. Returns whether anything had to
/// stop.
pub(super) fn stop(process: &Identity, stack: &Path) -> Result<bool> {
    let deadline = Instant::now() + STOP_TIMEOUT;
    let mut remaining = members(process, stack);
    if remaining.is_empty() {
        return Ok(false);
    }
    signal(process, &remaining, Signal::TERM)?;
    while process.is_alive() && Instant::now() < deadline {
        thread::sleep(POLL);
    }
    // Children get no time of their own: their parent has had the time to end them.
    remaining = members(process, stack);
    while !remaining.is_empty() {
        signal(process, &remaining, Signal::KILL)?;
        thread::sleep(POLL);
        remaining = members(process, stack);
        if Instant::now() > deadline + STOP_TIMEOUT {
            return Err(anyhow!("the processes {remaining:?} do not end, even when killed"));
        }
    }
    Ok(true)
}

/// Returns the running processes of the group that `leader` leads or led.
///
/// A process group keeps its number from being given to a new process. So while the leader lives the whole
/// group is ours; when another process has the leader's pid, nothing of the group is left. When no process has
/// it, the marker in the environment tells our orphans from those of a later group with the same number.
fn members(leader: &Identity, stack: &Path) -> Vec<i32> {
    match Stat::read(leader.pid) {
        Some(stat) if stat.started == leader.started => group(leader.pid),
        Some(_) => Vec::new(),
        None => group(leader.pid).into_iter().filter(|&pid| is_marked(pid, stack)).collect(),
    }
}

fn group(id: i32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| Stat::read(pid).is_some_and(|stat| stat.group == id && stat.running))
        .collect()
}

fn is_marked(pid: i32, stack: &Path) -> bool {
    let mark = format!("{MARKER}={}", stack.display());
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes()))
}

fn signal(leader: &Identity, members: &[i32], signal: Signal) -> Result<()> {
    let sent = |result: rustix::io::Result<()>| match result {
        // Gone in the meantime, which is what was wanted.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(err) => Err(err).with_context(|| format!("cannot send {signal:?} to process {}", leader.pid)),
    };
    if leader.is_alive() {
        return Pid::from_raw(leader.pid).map_or(Ok(()), |pid| sent(kill_process_group(pid, signal)));
    }
    members.iter().filter_map(|&pid| Pid::from_raw(pid)).try_for_each(|pid| sent(kill_process(pid, signal)))
}

/// The few fields of `/proc/PID/stat` that matter here.
struct Stat {
    running: bool,
    group: i32,
    started: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(line: &str) -> Option<Self> {
        // The command's name, in parentheses, may itself hold spaces and parentheses: count from the last
        // one.
        let (_, fields) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // A server whose main thread has ended may have others that still hold its port and files.
        let threads: u32 = fields.get(17)?.parse().ok()?;
        Some(Self {
            running: !matches!(*fields.first()?, "Z" | "X") || threads > 1,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(dir: &Path) -> (Child, Identity) {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & sleep 60"]);
        start(command, dir, &dir.join("sleep.log")).unwrap()
    }

    #[test]
    fn stat_with_an_odd_command_name_is_read() {
        let line = "42 (a) S (b)) R 1 40 40 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 123456 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.running, stat.group, stat.started), (true, 40, 123_456));
        let zombie = line.replace(" R ", " Z ");
        assert!(!Stat::parse(&zombie).unwrap().running);
        assert!(Stat::parse(&zombie.replace(" 20 0 1 0 ", " 20 0 2 0 ")).unwrap().running);
        assert!(Stat::parse("").is_none());
    }

    #[test]
    fn process_and_its_children_stop() {
        let dir = tempfile::tempdir().unwrap();
        let (mut child, identity) = sleeper(dir.path());
        assert!(identity.is_alive());
        assert!(stop(&identity, dir.path()).unwrap());
        assert!(!identity.is_alive() && group(identity.pid).is_empty());
        assert!(!stop(&identity, dir.path()).unwrap());
        child.wait().unwrap();
    }

    #[test]
    fn process_with_a_reused_pid_keeps_running() {
        let dir = tempfile::tempdir().unwrap();
        let (mut child, identity) = sleeper(dir.path());
        let earlier = Identity { started: identity.started - 1, ..identity.clone() };
        assert!(!earlier.is_alive());
        assert!(!stop(&earlier, dir.path()).unwrap());
        assert!(identity.is_alive());
        stop(&identity, dir.path()).unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn orphans_of_a_killed_leader_stop_only_with_our_mark() {
        let dir = tempfile::tempdir().unwrap();
        let (mut child, identity) = sleeper(dir.path());
        while group(identity.pid).len() < 3 {
            thread::sleep(POLL);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!stop(&identity, Path::new("/another/stack")).unwrap());
        assert!(stop(&identity, dir.path()).unwrap());
        assert!(group(identity.pid).is_empty());
    }
}
