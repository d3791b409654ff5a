//! A real MySQL server: a given one, the machine's own, or one in a small Debian root of its own.

mod external;
mod home;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

pub(super) use self::external::{External, URL_VARIABLE};
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

/// The stack's own server.
pub(super) struct MySql;

/// How to reach the stack's own server; without a database, as tests create theirs.
pub(super) fn url(port: u16) -> String {
    format!("mysql://{USER}:{PASSWORD}@{}", address(port))
}

/// The folders that may hold databases.
pub(super) fn data_dirs(paths: &Paths) -> Vec<PathBuf> {
    home::all(paths).into_iter().map(|home| home.outside(home::DATA)).collect()
}

impl Part for MySql {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn install(&self, paths: &Paths, steps: &Steps) -> Result<()> {
        let home = Home::ensure(paths, steps)?;
        let data = home.outside(home::DATA);
        if !data.exists() {
            steps.say(self.name(), "prepares an empty data folder");
            // Under another name until it is whole: an interrupted preparation must not be taken for a
            // database.
            let partial = home.outside(home::PARTIAL_DATA);
            install::empty_dir(&partial)?;
            let mut command = home.mysqld();
            command.args(["--no-defaults", "--initialize-insecure"]).args(as_user());
            command.arg(option("--datadir", &home.inside(home::PARTIAL_DATA)));
            install::run(&mut command, &paths.log("mysql-initialize"))?;
            fs::rename(&partial, &data).with_context(|| format!("cannot create {}", data.display()))?;
        }
        install::write_whole(&home.outside(home::INIT_FILE), INIT_FILE, 0o644)
    }

    fn command(&self, paths: &Paths, port: u16) -> Result<Command> {
        let home = Home::find(paths)?;
        let mut command = home.mysqld();
        command.arg("--no-defaults").args(as_user());
        command.arg(option("--datadir", &home.inside(home::DATA)));
        command.arg(option("--init-file", &home.inside(home::INIT_FILE)));
        command.arg(format!("--port={port}"));
        command.args(OPTIONS);
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
    "--mysqlx=OFF",
    // No socket: a path below `target` can be longer than a socket's name may be, and everybody uses the
    // port.
    "--socket=",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    "--default-time-zone=+00:00",
    "--max-connections=500",
    "--max-allowed-packet=1G",
    "--local-infile=ON",
    // The server neither reads nor writes other files; the compiled-in folder for that may not exist.
    "--secure-file-priv=NULL",
    "--innodb-buffer-pool-size=256M",
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
