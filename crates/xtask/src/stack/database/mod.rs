//! Real database servers: given ones, the machine's own, or each in a small Debian root of its own.

mod certificate;
mod client;
mod external;
mod home;
mod product;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

pub use self::client::Client;
pub(super) use self::external::External;
use self::home::Home;
use super::{
    health, install,
    part::{Part, address},
    paths::Paths,
    step::Steps,
};

/// The account that the stack offers, made by `account.sql`. Its password protects nothing: the server
/// listens on the loopback address only.
const USER: &str = "downpipe";
const PASSWORD: &str = "downpipe";
const READY: &str = "ready for connections";

/// A database server of the stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Server {
    /// What Downpipe is made for.
    MySql,
    /// Its relative, for the tests.
    MariaDb,
}

impl Server {
    /// How to reach the stack's own server; without a database, as tests create theirs.
    pub(super) fn url(port: u16) -> String {
        format!("mysql://{USER}:{PASSWORD}@{}", address(port))
    }

    /// The folders that may hold databases.
    pub(super) fn data_dirs(self, paths: &Paths) -> [PathBuf; 2] {
        home::all(self, paths).map(|home| home.outside(home::DATA))
    }

    pub(super) fn url_variable(self) -> &'static str {
        self.product().url_variable
    }
}

impl Part for Server {
    fn name(&self) -> &'static str {
        self.product().name
    }

    fn install(&self, paths: &Paths, steps: &Steps) -> Result<()> {
        let home = Home::ensure(*self, paths, steps)?;
        let data = home.outside(home::DATA);
        if !data.exists() {
            steps.say(self.name(), "prepares an empty data folder");
            // Under another name until it is whole: an interrupted preparation must not be taken for a
            // database.
            let partial = home.outside(home::PARTIAL_DATA);
            install::empty_dir(&partial)?;
            let mut command = self.product().initialize(&home);
            command.args(as_user());
            command.arg(option("--datadir", &home.inside(home::PARTIAL_DATA)));
            install::run(&mut command, &paths.log(&format!("{}-initialize", self.name())))?;
            fs::rename(&partial, &data).with_context(|| format!("cannot create {}", data.display()))?;
        }
        if *self == Self::MySql {
            certificate::ensure(&home, paths)?;
        }
        install::write_whole(&home.outside(home::INIT_FILE), INIT_FILE, 0o644)
    }

    fn command(&self, paths: &Paths, port: u16) -> Result<Command> {
        let home = Home::find(*self, paths)?;
        let mut command = home.program(self.product().server);
        command.arg("--no-defaults").args(as_user());
        command.arg(option("--datadir", &home.inside(home::DATA)));
        command.arg(option("--init-file", &home.inside(home::INIT_FILE)));
        command.arg(format!("--port={port}"));
        command.args(OPTIONS).args(self.product().options);
        if *self == Self::MySql {
            command.arg(option("--ssl-cert", &home.inside(certificate::CERTIFICATE)));
            command.arg(option("--ssl-key", &home.inside(certificate::KEY)));
        }
        Ok(command)
    }

    fn check(&self, address: &str) -> Result<()> {
        health::mysql_greeting(address).map(drop)
    }

    /// The server says that it is ready after it has run the init file; before that the account may be
    /// missing.
    fn has_started(&self, log: &Path) -> bool {
        super::log::text(log).contains(READY)
    }
}

/// Runs at every start, so that an old data folder gets what a newer version of this program expects. The
/// first account is the one that `url` names; `compose.yaml` uses the same file.
const INIT_FILE: &str =
    concat!(include_str!("account.sql"), "ALTER USER IF EXISTS 'root'@'localhost' ACCOUNT LOCK;\n");

const OPTIONS: &[&str] = &[
    "--bind-address=127.0.0.1",
    // No socket: a path below `target` can be longer than a socket's name may be, and everybody uses the
    // port.
    "--socket=",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    "--default-time-zone=+00:00",
    "--max-connections=500",
    "--max-allowed-packet=1G",
    "--local-infile=ON",
    // A crash of the machine may cost the last second; the databases are test data.
    "--innodb-flush-log-at-trx-commit=2",
];

/// The server refuses to run as root unless told to; everybody else runs it as themselves.
fn as_user() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("--user=root")
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push("=");
    option.push(path);
    option
}
