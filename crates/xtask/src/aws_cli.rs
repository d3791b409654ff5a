//! The AWS CLI against the stack.

use std::{
    ffi::OsStr,
    fmt,
    io::Write,
    process::{Command, Output, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::stack::StackEnv;

/// Runs commands of the AWS CLI against MiniStack, and against nothing else.
#[derive(Clone, Copy, Debug)]
pub struct AwsCli<'a> {
    env: &'a StackEnv,
    session: Option<&'a Session>,
}

/// The temporary credentials of a role, as `sts assume-role` returns them.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Session {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
}

impl Session {
    /// Returns the key's id, the key, and the token that goes with them.
    pub fn credentials(&self) -> [&str; 3] {
        [&self.access_key_id, &self.secret_access_key, &self.session_token]
    }

    /// Makes a command act as the role.
    pub fn apply_to<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("AWS_ACCESS_KEY_ID", &self.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret_access_key)
            .env("AWS_SESSION_TOKEN", &self.session_token)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl<'a> AwsCli<'a> {
    /// Returns a CLI for this stack.
    pub fn new(env: &'a StackEnv) -> Self {
        Self { env, session: None }
    }

    /// Returns a CLI that acts as a role.
    #[must_use]
    pub fn with_session(self, session: &'a Session) -> Self {
        Self { session: Some(session), ..self }
    }

    /// Runs a command and returns what it printed; an error holds what it complained about.
    pub fn text<S: AsRef<OsStr>>(self, args: &[S]) -> Result<String> {
        self.text_with_input(args, "")
    }

    /// Runs a command with input at `file:///dev/stdin`: every user of the machine can see a command line,
    /// so a secret does not belong there.
    pub fn text_with_input<S: AsRef<OsStr>>(self, args: &[S], input: &str) -> Result<String> {
        let output = self.output(args, input)?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("aws {}: {}", name(args), complaint.trim());
        }
        String::from_utf8(output.stdout).with_context(|| format!("aws {} printed no text", name(args)))
    }

    /// Runs a command and returns the JSON that it printed; null when it printed nothing.
    pub fn json<S: AsRef<OsStr>>(self, args: &[S]) -> Result<Value> {
        let text = self.text(args)?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("aws {} printed no JSON", name(args)))
    }

    fn output<S: AsRef<OsStr>>(self, args: &[S], input: &str) -> Result<Output> {
        let mut command = Command::new(self.env.aws_cli());
        self.env.apply_to(&mut command);
        if let Some(session) = self.session {
            session.apply_to(&mut command);
        }
        let mut child = command
            .env("AWS_DEFAULT_OUTPUT", "json")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", self.env.aws_cli().display()))?;
        let stdin = child.stdin.take();
        thread::scope(|scope| {
            // Beside the reading, for neither side may wait for the other. A command that does not read is fine.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
            child.wait_with_output().context("cannot wait for the AWS CLI")
        })
    }
}

/// Returns the command's first words, such as `cloudformation deploy`. What follows may be long or secret.
fn name<S: AsRef<OsStr>>(args: &[S]) -> String {
    let words: Vec<_> = args.iter().take(2).map(|arg| arg.as_ref().to_string_lossy()).collect();
    words.join(" ")
}
