//! Time and memory of a whole process.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::cargo;

/// Time and memory of a process and its children.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Usage {
    pub(super) wall_seconds: f64,
    pub(super) user_seconds: f64,
    pub(super) system_seconds: f64,
    /// The most memory that one of them held at once.
    pub(super) peak_kib: u64,
}

impl Usage {
    pub(super) fn cpu_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}

/// Runs a command to its end through `measure`, the program of that name that the build made, and returns what it took. Its
/// output goes to `log`.
///
/// # Errors
/// When it cannot be run or fails; the error names the log.
pub(super) fn run(measure: &Path, command: &Command, log: &Path) -> Result<Usage> {
    let answer = log.with_extension("json");
    let mut measured = Command::new(measure);
    measured.arg(&answer).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => measured.env(name, value),
            None => measured.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        measured.current_dir(dir);
    }
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    measured.stdout(output.try_clone()?).stderr(output);
    let status = measured.status().with_context(|| format!("cannot run {}", measure.display()))?;
    let program =
        Path::new(command.get_program()).file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    ensure!(status.success(), "{program} failed; what it said is in {}", log.display());
    let json = fs::read_to_string(&answer).with_context(|| format!("cannot read {}", answer.display()))?;
    serde_json::from_str(&json).context("measure gave no answer")
}

/// Returns the CPU time that a running process has taken so far, in seconds.
pub(super) fn cpu_seconds_of(pid: i32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("there is no process {pid}"))?;
    // Fields 14 and 15, in ticks; the name in front may have anything in it, and ends with the last parenthesis.
    let fields = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().skip(11))
        .context("no /proc/PID/stat")?;
    let ticks: u64 = fields.take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Builds the programs that are run beside Downpipe, or one of them, in their own workspace, and gives their folder.
pub(super) fn build_tools(only: Option<&str>) -> Result<std::path::PathBuf> {
    let target = cargo::target_dir()?.join("bench");
    let mut command = cargo::command();
    command.args(["build", "--quiet", "--release", "--manifest-path", "bench/Cargo.toml", "--target-dir"]);
    command.arg(&target);
    match only {
        Some(program) => command.args(["--bin", program]),
        None => command.arg("--bins"),
    };
    ensure!(command.status()?.success(), "the programs of bench/ cannot be built");
    Ok(target.join("release"))
}
