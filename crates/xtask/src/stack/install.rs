//! Small helpers for installers: run a program with its output in a log, write and remove files whole.

use std::{
    env, fs,
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::log;

/// Finds a program as a shell would, and in the administrator's folders, which are not on every `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).map(|dir| dir.join(name)).find(
        |file| file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0),
    )
}

/// Runs a program to its end; when it fails, the error shows the end of its log.
pub(super) fn run(command: &mut Command, log: &Path) -> Result<()> {
    let (stdout, stderr) = log::fresh(log)?;
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        bail!("{program} failed ({status}); {}", log::tail(log));
    }
    Ok(())
}

/// Writes a file so that a reader sees the old content or the new, never half of it.
pub(super) fn write_whole(path: &Path, content: &str, mode: u32) -> Result<()> {
    let write = || -> std::io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        // An earlier run's leftover would keep its own mode.
        let _ = fs::remove_file(&partial);
        let mut file = fs::File::options().create_new(true).write(true).mode(mode).open(&partial)?;
        file.write_all(content.as_bytes())?;
        fs::rename(&partial, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file; one that is not there is fine.
pub(super) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != ErrorKind::NotFound => {
            Err(err).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Removes a folder with all it holds; one that is not there is fine.
pub(super) fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(err) if err.kind() != ErrorKind::NotFound => {
            Err(err).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Makes an empty folder, whatever was there before.
pub(super) fn empty_dir(path: &Path) -> Result<()> {
    remove_dir(path)?;
    fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_that_fails_shows_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("sh.log");
        let err = run(Command::new("sh").args(["-c", "echo no such luck; exit 3"]), &log).unwrap_err();
        assert!(format!("{err:#}").contains("no such luck"), "{err:#}");
    }

    #[test]
    fn files_are_written_whole_with_their_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/env");
        write_whole(&path, "one", 0o600).unwrap();
        write_whole(&path, "two", 0o600).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn missing_file_counts_as_removed() {
        let dir = tempfile::tempdir().unwrap();
        remove_file(&dir.path().join("none")).unwrap();
        remove_dir(&dir.path().join("none")).unwrap();
    }
}
