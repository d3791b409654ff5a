//! Where the server's program and its files are: on the machine, or in a Debian root that it sees as `/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::URL_VARIABLE;
use crate::stack::{apt, install, paths::Paths, step::Steps};

pub(super) const DATA: &str = "data";
pub(super) const PARTIAL_DATA: &str = "data.partial";
pub(super) const INIT_FILE: &str = "init.sql";

/// The folder for data inside a Debian root.
const ROOT_FOLDER: &str = "/srv/downpipe";
const ROOT_MYSQLD: &str = "/usr/sbin/mysqld";

/// A server's program and the folder for its files.
pub(super) enum Home {
    /// The machine's own program.
    Machine { mysqld: PathBuf, folder: PathBuf },
    /// A Debian root, entered with `chroot`.
    Root { root: PathBuf },
}

impl Home {
    /// The home that is there, or a new Debian root.
    pub(super) fn ensure(paths: &Paths, steps: &Steps) -> Result<Self> {
        if !root_dir(paths).exists() && machine_mysqld().is_none() {
            build_root(paths, steps)?;
        }
        let home = Self::find(paths)?;
        let folder = home.outside("");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(home)
    }

    /// The home that is there. The machine's own program is preferred, as it needs no root rights.
    pub(super) fn find(paths: &Paths) -> Result<Self> {
        if let Some(mysqld) = machine_mysqld() {
            return Ok(Self::Machine { mysqld, folder: machine_folder(paths) });
        }
        let root = root_dir(paths);
        if !root.exists() {
            bail!("MySQL is not installed");
        }
        ensure_root_rights()?;
        Ok(Self::Root { root })
    }

    /// A command that runs the server's program.
    pub(super) fn mysqld(&self) -> Command {
        match self {
            Self::Machine { mysqld, .. } => Command::new(mysqld),
            Self::Root { root } => {
                let mut command =
                    Command::new(install::find_program("chroot").unwrap_or_else(|| "chroot".into()));
                command.arg(root).arg(ROOT_MYSQLD);
                command
            }
        }
    }

    /// A file's path as the server sees it.
    pub(super) fn inside(&self, file: &str) -> PathBuf {
        match self {
            Self::Machine { folder, .. } => folder.join(file),
            Self::Root { .. } => Path::new(ROOT_FOLDER).join(file),
        }
    }

    /// The same file's path as everybody else sees it.
    pub(super) fn outside(&self, file: &str) -> PathBuf {
        match self {
            Self::Machine { folder, .. } => folder.join(file),
            Self::Root { root } => root.join(ROOT_FOLDER.trim_start_matches('/')).join(file),
        }
    }
}

/// Every home that may hold data, whether it can be used now or not.
pub(super) fn all(paths: &Paths) -> [Home; 2] {
    [
        Home::Machine { mysqld: PathBuf::new(), folder: machine_folder(paths) },
        Home::Root { root: root_dir(paths) },
    ]
}

fn root_dir(paths: &Paths) -> PathBuf {
    paths.stack().join("mysql-root")
}

fn machine_folder(paths: &Paths) -> PathBuf {
    paths.stack().join("mysql")
}

/// The machine's `mysqld`, unless it is MariaDB's program of that name.
fn machine_mysqld() -> Option<PathBuf> {
    let mysqld = install::find_program("mysqld")?;
    let output = Command::new(&mysqld).arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success() && !version.contains("MariaDB")).then_some(mysqld)
}

fn ensure_root_rights() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "MySQL is not installed; in a Debian root of its own it runs only for root: \
             run `cargo xtask stack up` as root\n{}",
            alternatives()
        );
    }
    Ok(())
}

/// Puts MySQL into a Debian root: distributions that lack it still have `debootstrap`.
fn build_root(paths: &Paths, steps: &Steps) -> Result<()> {
    let debootstrap = find_debootstrap(paths, steps)?;
    ensure_root_rights()?;
    steps.say("mysql", "installs MySQL into a Debian root of its own");
    let root = root_dir(paths);
    // Under another name until it is whole, so that an interrupted installation is done again.
    let partial = root.with_extension("partial");
    unmount_below(&partial)?;
    install::empty_dir(&partial)?;
    install::run(
        Command::new(debootstrap)
            .args(["--variant=minbase", "--include=mysql-server-core", "sid"])
            .arg(&partial),
        &paths.log("mysql-install"),
    )?;
    unmount_below(&partial)?;
    install::empty_dir(&partial.join("var/cache/apt/archives"))?;
    install::empty_dir(&partial.join("var/lib/apt/lists"))?;
    fs::rename(&partial, &root).with_context(|| format!("cannot create {}", root.display()))?;
    steps.say("mysql", "installed");
    Ok(())
}

fn find_debootstrap(paths: &Paths, steps: &Steps) -> Result<PathBuf> {
    const PROGRAM: &str = "debootstrap";
    if install::find_program(PROGRAM).is_none() {
        apt::install(paths, steps, "mysql", &[PROGRAM])?;
    }
    install::find_program(PROGRAM).with_context(|| {
        format!(
            "MySQL is not installed, and neither is {PROGRAM} to fetch it: sudo apt-get install {PROGRAM}\n{}",
            alternatives()
        )
    })
}

/// An interrupted debootstrap leaves the machine's `/proc` and `/sys` mounted; removing the folder would
/// reach into them.
fn unmount_below(dir: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read the list of mounts")?;
    // The list is in the order of mounting; the last comes off first.
    for target in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
        // Blanks are written as octal in this list.
        let target = target.replace("\\040", " ");
        if Path::new(&target).starts_with(dir) {
            let status = Command::new("umount").arg(&target).status().context("cannot run umount")?;
            if !status.success() {
                bail!("{target} is still mounted: sudo umount {target}");
            }
        }
    }
    Ok(())
}

fn alternatives() -> String {
    format!(
        "or name a server of yours: {URL_VARIABLE}=mysql://USER:PASSWORD@HOST:PORT\n\
         or use Docker: docker compose up --wait mysql (compose.yaml says what to set)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_has_two_names_for_a_file() {
        let [machine, root] = all(&Paths::under(Path::new("/w")));
        assert_eq!(machine.inside(DATA), machine.outside(DATA));
        assert_eq!(root.inside(DATA), Path::new("/srv/downpipe/data"));
        assert_eq!(root.outside(DATA), Path::new("/w/target/stack/mysql-root/srv/downpipe/data"));
    }
}
