//! Python virtual environments with pinned requirements.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::{apt, install, paths::Paths, step::Steps};

/// The locked versions were chosen on Python 3.11; it is preferred where several are installed.
const PYTHONS: [&str; 2] = ["python3.11", "python3"];
/// Says that an environment is finished, and with which requirements. Written last.
const STAMP: &str = "requirements.installed";

/// Builds the environment of `name`, unless it is finished with these very requirements.
///
/// The scripts in an environment name its folder, so it is built where it stays; an interrupted build has no
/// stamp and is done again. The index and its settings are the user's own pip configuration.
pub(super) fn ensure(paths: &Paths, steps: &Steps, name: &str, requirements: &str) -> Result<()> {
    ensure_in(&paths.venv(name), paths, steps, name, requirements)
}

/// [`ensure`] for what is no part of the stack, and has a folder elsewhere.
pub(crate) fn ensure_in(
    dir: &Path,
    paths: &Paths,
    steps: &Steps,
    name: &str,
    requirements: &str,
) -> Result<()> {
    if is_finished(dir, requirements) {
        return Ok(());
    }
    let system_python = match find_python() {
        Err(_) if apt::install(paths, steps, name, &["python3", "python3-venv"])? => find_python()?,
        found => found?,
    };
    steps.say(name, "installs its Python packages");
    install::empty_dir(dir)?;
    let log = paths.log(&format!("{name}-install"));
    install::run(Command::new(system_python).args(["-m", "venv"]).arg(dir), &log)?;
    let list = dir.join("requirements.txt");
    install::write_whole(&list, requirements, 0o644)?;
    // The lists are complete; without `--no-deps` pip would spend its time on proving that.
    install::run(
        Command::new(dir.join("bin/python"))
            .args(["-m", "pip", "install", "--no-deps", "--no-input", "--disable-pip-version-check", "-r"])
            .arg(&list),
        &log,
    )?;
    install::write_whole(&dir.join(STAMP), requirements, 0o644)?;
    steps.say(name, "installed");
    Ok(())
}

/// Returns whether the environment was installed with these requirements. Its stamp holds the list itself. The interpreter is checked,
/// too, because it is a link to the system's Python, which may have been removed.
fn is_finished(dir: &Path, requirements: &str) -> bool {
    dir.join("bin/python").exists()
        && fs::read_to_string(dir.join(STAMP)).is_ok_and(|stamp| stamp == requirements)
}

fn find_python() -> Result<&'static str> {
    let mut found = None;
    for python in PYTHONS {
        // A name on the PATH may be a version manager's shim with nothing behind it: only running it tells.
        let runs = |code: &str| {
            Command::new(python).args(["-c", code]).output().is_ok_and(|output| output.status.success())
        };
        if runs("import sys; sys.exit(sys.version_info < (3, 10))") {
            if runs("import venv, ensurepip") {
                return Ok(python);
            }
            found = Some(python);
        }
    }
    match found {
        Some(python) => bail!("{python} cannot make virtual environments: sudo apt-get install python3-venv"),
        None => bail!("Python 3.10 or later is missing: sudo apt-get install python3 python3-venv"),
    }
}

/// Returns the interpreter of the environment.
pub(super) fn python(paths: &Paths, name: &str) -> Command {
    Command::new(paths.venv(name).join("bin/python"))
}

/// Returns the path of a program that the environment brought along.
pub(super) fn program(paths: &Paths, name: &str, program: &str) -> Result<String> {
    let path = paths.venv(name).join("bin").join(program);
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not valid UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_with_other_requirements_is_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(dir.path().join("bin/python"), "").unwrap();
        assert!(!is_finished(dir.path(), "a==1"));
        fs::write(dir.path().join(STAMP), "a==1").unwrap();
        assert!(is_finished(dir.path(), "a==1"));
        assert!(!is_finished(dir.path(), "a==2"));
        fs::remove_file(dir.path().join("bin/python")).unwrap();
        assert!(!is_finished(dir.path(), "a==1"));
    }

    #[test]
    fn requirements_are_pinned() {
        for list in [
            include_str!("../../requirements/ministack.txt"),
            include_str!("../../requirements/moto.txt"),
            include_str!("../../requirements/aws-cli.txt"),
            include_str!("../../requirements/readers.txt"),
            include_str!("../../requirements/localstack-4.12.0.txt"),
            include_str!("../../../../bench/peers/requirements.txt"),
        ] {
            assert!(list.lines().all(|line| line.split("==").filter(|half| !half.is_empty()).count() == 2));
        }
    }
}
