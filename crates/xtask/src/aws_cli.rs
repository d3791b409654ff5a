//! The AWS CLI, as a person would use it against the stack.

use std::{
    ffi::OsStr,
    io::Write,
    process::{Command, Output, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::stack::StackEnv;

/// Runs commands of the AWS CLI against MiniStack, and against nothing else.
#[derive(Clone, Copy, Debug)]
pub struct AwsCli<'a> {
    env: &'a StackEnv,
}

impl<'a> AwsCli<'a> {
    /// Speaks to this stack.
    pub fn new(env: &'a StackEnv) -> Self {
        Self { env }
    }

    /// Runs a command and returns what it printed; an error holds what it complained about.
    pub fn text<S: AsRef<OsStr>>(self, args: &[S]) -> Result<String> {
        self.text_with_input(args, "")
    }

    /// Like [`Self::text`], with something to read at `file:///dev/stdin`: a secret does not belong on a command line,
    /// which everybody on the machine can see.
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
        let mut child = self
            .env
            .apply_to(&mut Command::new(self.env.aws_cli()))
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

/// `cloudformation deploy`, for messages: what follows may be long, or nobody's business.
fn name<S: AsRef<OsStr>>(args: &[S]) -> String {
    let words: Vec<_> = args.iter().take(2).map(|arg| arg.as_ref().to_string_lossy()).collect();
    words.join(" ")
}
