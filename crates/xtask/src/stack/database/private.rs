//! Servers that one test has to itself, for settings that would disturb every other test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::launch;
use super::product::Server;
use crate::stack::{health, held, home::Home, install, log, part, paths::Paths, port::Reservation};

/// Where the private servers' data folders are, one each.
const FOLDER: &str = "private";
const START_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A server of its own, started from the data folder of a fresh installation. It stops when this is dropped, or when the
/// process that holds it ends.
#[derive(Debug)]
pub struct PrivateServer {
    child: Child,
    data: PathBuf,
    url: String,
}

impl PrivateServer {
    /// Starts a server with these options besides the stack's own, such as `--sql-mode=ANSI_QUOTES`.
    ///
    /// # Errors
    /// When the stack's server was given from outside, so that no program is there to start; when an option is wrong.
    pub fn start(paths: &Paths, server: Server, options: &[&str]) -> Result<Self> {
        let product = server.product();
        let home = Home::find(&server.package(), paths)
            .context("a private server needs the stack's own programs")?;
        let name = held::unique_name();
        let data = home.outside(FOLDER).join(&name);
        let log = paths.logs().join(format!("{}-{name}.log", product.name));
        launch::copy(&home.outside(launch::PRISTINE_DATA), &data)?;
        let port = Reservation::new(None)?.release();
        let mut command = launch::server_command(server, &home, &home.inside(FOLDER).join(&name), port);
        command.args(options);
        let child = held::spawn(command, &log)?;
        let mut private = Self { child, data, url: Server::url(port) };
        private.wait_until_ready(&part::address(port), &log)?;
        Ok(private)
    }

    /// `mysql://USER:PASSWORD@HOST:PORT`, without a database. The user has every privilege.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn wait_until_ready(&mut self, address: &str, log: &Path) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !(log::text(log).contains(launch::READY) && health::mysql_greeting(address).is_ok()) {
            let ended = self.child.try_wait().context("cannot look after a private server")?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("a private server did not start; {}", log::tail(log));
            }
            thread::sleep(POLL_INTERVAL);
        }
        fs::remove_file(log).with_context(|| format!("cannot remove {}", log.display()))
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        held::end(&mut self.child);
        drop(install::remove_dir(&self.data));
    }
}
