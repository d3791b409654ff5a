//! A MiniStack that speaks TLS only and asks its IAM about every request.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::Child,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{
    aws::MiniStack,
    certificate,
    env::StackEnv,
    health, held,
    home::Home,
    install, log,
    part::{Part as _, address},
    paths::Paths,
    port::Reservation,
};

/// Names its folder and its log.
const NAME: &str = "enforcing";
const SOURCE: &str = include_str!("enforcing.py");
/// Where it writes decisions, in its folder.
const DECISIONS: &str = "decisions";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A MiniStack of its own. It ends, with its functions, when this is dropped or when the process that holds it ends.
#[derive(Debug)]
pub struct EnforcingAws {
    child: Child,
    folder: PathBuf,
    log: PathBuf,
    env: StackEnv,
}

/// What the IAM of a MiniStack has decided about a request of a role.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
pub struct Decision {
    /// The session of the role: `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub principal: String,
    /// The action, such as `s3:PutObject`.
    pub action: String,
    /// The ARN of what is acted on.
    pub resource: String,
    /// Whether the request may go on.
    pub allowed: bool,
}

impl EnforcingAws {
    /// Starts one beside a stack that is up. Everything but AWS is the stack's.
    ///
    /// # Errors
    /// When it does not start. The message has the end of its log.
    pub fn start(paths: &Paths, stack: &StackEnv) -> Result<Self> {
        let folder = paths.state().join(format!("{NAME}-{}", held::unique_name()));
        install::empty_dir(&folder)?;
        let authority = folder.join("ca.pem");
        certificate::ensure(&Home::Machine { folder: folder.clone() }, &authority)?;
        File::create(folder.join(DECISIONS)).context("cannot make a file for decisions")?;

        let port = Reservation::new(None)?.release();
        let endpoint = format!("https://{}", address(port));
        let mut command = MiniStack.server(paths, port, &folder, &["-c", SOURCE]);
        command
            .env("AUTH", "true")
            .env("USE_SSL", "1")
            .env("MINISTACK_SSL_CERT", folder.join(certificate::CERTIFICATE))
            .env("MINISTACK_SSL_KEY", folder.join(certificate::KEY))
            .env("DECISIONS", folder.join(DECISIONS))
            // Functions inherit these two: they verify the server as they verify AWS.
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("SSL_CERT_FILE", &authority);
        let log = paths.log(NAME);
        let child = held::spawn_with_children(command, &log)?;
        let env = StackEnv { aws_endpoint_url: endpoint, aws_ca: Some(authority.clone()), ..stack.clone() };
        let mut started = Self { child, folder, log, env };
        started.wait_until_ready(&address(port), &authority)?;
        Ok(started)
    }

    /// Returns how to reach it, as the account's root user.
    pub fn env(&self) -> &StackEnv {
        &self.env
    }

    /// Returns the file with its decisions, for [`Decision::read`].
    pub fn decisions(&self) -> PathBuf {
        self.folder.join(DECISIONS)
    }

    fn wait_until_ready(&mut self, address: &str, authority: &Path) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while let Err(err) = health::https_get(address, MiniStack::READY, authority) {
            let ended = self.child.try_wait().context("cannot look after an enforcing MiniStack")?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("{} did not start: {err:#}; {}", MiniStack.name(), log::tail(&self.log));
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for EnforcingAws {
    fn drop(&mut self) {
        held::end(&mut self.child);
        drop(install::remove_dir(&self.folder));
    }
}

impl Decision {
    /// Reads the decisions from a place in the file on, and returns them with the place after them.
    ///
    /// # Errors
    /// When the file cannot be read, or has something else in it.
    pub fn read(file: &Path, from: u64) -> Result<(Vec<Self>, u64)> {
        let mut decisions = File::open(file).context("cannot open the decisions")?;
        decisions.seek(SeekFrom::Start(from)).context("cannot read the decisions")?;
        let mut text = String::new();
        decisions.read_to_string(&mut text).context("cannot read the decisions")?;
        // The last line may not be whole yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let read = whole.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        Ok((read.context("expected decisions")?, from + whole.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn decision_that_is_half_written_is_read_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("decisions");
        let decision = |action: &str| {
            format!(r#"{{"principal":"p","action":"{action}","resource":"r","allowed":true}}"#) + "\n"
        };
        let (first, second) = (decision("s3:GetObject"), decision("s3:PutObject"));
        let (half, rest) = second.split_at(20);
        fs::write(&file, format!("{first}{half}")).unwrap();
        let (read, place) = Decision::read(&file, 0).unwrap();
        assert_eq!(
            read.iter().map(|decision| decision.action.as_str()).collect::<Vec<_>>(),
            ["s3:GetObject"]
        );
        fs::write(&file, format!("{first}{half}{rest}")).unwrap();
        let (read, place) = Decision::read(&file, place).unwrap();
        assert_eq!(
            read.iter().map(|decision| decision.action.as_str()).collect::<Vec<_>>(),
            ["s3:PutObject"]
        );
        assert_eq!(Decision::read(&file, place).unwrap(), (Vec::new(), place));
    }
}
