//! A server's own command-line client, for what drivers leave out: `LOAD DATA LOCAL INFILE`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use percent_encoding::percent_decode_str;
use url::Url;

use super::product::Server;
use crate::stack::{home::Home, paths::Paths};

/// `mysql` or `mariadb`.
#[derive(Debug)]
pub struct Client {
    home: Home,
    program: &'static str,
}

impl Client {
    /// Returns the client that belongs to the stack's server, or else this machine's.
    pub fn find(paths: &Paths, server: Server) -> Result<Self> {
        let program = server.product().client;
        match Home::with_program(&server.package(), program, paths) {
            Some(home) => Ok(Self { home, program }),
            None => bail!(
                "{}'s client `{program}` is not there: `cargo xtask stack down`, then `up` as root, or install it",
                server.product().title
            ),
        }
    }

    /// Returns a command that connects to the server and the database of a URL, whatever this machine's settings say. It may load
    /// local files, prints counts and warnings, and reads SQL from its input.
    pub fn command(&self, url: &str) -> Result<Command> {
        let url = Url::parse(url).context("expected mysql://USER:PASSWORD@HOST:PORT/DATABASE")?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let host = url.host_str().context("the host is missing")?.trim_matches(['[', ']']);
        let mut command = self.home.program(self.program);
        command.args([
            "--no-defaults",
            "--protocol=TCP",
            "--local-infile=1",
            "--default-character-set=utf8mb4",
        ]);
        command.args(["--batch", "-vv", "--show-warnings"]);
        command.arg(format!("--host={host}"));
        command.arg(format!("--port={}", url.port().unwrap_or(3306)));
        command.arg(format!("--user={}", decoded(url.username())));
        // Every user of the machine can see a command line.
        command.env("MYSQL_PWD", decoded(url.password().unwrap_or_default()));
        command.args(url.path().strip_prefix('/').filter(|database| !database.is_empty()));
        Ok(command)
    }

    /// Returns a command that prints the SQL by which a server learns the rules of a time zone.
    ///
    /// # Errors
    /// When MySQL's programs are not there. MariaDB takes the same SQL.
    pub fn time_zone_tables(paths: &Paths, zone: &str) -> Result<Command> {
        let client = Self::find(paths, Server::MySql)?;
        let mut command = client.home.program("mysql_tzinfo_to_sql");
        command.arg(Path::new("/usr/share/zoneinfo").join(zone)).arg(zone);
        Ok(command)
    }

    /// Returns a folder for files that the client is to load, and the same folder as the client sees it.
    pub fn folder(&self) -> (PathBuf, PathBuf) {
        match self.home.root() {
            Some(root) => (root.join("tmp"), Path::new("/tmp").to_owned()),
            None => (env::temp_dir(), env::temp_dir()),
        }
    }
}
