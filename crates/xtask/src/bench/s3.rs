//! Servers for S3: the stack's LocalStack, or one of our own that costs almost nothing.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{aws_cli::AwsCli, stack::StackEnv};

/// The bucket that exports go to.
pub(super) const BUCKET: &str = "bench";

/// A server for S3; one of our own ends with this value.
pub(super) struct S3 {
    /// The stack's, but for the endpoint.
    env: StackEnv,
    process: Option<Child>,
}

impl S3 {
    /// Returns the stack's LocalStack.
    pub(super) fn local_stack(env: &StackEnv) -> Result<Self> {
        let endpoint = env.localstack_endpoint_url().context("the stack is not up for the tests")?;
        let env = StackEnv { aws_endpoint_url: endpoint.to_owned(), ..env.clone() };
        let s3 = Self { env, process: None };
        s3.aws(&["create-bucket", "--bucket", BUCKET])?;
        Ok(s3)
    }

    /// `s3-server` of the programs that are built for this, with its objects in a folder.
    pub(super) fn start(env: &StackEnv, program: &Path, folder: &Path) -> Result<Self> {
        // What it had before would only take up the disk.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder.join(BUCKET))
            .with_context(|| format!("cannot make {}", folder.display()))?;
        Self::spawn(env, Command::new(program).arg("--dir").arg(folder))
    }

    /// Starts `s3-server` so that it keeps nothing, and delays its answer to every part this long.
    pub(super) fn discarding(env: &StackEnv, program: &Path, part_delay_ms: u64) -> Result<Self> {
        let delay = part_delay_ms.to_string();
        Self::spawn(env, Command::new(program).args(["--discard", "--part-delay-ms", &delay]))
    }

    fn spawn(env: &StackEnv, command: &mut Command) -> Result<Self> {
        let program = Path::new(command.get_program()).to_owned();
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let mut line = String::new();
        let output = process.stdout.take().context("s3-server has no output")?;
        // From here on it ends with this value, whatever it says.
        let mut s3 = Self { env: env.clone(), process: Some(process) };
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ");
        let address =
            address.with_context(|| format!("s3-server: expected `listening on …`, got {line:?}"))?;
        s3.env.aws_endpoint_url = format!("http://{address}");
        // Some servers want to be told of a bucket, and some take any.
        let _ = s3.aws(&["create-bucket", "--bucket", BUCKET]);
        Ok(s3)
    }

    /// Returns its address.
    pub(super) fn endpoint(&self) -> &str {
        &self.env.aws_endpoint_url
    }

    /// Makes a command use this server.
    pub(super) fn apply_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        self.env.apply_to(command)
    }

    /// Removes an object and returns the size that it had.
    pub(super) fn take(&self, key: &str) -> Result<u64> {
        let place = ["--bucket", BUCKET, "--key", key];
        let head = AwsCli::new(&self.env).json(&[&["s3api", "head-object"], &place[..]].concat())?;
        self.aws(&[&["delete-object"], &place[..]].concat())?;
        head["ContentLength"].as_u64().with_context(|| format!("{key}: the object has no size"))
    }

    fn aws(&self, args: &[&str]) -> Result<()> {
        AwsCli::new(&self.env).text(&[&["s3api"], args].concat()).map(drop)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
