//! E-mail through SNS. People are subscribed one by one, each to their own notices.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Builder;
use aws_sdk_sns::error::BuildError;
use aws_sdk_sns::types::MessageAttributeValue;
use downpipe_core::notice::{Notice, Notifier, NotifyError, recipient_of};

/// Publishing must end before the right to tell the requester runs out, or somebody else tells them too.
const OPERATION: Duration = Duration::from_secs(20);
const ATTEMPT: Duration = Duration::from_secs(10);

/// A topic.
#[derive(Debug, Clone)]
pub struct SnsTopic {
    client: Client,
    arn: String,
}

/// Nobody was subscribed.
#[derive(Debug, thiserror::Error)]
#[error("the topic could not be reached or refused the subscription")]
pub struct SubscribeError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl SnsTopic {
    /// The topic of this ARN.
    #[must_use]
    pub fn new(config: &SdkConfig, arn: impl Into<String>) -> Self {
        Self { client: Client::new(config), arn: arn.into() }
    }

    /// Subscribes an address to the notices of one requester, usually the same: without the filter it would get
    /// everybody's. SNS asks whoever reads mail there to confirm.
    ///
    /// # Errors
    /// When the topic cannot be reached or refuses.
    pub async fn subscribe(&self, email: &str, requester: &str) -> Result<(), SubscribeError> {
        let filter = serde_json::json!({ "recipient": [recipient_of(requester)] });
        self.client
            .subscribe()
            .topic_arn(&self.arn)
            .protocol("email")
            .endpoint(email)
            .attributes("FilterPolicy", filter.to_string())
            .send()
            .await
            .map(drop)
            .map_err(|error| SubscribeError(Box::new(error)))
    }
}

impl Notifier for SnsTopic {
    async fn publish(&self, notice: &Notice) -> Result<(), NotifyError> {
        let attributes = [
            ("recipient", notice.recipient.as_str()),
            ("export", &notice.export),
            ("status", notice.status.as_str()),
            ("job_id", &notice.job_id),
        ];
        let mut request =
            self.client.publish().topic_arn(&self.arn).subject(&notice.subject).message(&notice.body);
        for (name, value) in attributes {
            request = request.message_attributes(name, string(value).map_err(|e| NotifyError(Box::new(e)))?);
        }
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(OPERATION).build();
        let sent = request.customize().config_override(Builder::new().timeout_config(timeouts)).send().await;
        sent.map(drop).map_err(|error| NotifyError(Box::new(error)))
    }
}

fn string(value: &str) -> Result<MessageAttributeValue, BuildError> {
    MessageAttributeValue::builder().data_type("String").string_value(value).build()
}
