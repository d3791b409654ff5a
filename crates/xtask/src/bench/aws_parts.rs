//! A queue, a topic and a bucket for one measurement.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::aws_cli::AwsCli;
use crate::stack::StackEnv;

/// A queue, a topic and a bucket; all are deleted with this.
pub(super) struct AwsParts {
    /// Where they are.
    pub(super) env: StackEnv,
    /// The queue's URL.
    pub(super) queue: String,
    /// The topic's ARN.
    pub(super) topic: String,
    /// The bucket's name.
    pub(super) bucket: String,
}

impl AwsParts {
    /// Creates them at the AWS of this environment, under a name that no other run has.
    pub(super) fn create(env: StackEnv, name: &str) -> Result<Self> {
        let name = name.replace('_', "-");
        let aws = AwsCli::new(&env);
        let text = |value: &Value| value.as_str().map(str::to_owned).context("the answer has no such text");
        let queue = text(&aws.json(&["sqs", "create-queue", "--queue-name", &name])?["QueueUrl"])?;
        let topic = text(&aws.json(&["sns", "create-topic", "--name", &name])?["TopicArn"])?;
        aws.text(&["s3", "mb", &format!("s3://{name}")])?;
        Ok(Self { env, queue, topic, bucket: name })
    }

    fn delete(&self) -> Result<()> {
        let aws = AwsCli::new(&self.env);
        aws.text(&["sqs", "delete-queue", "--queue-url", &self.queue])?;
        aws.text(&["sns", "delete-topic", "--topic-arn", &self.topic])?;
        aws.text(&["s3", "rb", "--force", &format!("s3://{}", self.bucket)]).map(drop)
    }
}

impl Drop for AwsParts {
    fn drop(&mut self) {
        if let Err(error) = self.delete() {
            eprintln!("queue, topic or bucket {} is still there: {error:#}", self.bucket);
        }
    }
}
