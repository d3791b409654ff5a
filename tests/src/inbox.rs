//! Receives what a topic publishes for programs, with subject and attributes, through a queue that is subscribed
//! without a filter.

use aws_config::SdkConfig;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use crate::aws;

/// A queue that receives all messages of a topic.
#[derive(Debug)]
pub struct Inbox {
    config: SdkConfig,
    queue: String,
}

/// A notice as the topic gives it to a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The subject.
    pub subject: String,
    /// `{"event": …, "job": {…}}`
    pub event: Value,
    /// `recipient`, `export`, `status`, `job_id`.
    pub attributes: [String; 4],
}

impl Inbox {
    /// Subscribes a new queue to this topic.
    pub async fn of(config: &SdkConfig, topic: &str) -> Self {
        let queue = aws::queue(config).await;
        let endpoint = aws::queue_arn(config, &queue).await;
        // SNS delivers only where the queue's policy lets it. The local stacks ask for that only where they enforce permissions.
        let policy = serde_json::json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "sns.amazonaws.com" }, "Action": "sqs:SendMessage",
            "Resource": endpoint, "Condition": { "ArnEquals": { "aws:SourceArn": topic } },
        }] });
        let set = aws_sdk_sqs::Client::new(config).set_queue_attributes().queue_url(&queue);
        set.attributes(QueueAttributeName::Policy, policy.to_string()).send().await.unwrap();
        let sns = aws_sdk_sns::Client::new(config);
        sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(endpoint).send().await.unwrap();
        Self { config: config.clone(), queue }
    }

    /// Takes the e-mails published so far. The next call returns only later ones.
    pub async fn take(&self) -> Vec<Mail> {
        let client = aws_sdk_sqs::Client::new(&self.config);
        let mut mails = Vec::new();
        loop {
            let asked = client.receive_message().queue_url(&self.queue).max_number_of_messages(10);
            let received = asked.send().await.unwrap();
            if received.messages().is_empty() {
                return mails;
            }
            for message in received.messages() {
                mails.push(mail(message.body().unwrap()));
                let handle = message.receipt_handle().unwrap();
                client.delete_message().queue_url(&self.queue).receipt_handle(handle).send().await.unwrap();
            }
        }
    }
}

fn mail(envelope: &str) -> Mail {
    let envelope: Value = serde_json::from_str(envelope).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let attribute = |name: &str| text(&envelope["MessageAttributes"][name]["Value"]);
    Mail {
        subject: text(&envelope["Subject"]),
        event: serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap(),
        attributes: ["recipient", "export", "status", "job_id"].map(attribute),
    }
}
