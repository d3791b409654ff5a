//! The notices, caught before they become e-mail.
//!
//! MiniStack delivers no e-mail. SNS gives the same notice to every subscriber, so the demo subscribes a queue with the
//! filter that `downpipe subscribe` would give to Alice's address.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::console::Console;
use crate::aws_cli::AwsCli;

const QUEUE: &str = "downpipe-demo-inbox";
const TIMEOUT: Duration = Duration::from_secs(30);

/// Alice's inbox.
pub(super) struct Inbox {
    url: String,
}

/// An e-mail's two parts that are ours; the frame is SNS's own.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Mail {
    subject: String,
    message: String,
    message_attributes: Value,
}

impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject: {}\n\n{}", self.subject, self.message.trim_end())
    }
}

impl Inbox {
    /// Subscribes the inbox to the notices for `recipient`. Doing it again changes nothing.
    pub(super) fn subscribe(
        aws: AwsCli<'_>,
        console: &Console,
        topic: &str,
        recipient: &str,
    ) -> Result<Self> {
        let answer = aws.json(&["sqs", "create-queue", "--queue-name", QUEUE])?;
        let url = answer["QueueUrl"].as_str().context("the inbox has no address")?.to_owned();
        let question = ["sqs", "get-queue-attributes", "--queue-url", &url, "--attribute-names", "QueueArn"];
        let answer = aws.json(&question)?;
        let arn = answer["Attributes"]["QueueArn"].as_str().context("the inbox has no ARN")?;
        // The queue's policy would have to let the topic in on AWS.
        let filter = json!({"FilterPolicy": json!({"recipient": [recipient]}).to_string()}).to_string();
        let endpoint = ["--protocol", "sqs", "--notification-endpoint", arn, "--attributes", &filter];
        let subscribe = [&["sns", "subscribe", "--topic-arn", topic], &endpoint[..]].concat();
        console.command(&[&["aws"], &subscribe[..]].concat());
        aws.text(&subscribe)?;
        Ok(Self { url })
    }

    /// Waits for the notice about this job. What earlier runs left behind is thrown away.
    pub(super) fn wait_for(&self, aws: AwsCli<'_>, job: &str) -> Result<Mail> {
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            let mut mails = self.receive(aws)?.into_iter();
            if let Some(mail) = mails.find(|mail| mail.message_attributes["job_id"]["Value"] == job) {
                return Ok(mail);
            }
        }
        bail!("no notice about the job {job} came within {} s", TIMEOUT.as_secs());
    }

    fn receive(&self, aws: AwsCli<'_>) -> Result<Vec<Mail>> {
        let queue = ["--queue-url", self.url.as_str()];
        let receive =
            ["sqs", "receive-message", "--max-number-of-messages", "10", "--wait-time-seconds", "5"];
        let answer = aws.json(&[&receive[..], &queue[..]].concat())?;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        let mut mails = Vec::new();
        for message in &messages {
            let body = message["Body"].as_str().context("a notice has no body")?;
            mails.push(serde_json::from_str(body).context("a notice is not what SNS sends")?);
        }
        let entries: Vec<Value> = messages
            .iter()
            .enumerate()
            .map(|(id, message)| json!({"Id": id.to_string(), "ReceiptHandle": message["ReceiptHandle"]}))
            .collect();
        if !entries.is_empty() {
            let entries = Value::from(entries).to_string();
            aws.text(&[&["sqs", "delete-message-batch", "--entries", &entries], &queue[..]].concat())?;
        }
        Ok(mails)
    }
}
