//! Log files of parts and installers.

use std::{
    fs::{self, File},
    io,
    path::Path,
    process::Stdio,
};

use anyhow::{Context, Result};

const TAIL_LINES: usize = 20;

/// Starts a fresh log, keeping the previous one beside it, and returns it as stdout and stderr for a process.
///
/// A fresh file means that what the log says is about this start, not about an earlier one.
pub(super) fn fresh(path: &Path) -> Result<(Stdio, Stdio)> {
    let open = || -> io::Result<(Stdio, Stdio)> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        if path.exists() {
            fs::rename(path, path.with_extension("previous.log"))?;
        }
        let file = File::options().create(true).append(true).open(path)?;
        Ok((file.try_clone()?.into(), file.into()))
    };
    open().with_context(|| format!("cannot write the log {}", path.display()))
}

/// Returns the whole log, or what of it can be read.
pub(super) fn text(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Returns the end of a log with its path, for an error message.
pub(super) fn tail(path: &Path) -> String {
    let text = text(path);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let mut message = format!("the end of {}:", path.display());
    for line in last {
        message.push_str("\n    ");
        message.push_str(line);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_is_the_last_twenty_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part.log");
        fs::write(&path, (1..=30).map(|n| format!("line {n}\n")).collect::<String>()).unwrap();
        let tail = tail(&path);
        assert_eq!(tail.lines().count(), 1 + TAIL_LINES);
        assert!(tail.contains("line 11\n") && tail.ends_with("line 30"));
        assert!(!tail.contains("line 10\n"));
    }

    #[test]
    fn fresh_keeps_the_previous_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part.log");
        fs::write(&path, "old").unwrap();
        fresh(&path).unwrap();
        assert_eq!(text(&path), "");
        assert_eq!(text(&dir.path().join("part.previous.log")), "old");
    }
}
