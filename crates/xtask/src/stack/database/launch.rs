//! How a server is started: its command line, its account, and the data folder that it begins with.

use std::{ffi::OsString, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::product::Server;
use crate::stack::{certificate, home::Home, install, part::address};

pub(super) const DATA: &str = "data";
pub(super) const PARTIAL_DATA: &str = "data.partial";
pub(super) const INIT_FILE_NAME: &str = "init.sql";

/// The account that the stack offers, made by `account.sql`. Its password protects nothing: the server
/// listens on the loopback address only.
const USER: &str = "downpipe";
const PASSWORD: &str = "downpipe";
/// What a server logs once it has run the init file.
pub(super) const READY: &str = "ready for connections";

/// The data folder of a fresh installation. The stack's own server and each private one begin with a copy of it.
pub(super) const PRISTINE_DATA: &str = "pristine";

impl Server {
    /// Returns how to reach the stack's own server; without a database, as tests create theirs.
    pub(in crate::stack) fn url(port: u16) -> String {
        format!("mysql://{USER}:{PASSWORD}@{}", address(port))
    }
}

/// Returns the server on its data folder, named as the server sees it.
pub(super) fn server_command(server: Server, home: &Home, data: &Path, port: u16) -> Command {
    let mut command = home.program(server.product().server);
    command.arg("--no-defaults").args(as_user());
    command.arg(option("--datadir", data));
    command.arg(option("--init-file", &home.inside(INIT_FILE_NAME)));
    command.arg(format!("--port={port}"));
    command.args(OPTIONS).args(server.product().options);
    if server == Server::MySql {
        command.arg(option("--ssl-cert", &home.inside(certificate::CERTIFICATE)));
        command.arg(option("--ssl-key", &home.inside(certificate::KEY)));
    }
    command
}

/// Returns the command that makes an empty data folder, at this path as the server sees it.
pub(super) fn initialize_command(server: Server, home: &Home, data: &Path) -> Command {
    let (program, options) = server.product().initialize;
    let mut command = home.program(program);
    command.args(options).args(as_user()).arg(option("--datadir", data));
    command
}

/// Copies the data folder of a fresh installation.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    // What an earlier process of the same number left when it was killed.
    install::remove_dir(to)?;
    let parent = to.parent().context("a data folder lies in another")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let copied = Command::new("cp").args(["-a", "--reflink=auto"]).args([from, to]).status();
    match copied {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("cannot copy {} to {}: run `cargo xtask stack up`", from.display(), to.display()),
    }
}

/// Runs at every start, so that an old data folder gets what a newer version of this program expects. The
/// first account is the one that `url` names; `compose.yaml` uses the same file.
pub(super) const INIT_FILE: &str =
    concat!(include_str!("account.sql"), "ALTER USER IF EXISTS 'root'@'localhost' ACCOUNT LOCK;\n");

const OPTIONS: &[&str] = &[
    "--bind-address=127.0.0.1",
    // No socket: a path below `target` can be longer than a socket's name may be, and every client uses the port.
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

/// Returns the option without which the server refuses to run as root.
fn as_user() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("--user=root")
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push("=");
    option.push(path);
    option
}
