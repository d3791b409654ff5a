//! Cargo, run by this program.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{stack::Steps, workspace};

/// Selects the programs of a deployment for a build. This program is among them because its manifest asks for the features that all
/// builds have in common. It is built already.
pub(crate) const PROGRAMS: [&str; 6] = ["-p", "downpipe-lambda", "-p", "downpipe-cli", "-p", "xtask"];

const HEARTBEAT: Duration = Duration::from_secs(20);

/// The programs that a build made, by name.
#[derive(Debug, Default)]
pub(crate) struct Executables(BTreeMap<String, PathBuf>);

impl Executables {
    pub(crate) fn path(&self, name: &str) -> Result<&Path> {
        let path = self.0.get(name).map(PathBuf::as_path);
        path.with_context(|| format!("the build made no program {name}"))
    }
}

/// What this program needs of cargo's messages, one a line.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Returns the cargo that runs this program, in the workspace's folder.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    // Variables that `cargo run` set for this program are wrong for the next build. Build scripts that read them would run again, and
    // all dependent crates be compiled again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs `cargo build` with these arguments. Reports progress now and then, and cargo's output when it fails.
pub(crate) fn build(args: &[&str], steps: &Steps) -> Result<Executables> {
    let mut child = command()
        .arg("build")
        .args(args)
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, mut stderr) = stdout.zip(stderr).context("cargo has no output")?;
    let (executables, complaints) = thread::scope(|scope| {
        let complaints = scope.spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let (sender, lines) = mpsc::channel();
        scope.spawn(move || {
            BufReader::new(stdout).lines().map_while(|l| l.ok()).try_for_each(|l| sender.send(l))
        });
        (follow(&lines, steps), complaints.join().unwrap_or_default())
    });
    let status = child.wait().context("cannot wait for cargo")?;
    if !status.success() {
        bail!("cargo build {} failed\n{}", args.join(" "), complaints.trim_end());
    }
    steps.say("cargo", "has built everything");
    Ok(executables)
}

/// Reads cargo's messages to their end, and reports progress now and then.
fn follow(lines: &mpsc::Receiver<String>, steps: &Steps) -> Executables {
    let mut executables = Executables::default();
    let mut crates = 0_u32;
    let mut next_beat = Instant::now() + HEARTBEAT;
    loop {
        match lines.recv_timeout(next_beat.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let Ok(message) = serde_json::from_str::<Message>(&line) else { continue };
                crates += u32::from(message.reason == "compiler-artifact");
                if let (Some(target), Some(executable)) = (message.target, message.executable) {
                    executables.0.insert(target.name, executable);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                steps.say("cargo", &format!("is still building; {crates} units are done"));
                next_beat += HEARTBEAT;
            }
            Err(RecvTimeoutError::Disconnected) => return executables,
        }
    }
}

/// Returns the folder that cargo builds into, which the person may have moved.
pub(crate) fn target_dir() -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let output = command()
        .args(["metadata", "--no-deps", "--format-version=1", "--quiet"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("cargo metadata gave no answer")?;
    Ok(metadata.target_directory)
}
