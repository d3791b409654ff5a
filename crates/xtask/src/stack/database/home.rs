//! Where a server's programs and its files are: on the machine, or in a Debian root that it sees as `/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Server, product::Product};
use crate::stack::{apt, install, paths::Paths, step::Steps};

pub(super) const DATA: &str = "data";
pub(super) const PARTIAL_DATA: &str = "data.partial";
pub(super) const INIT_FILE: &str = "init.sql";

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
    /// The home that is there, or a new Debian root.
    pub(super) fn ensure(server: Server, paths: &Paths, steps: &Steps) -> Result<Self> {
        let product = server.product();
        if !machine_has(server, product.server) && !root_has(&root_dir(product, paths), &product.programs()) {
            build_root(product, paths, steps)?;
        }
        let home = Self::find(server, paths)?;
        let folder = home.outside("");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(home)
    }

    /// The home that is there. The machine's own program is preferred, as it needs no root rights.
    pub(super) fn find(server: Server, paths: &Paths) -> Result<Self> {
        let product = server.product();
        if machine_has(server, product.server) {
            return Ok(Self::Machine { folder: machine_folder(product, paths) });
        }
        let root = root_dir(product, paths);
        if !root.exists() {
            bail!("{} is not installed", product.title);
        }
        ensure_root_rights(product)?;
        Ok(Self::Root { root })
    }

    /// The home that has the server's client. A server that was given from outside leaves only the machine's.
    pub(super) fn of_client(server: Server, paths: &Paths) -> Option<Self> {
        let product = server.product();
        let root = root_dir(product, paths);
        if root_has(&root, &[product.client]) && rustix::process::geteuid().is_root() {
            return Some(Self::Root { root });
        }
        machine_has(server, product.client).then(|| Self::Machine { folder: machine_folder(product, paths) })
    }

    /// A command that runs one of the programs.
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

    /// The folder that the programs see as `/`, if it is another than everybody's.
    pub(super) fn root(&self) -> Option<&Path> {
        match self {
            Self::Machine { .. } => None,
            Self::Root { root } => Some(root),
        }
    }

    /// A file's path as the server sees it.
    pub(super) fn inside(&self, file: &str) -> PathBuf {
        match self {
            Self::Machine { folder } => folder.join(file),
            Self::Root { .. } => Path::new(ROOT_FOLDER).join(file),
        }
    }

    /// The same file's path as everybody else sees it.
    pub(super) fn outside(&self, file: &str) -> PathBuf {
        match self {
            Self::Machine { folder } => folder.join(file),
            Self::Root { root } => root.join(ROOT_FOLDER.trim_start_matches('/')).join(file),
        }
    }
}

/// Every home that may hold data, whether it can be used now or not.
pub(super) fn all(server: Server, paths: &Paths) -> [Home; 2] {
    let product = server.product();
    [Home::Machine { folder: machine_folder(product, paths) }, Home::Root { root: root_dir(product, paths) }]
}

fn root_dir(product: &Product, paths: &Paths) -> PathBuf {
    paths.stack().join(format!("{}-root", product.name))
}

fn machine_folder(product: &Product, paths: &Paths) -> PathBuf {
    paths.stack().join(product.name)
}

/// Whether the machine has the program, and not the other product's of the same name.
fn machine_has(server: Server, program: &str) -> bool {
    let version = || Command::new(install::find_program(program)?).arg("--version").output().ok();
    version().is_some_and(|output| {
        output.status.success() && server.is_meant_by(&String::from_utf8_lossy(&output.stdout))
    })
}

fn root_has(root: &Path, programs: &[&str]) -> bool {
    programs.iter().all(|program| program_in(root, program).is_some())
}

/// A program's path from the root.
fn program_in(root: &Path, name: &str) -> Option<PathBuf> {
    ROOT_PROGRAMS.iter().map(|folder| Path::new(folder).join(name)).find(|path| root.join(path).exists())
}

fn ensure_root_rights(product: &Product) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "{} is not installed; in a Debian root of its own it runs only for root: \
             run `cargo xtask stack up` as root\n{}",
            product.title,
            alternatives(product)
        );
    }
    Ok(())
}

/// Puts a server into a Debian root: distributions that lack it still have `debootstrap`.
fn build_root(product: &Product, paths: &Paths, steps: &Steps) -> Result<()> {
    let debootstrap = find_debootstrap(product, paths, steps)?;
    ensure_root_rights(product)?;
    steps.say(product.name, &format!("installs {} into a Debian root of its own", product.title));
    let root = root_dir(product, paths);
    // Under another name until it is whole, so that an interrupted installation is done again.
    let partial = root.with_extension("partial");
    unmount_below(&partial)?;
    install::empty_dir(&partial)?;
    install::run(
        Command::new(debootstrap)
            .arg("--variant=minbase")
            .arg(format!("--include={}", product.packages))
            .arg(product.suite)
            .arg(&partial),
        &paths.log(&format!("{}-install", product.name)),
    )?;
    unmount_below(&partial)?;
    install::empty_dir(&partial.join("var/cache/apt/archives"))?;
    install::empty_dir(&partial.join("var/lib/apt/lists"))?;
    keep_databases(&root, &partial)?;
    install::remove_dir(&root)?;
    fs::rename(&partial, &root).with_context(|| format!("cannot create {}", root.display()))?;
    steps.say(product.name, "installed");
    Ok(())
}

/// A root that lacks a program that is needed by now is made anew; its databases move.
fn keep_databases(old: &Path, new: &Path) -> Result<()> {
    let [old, new] = [old, new].map(|root| Home::Root { root: root.to_owned() }.outside(""));
    if old.exists() {
        fs::rename(&old, &new).with_context(|| format!("cannot move {}", old.display()))?;
    }
    Ok(())
}

fn find_debootstrap(product: &Product, paths: &Paths, steps: &Steps) -> Result<PathBuf> {
    const PROGRAM: &str = "debootstrap";
    if install::find_program(PROGRAM).is_none() {
        apt::install(paths, steps, product.name, &[PROGRAM])?;
    }
    install::find_program(PROGRAM).with_context(|| {
        format!(
            "{} is not installed, and neither is {PROGRAM} to fetch it: sudo apt-get install {PROGRAM}\n{}",
            product.title,
            alternatives(product)
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

fn alternatives(product: &Product) -> String {
    let Product { name, server, url_variable, .. } = product;
    format!(
        "or install {server} so that it is on the path\n\
         or name a server of yours: {url_variable}=mysql://USER:PASSWORD@HOST:PORT\n\
         or use Docker: docker compose up --wait {name} (compose.yaml says what to set)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_move_to_a_new_root() {
        let dir = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
        fs::create_dir_all(old.join("srv/downpipe/data")).unwrap();
        fs::create_dir_all(new.join("srv")).unwrap();
        keep_databases(&old, &new).unwrap();
        assert!(new.join("srv/downpipe/data").is_dir());
        keep_databases(&old, &new).unwrap();
    }

    #[test]
    fn a_root_is_whole_with_all_its_programs() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("usr/bin")).unwrap();
        assert!(!root_has(root.path(), &["mysql"]));
        fs::write(root.path().join("usr/bin/mysql"), "").unwrap();
        assert!(root_has(root.path(), &["mysql"]) && !root_has(root.path(), &["mysql", "mysqld"]));
    }

    #[test]
    fn a_root_has_two_names_for_a_file() {
        let [machine, root] = all(Server::MySql, &Paths::under(Path::new("/w")));
        assert_eq!(machine.inside(DATA), machine.outside(DATA));
        assert_eq!(root.inside(DATA), Path::new("/srv/downpipe/data"));
        assert_eq!(root.outside(DATA), Path::new("/w/target/stack/mysql-root/srv/downpipe/data"));
    }
}
