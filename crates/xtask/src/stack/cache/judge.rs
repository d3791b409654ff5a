//! The judge: a proxy before a Valkey that accepts tokens of IAM, as ElastiCache does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::valkey::{self, PASSWORD, USER};
use crate::stack::{
    aws::MiniStack,
    certificate,
    env::{ACCESS_KEY, REGION, SECRET_KEY},
    health, held,
    home::Home,
    log,
    part::{self, Part},
    paths::Paths,
    port::Reservation,
    step::Steps,
    venv,
};

const SOURCE: &str = include_str!("judge.py");
/// The name of the stack's cache, for which tokens are signed.
const CACHE: &str = "stack";
/// After how many seconds ElastiCache closes a connection.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The judge of the stack's Valkey.
pub(in crate::stack) struct Judge {
    authority: PathBuf,
    valkey: u16,
}

impl Judge {
    /// Returns the judge before the Valkey at this port.
    pub(in crate::stack) fn of(paths: &Paths, valkey: u16) -> Self {
        Self { authority: paths.cache_ca(), valkey }
    }

    /// Returns the stack's cache behind the judge at this port.
    pub(in crate::stack) fn url(port: u16) -> String {
        format!("valkey://{USER}@localhost:{port}/{CACHE}")
    }
}

impl Part for Judge {
    fn name(&self) -> &'static str {
        "judge"
    }

    fn install(&self, paths: &Paths, steps: &Steps) -> Result<()> {
        // It has botocore.
        MiniStack.install(paths, steps)
    }

    fn command(&self, paths: &Paths, port: u16) -> Result<Command> {
        let home = Home::find(&valkey::package(), paths)?;
        let [certificate, key] = [certificate::CERTIFICATE, certificate::KEY].map(|file| home.outside(file));
        let options = JudgeOptions {
            valkey: self.valkey,
            certificate: &certificate,
            key: &key,
            cache: CACHE,
            serverless: false,
            lifetime: LIFETIME,
            seconds_ahead: 0,
        };
        Ok(command(paths, &options, port))
    }

    fn check(&self, address: &str) -> Result<()> {
        health::valkey_refusal(address, &self.authority)
    }
}

/// How a judge judges.
#[derive(Clone, Copy, Debug)]
pub struct JudgeOptions<'a> {
    /// The port of the Valkey behind it.
    pub valkey: u16,
    /// Its certificate, in PEM.
    pub certificate: &'a Path,
    /// The certificate's key, in PEM.
    pub key: &'a Path,
    /// The name of the cache that tokens have to be signed for.
    pub cache: &'a str,
    /// Whether that is a serverless cache.
    pub serverless: bool,
    /// How long after a login a connection is closed.
    pub lifetime: Duration,
    /// How far its clock is ahead of this machine's.
    pub seconds_ahead: i64,
}

/// A judge that one test has to itself.
///
/// It ends when this is dropped, or when the process that holds it ends.
#[derive(Debug)]
pub struct CacheJudge {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl CacheJudge {
    /// Starts a judge.
    ///
    /// # Errors
    /// When it does not start. The message has the end of its log.
    pub fn start(paths: &Paths, options: &JudgeOptions<'_>) -> Result<Self> {
        let port = Reservation::new(None)?.release();
        let log = paths.logs().join(format!("judge-{}.log", held::unique_name()));
        let (stdout, stderr) = log::fresh(&log)?;
        let mut command = command(paths, options, port);
        command.arg("--until-input-ends").stdin(Stdio::piped()).stdout(stdout).stderr(stderr);
        let child = command.spawn().context("cannot start a judge")?;
        let mut judge = Self { child, port, log };
        judge.wait_until_ready()?;
        Ok(judge)
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns what happened so far: `connected`, `accepted`, `refused: REASON`, `closed`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn events(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(&self.log).context("cannot read a judge's log")?;
        Ok(text.lines().filter(|line| *line != READY).map(str::to_owned).collect())
    }

    /// Stops it in the middle of everything, or lets it continue.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_child(&self.child), signal).context("cannot signal a judge")
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !log::text(&self.log).contains(READY) {
            let ended = self.child.try_wait().context("cannot look after a judge")?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("a judge did not start; {}", log::tail(&self.log));
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

/// What a judge prints once it listens.
const READY: &str = "listens";

impl Drop for CacheJudge {
    fn drop(&mut self) {
        drop(self.freeze(false));
        held::end(&mut self.child);
        drop(fs::remove_file(&self.log));
    }
}

fn command(paths: &Paths, options: &JudgeOptions<'_>, port: u16) -> Command {
    let mut command = venv::python(paths, MiniStack.name());
    command.args(["-c", SOURCE, "--port", &port.to_string()]);
    command.arg("--certificate").arg(options.certificate).arg("--key").arg(options.key);
    command.args(["--valkey", &part::address(options.valkey)]);
    command.arg("--valkey-ca").arg(paths.cache_ca());
    command.args(["--user", USER, "--password", PASSWORD, "--cache", options.cache]);
    command.args(["--region", REGION, "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]);
    command.args(["--lifetime", &options.lifetime.as_secs_f64().to_string()]);
    command.arg(format!("--seconds-ahead={}", options.seconds_ahead));
    command.args(options.serverless.then_some("--serverless"));
    command
}
