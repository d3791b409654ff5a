//! The e-mails that the local SES has sent. It delivers none of them, and shows them all.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::console::Console;
use crate::aws_cli::AwsCli;
use crate::stack::{StackEnv, http_get};

const TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// The mails that were sent.
pub(super) struct Inbox<'a> {
    env: &'a StackEnv,
}

/// An e-mail, as a person without HTML sees it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Mail {
    source: String,
    to: Vec<String>,
    subject: String,
    body_text: String,
}

impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, to, subject, body_text } = self;
        write!(f, "From: {source}\nTo: {}\nSubject: {subject}\n\n{}", to.join(", "), body_text.trim_end())
    }
}

/// Has SES verify an address. Doing it again changes nothing.
pub(super) fn verify(aws: AwsCli<'_>, console: &Console, address: &str) -> Result<()> {
    let verify = ["ses", "verify-email-identity", "--email-address", address];
    console.command(&[&["aws"], &verify[..]].concat());
    aws.text(&verify).map(drop)
}

impl<'a> Inbox<'a> {
    /// Returns the mails that the SES of this stack has sent.
    pub(super) fn of(env: &'a StackEnv) -> Self {
        Self { env }
    }

    /// Waits for the mail about this job.
    pub(super) fn wait_for(&self, job: &str) -> Result<Mail> {
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            if let Some(mail) = self.sent()?.into_iter().find(|mail| mail.body_text.contains(job)) {
                return Ok(mail);
            }
            thread::sleep(POLL);
        }
        bail!("no mail about the job {job} came within {} s", TIMEOUT.as_secs());
    }

    fn sent(&self) -> Result<Vec<Mail>> {
        let address = self.env.aws_endpoint_url.trim_start_matches("http://").trim_end_matches('/');
        let answer: Value = serde_json::from_str(&http_get(address, "/_ministack/ses/messages")?)?;
        let accounts = answer["messages"].as_object().context("SES lists no mails")?;
        let mails = accounts.values().filter_map(Value::as_array).flatten();
        mails
            .map(|mail| serde_json::from_value(mail.clone()).context("a mail is not what SES lists"))
            .collect()
    }
}
