//! Servers that end with the test that holds them.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};

use super::{log, part};

/// Runs the server until standard input ends. Otherwise a test that is killed would leave its server running.
const UNTIL_INPUT_ENDS: &str = r#""$@" <&- & server=$!; read -r _; kill -9 "$server"; wait "$server""#;

/// Runs the server and its children until standard input ends.
const GROUP_UNTIL_INPUT_ENDS: &str =
    r#"setsid "$@" <&- & server=$!; read -r _; kill -9 "-$server"; wait "$server""#;

/// Starts a server that has children of its own, with its environment and folder. All of them end when the child's standard input is
/// closed.
pub(super) fn spawn_with_children(server: Command, log: &Path) -> Result<Child> {
    let (stdout, stderr) = log::fresh(log)?;
    let server = part::with_small_environment(server);
    let mut shell = Command::new("sh");
    shell.args(["-c", GROUP_UNTIL_INPUT_ENDS, "sh"]).arg(server.get_program()).args(server.get_args());
    shell.env_clear().envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = server.get_current_dir() {
        shell.current_dir(folder);
    }
    shell.stdin(Stdio::piped()).stdout(stdout).stderr(stderr);
    shell.spawn().context("cannot start a private server")
}

/// Starts a server, which ends when the child's standard input is closed.
pub(super) fn spawn(server: Command, log: &Path) -> Result<Child> {
    let (stdout, stderr) = log::fresh(log)?;
    let mut shell = Command::new("sh");
    shell.args(["-c", UNTIL_INPUT_ENDS, "sh"]).arg(server.get_program()).args(server.get_args());
    shell.stdin(Stdio::piped()).stdout(stdout).stderr(stderr);
    shell.spawn().context("cannot start a private server")
}

/// Ends a server.
pub(super) fn end(child: &mut Child) {
    // The shell around the server waits for this.
    drop(child.stdin.take());
    drop(child.wait());
}

/// Returns a name for the server's folder and log that no other process uses.
pub(super) fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::{fs, thread, time::Duration};

    use super::*;

    /// Returns whether a process runs; a child of a dead process may stay for a moment without running.
    fn runs(pid: &str) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with('Z'))
    }

    #[test]
    fn server_ends_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut server = Command::new("sh");
        server.args(["-c", "sleep 60 & echo $$ $!; wait"]);
        let mut child = spawn_with_children(server, &log).unwrap();
        let pids = loop {
            let text = log::text(&log);
            if let Some((pids, _)) = text.split_once('\n') {
                break pids.split(' ').map(str::to_owned).collect::<Vec<_>>();
            }
            thread::sleep(Duration::from_millis(10));
        };
        assert!(pids.len() == 2 && pids.iter().all(|pid| runs(pid)), "{pids:?}");
        end(&mut child);
        assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
    }
}
