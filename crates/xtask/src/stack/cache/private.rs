//! A Valkey that one test has to itself, for what would disturb every other test.

use std::{
    fs,
    path::PathBuf,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::valkey::{self, ADMINISTRATOR, CLIENT, PASSWORD};
use crate::stack::{health, held, home::Home, install, log, part, paths::Paths, port::Reservation};

const FOLDER: &str = "private";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A Valkey of its own. It ends when this is dropped, or when the process that holds it ends.
#[derive(Debug)]
pub struct PrivateValkey {
    child: Child,
    home: Home,
    name: String,
    port: u16,
    options: Vec<String>,
    authority: PathBuf,
    log: PathBuf,
}

impl PrivateValkey {
    /// Starts a Valkey with these options besides the stack's own, such as `--maxmemory`, `1`.
    ///
    /// # Errors
    /// When the stack's programs are not there, or an option is wrong.
    pub fn start(paths: &Paths, options: &[&str]) -> Result<Self> {
        let home =
            Home::find(&valkey::package(), paths).context("a private Valkey needs the stack's programs")?;
        let (name, port) = (held::unique_name(), Reservation::new(None)?.release());
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let log = paths.logs().join(format!("valkey-{name}.log"));
        let child = spawn(&home, &name, port, &options, &log)?;
        let mut private = Self { child, home, name, port, options, authority: paths.cache_ca(), log };
        private.wait_until_ready()?;
        Ok(private)
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server.
    pub fn stop(&mut self) {
        held::end(&mut self.child);
    }

    /// Starts the server again after [`stop`](Self::stop), empty, at the same port.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = spawn(&self.home, &self.name, self.port, &self.options, &self.log)?;
        self.wait_until_ready()
    }

    /// Runs a command with every right, and returns what the server answers.
    ///
    /// # Errors
    /// When the client cannot be run, or the server answers with an error.
    pub fn administer(&self, arguments: &[&str]) -> Result<String> {
        let mut client = self.home.program(CLIENT);
        client.args(["--tls", "--insecure", "--no-auth-warning", "-e", "-p", &self.port.to_string()]);
        client.args(["--user", ADMINISTRATOR, "--pass", PASSWORD]).args(arguments);
        let output = client.output().context("cannot run Valkey's client")?;
        if !output.status.success() {
            bail!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while health::valkey_refusal(&part::address(self.port), &self.authority).is_err() {
            let ended = self.child.try_wait().context("cannot look after a private Valkey")?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("a private Valkey did not start; {}", log::tail(&self.log));
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for PrivateValkey {
    fn drop(&mut self) {
        self.stop();
        drop(install::remove_dir(&self.home.outside(FOLDER).join(&self.name)));
        drop(fs::remove_file(&self.log));
    }
}

fn spawn(home: &Home, name: &str, port: u16, options: &Vec<String>, log: &std::path::Path) -> Result<Child> {
    let folder = home.outside(FOLDER).join(name);
    install::empty_dir(&folder)?;
    let mut command = valkey::server_command(home, &home.inside(FOLDER).join(name), port);
    command.args(options);
    held::spawn(command, log)
}
