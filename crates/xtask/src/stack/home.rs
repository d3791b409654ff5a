//! Where a server's programs and its files are: on the machine, or in a Debian root that it sees as `/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{apt, install, paths::Paths, step::Steps};

/// Programs of Debian, and where they come from.
pub(super) struct Package {
    /// Names the part, its folders and its logs.
    pub(super) name: &'static str,
    /// As people write it.
    pub(super) title: &'static str,
    /// The Debian release whose packages are taken.
    pub(super) suite: &'static str,
    /// Separated by commas.
    pub(super) packages: &'static str,
    /// What they bring; the server first.
    pub(super) programs: &'static [&'static str],
    /// Returns whether a program that prints this version is the one that is meant.
    pub(super) is_meant_by: fn(&str) -> bool,
    /// What a person can do who is not root, a line each.
    pub(super) alternatives: String,
}

/// The folder for data inside a Debian root.
const ROOT_FOLDER: &str = "/srv/downpipe";
const ROOT_PROGRAMS: [&str; 2] = ["usr/sbin", "usr/bin"];

/// A server's programs and the folder for its files.
#[derive(Debug)]
pub(super) enum Home {
    /// The machine's own programs.
    Machine { folder: PathBuf },
    /// A Debian root, entered with `chroot`.
    Root { root: PathBuf },
}

impl Home {
    /// Returns the home that is there, or a new Debian root.
    pub(super) fn ensure(package: &Package, paths: &Paths, steps: &Steps) -> Result<Self> {
        if !machine_has(package, package.server()) && !root_has(&root_dir(package, paths), package.programs) {
            build_root(package, paths, steps)?;
        }
        let home = Self::find(package, paths)?;
        let folder = home.outside("");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(home)
    }

    /// Returns the home that is there. The machine's own program is preferred, as it needs no root rights.
    pub(super) fn find(package: &Package, paths: &Paths) -> Result<Self> {
        if machine_has(package, package.server()) {
            return Ok(Self::Machine { folder: machine_folder(package, paths) });
        }
        let root = root_dir(package, paths);
        if !root.exists() {
            bail!("{} is not installed", package.title);
        }
        ensure_root_rights(package)?;
        Ok(Self::Root { root })
    }

    /// Returns the home that has a program, such as the server's client.
    ///
    /// A server that was given from outside leaves only the machine's.
    pub(super) fn with_program(package: &Package, program: &str, paths: &Paths) -> Option<Self> {
        let root = root_dir(package, paths);
        if root_has(&root, &[program]) && rustix::process::geteuid().is_root() {
            return Some(Self::Root { root });
        }
        machine_has(package, program).then(|| Self::Machine { folder: machine_folder(package, paths) })
    }

    /// Returns a command that runs one of the programs.
    pub(super) fn program(&self, name: &str) -> Command {
        match self {
            Self::Machine { .. } => Command::new(install::find_program(name).unwrap_or_else(|| name.into())),
            Self::Root { root } => {
                let mut command =
                    Command::new(install::find_program("chroot").unwrap_or_else(|| "chroot".into()));
                let program = program_in(root, name).unwrap_or_else(|| name.into());
                command.arg(root).arg(Path::new("/").join(program));
                command
            }
        }
    }

    /// Returns the folder that the programs see as `/`, if it is not the machine's.
    pub(super) fn root(&self) -> Option<&Path> {
        match self {
            Self::Machine { .. } => None,
            Self::Root { root } => Some(root),
        }
    }

    /// Returns a file's path as the server sees it.
    pub(super) fn inside(&self, file: &str) -> PathBuf {
        match self {
            Self::Machine { folder } => folder.join(file),
            Self::Root { .. } => Path::new(ROOT_FOLDER).join(file),
        }
    }

    /// Returns a file's path as other programs see it.
    pub(super) fn outside(&self, file: &str) -> PathBuf {
        match self {
            Self::Machine { folder } => folder.join(file),
            Self::Root { root } => root.join(ROOT_FOLDER.trim_start_matches('/')).join(file),
        }
    }
}

impl Package {
    fn server(&self) -> &'static str {
        self.programs.first().copied().unwrap_or(self.name)
    }
}

/// Returns every home that may hold data, whether it can be used now or not.
pub(super) fn all(package: &Package, paths: &Paths) -> [Home; 2] {
    [Home::Machine { folder: machine_folder(package, paths) }, Home::Root { root: root_dir(package, paths) }]
}

fn root_dir(package: &Package, paths: &Paths) -> PathBuf {
    paths.stack().join(format!("{}-root", package.name))
}

fn machine_folder(package: &Package, paths: &Paths) -> PathBuf {
    paths.stack().join(package.name)
}

/// Returns whether the machine has the program, and not the other product's of the same name.
fn machine_has(package: &Package, program: &str) -> bool {
    let version = || Command::new(install::find_program(program)?).arg("--version").output().ok();
    version().is_some_and(|output| {
        output.status.success() && (package.is_meant_by)(&String::from_utf8_lossy(&output.stdout))
    })
}

fn root_has(root: &Path, programs: &[&str]) -> bool {
    programs.iter().all(|program| program_in(root, program).is_some())
}

/// Returns a program's path from the root.
fn program_in(root: &Path, name: &str) -> Option<PathBuf> {
    ROOT_PROGRAMS.iter().map(|folder| Path::new(folder).join(name)).find(|path| root.join(path).exists())
}

fn ensure_root_rights(package: &Package) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "{} is not installed; in a Debian root of its own it runs only for root: \
             run `cargo xtask stack up` as root\n{}",
            package.title,
            package.alternatives
        );
    }
    Ok(())
}

/// Puts a server into a Debian root: distributions that lack it still have `debootstrap`.
fn build_root(package: &Package, paths: &Paths, steps: &Steps) -> Result<()> {
    let debootstrap = find_debootstrap(package, paths, steps)?;
    ensure_root_rights(package)?;
    steps.say(package.name, &format!("installs {} into a Debian root of its own", package.title));
    let root = root_dir(package, paths);
    // Under another name until it is whole, so that an interrupted installation is done again.
    let partial = root.with_extension("partial");
    unmount_below(&partial)?;
    install::empty_dir(&partial)?;
    install::run(
        Command::new(debootstrap)
            .arg("--variant=minbase")
            .arg(format!("--include={}", package.packages))
            .arg(package.suite)
            .arg(&partial),
        &paths.log(&format!("{}-install", package.name)),
    )?;
    unmount_below(&partial)?;
    install::empty_dir(&partial.join("var/cache/apt/archives"))?;
    install::empty_dir(&partial.join("var/lib/apt/lists"))?;
    keep_databases(&root, &partial)?;
    install::remove_dir(&root)?;
    fs::rename(&partial, &root).with_context(|| format!("cannot create {}", root.display()))?;
    steps.say(package.name, "installed");
    Ok(())
}

/// Moves the databases of a root that lacks a program to the new root that replaces it.
fn keep_databases(old: &Path, new: &Path) -> Result<()> {
    let [old, new] = [old, new].map(|root| Home::Root { root: root.to_owned() }.outside(""));
    if old.exists() {
        fs::rename(&old, &new).with_context(|| format!("cannot move {}", old.display()))?;
    }
    Ok(())
}

fn find_debootstrap(package: &Package, paths: &Paths, steps: &Steps) -> Result<PathBuf> {
    const PROGRAM: &str = "debootstrap";
    if install::find_program(PROGRAM).is_none() {
        apt::install(paths, steps, package.name, &[PROGRAM])?;
    }
    install::find_program(PROGRAM).with_context(|| {
        format!(
            "{} is not installed, and neither is {PROGRAM} to fetch it: sudo apt-get install {PROGRAM}\n{}",
            package.title, package.alternatives
        )
    })
}

/// Unmounts what an interrupted debootstrap has left mounted, `/proc` and `/sys`. Otherwise removing the folder reaches into them.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mysql() -> Package {
        super::super::database::Server::MySql.package()
    }

    #[test]
    fn databases_of_an_old_root_move_to_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
        fs::create_dir_all(old.join("srv/downpipe/data")).unwrap();
        fs::create_dir_all(new.join("srv")).unwrap();
        keep_databases(&old, &new).unwrap();
        assert!(new.join("srv/downpipe/data").is_dir());
        keep_databases(&old, &new).unwrap();
    }

    #[test]
    fn root_without_a_program_is_incomplete() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("usr/bin")).unwrap();
        assert!(!root_has(root.path(), &["mysql"]));
        fs::write(root.path().join("usr/bin/mysql"), "").unwrap();
        assert!(root_has(root.path(), &["mysql"]) && !root_has(root.path(), &["mysql", "mysqld"]));
    }

    #[test]
    fn file_in_a_root_has_a_path_inside_and_outside() {
        let [machine, root] = all(&mysql(), &Paths::under(Path::new("/w")));
        assert_eq!(machine.inside("data"), machine.outside("data"));
        assert_eq!(root.inside("data"), Path::new("/srv/downpipe/data"));
        assert_eq!(root.outside("data"), Path::new("/w/target/stack/mysql-root/srv/downpipe/data"));
    }
}
