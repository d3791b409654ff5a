//! Notices through SNS. Each address is subscribed to the notices of one requester; programs get the job as JSON.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Builder;
use aws_sdk_sns::error::{BuildError, ProvideErrorMetadata as _, SdkError};
use aws_sdk_sns::operation::publish::PublishError;
use aws_sdk_sns::types::MessageAttributeValue;
use downpipe_core::notice::{Notice, Notifier, NotifyError};
use downpipe_core::requester::Requester;
use serde_json::{Map, Value};

/// The time to publish. It must end before the notify lease does; otherwise another worker publishes the notice, too.
const OPERATION: Duration = Duration::from_secs(20);
const ATTEMPT: Duration = Duration::from_secs(10);

/// Codes of a refusal of what is in a notice, and not of the topic or the permission.
const REFUSALS: [&str; 4] =
    ["InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "ValidationException"];

/// Protocols of programs, which get the job in place of the text.
const PROGRAMS: [&str; 4] = ["sqs", "http", "https", "lambda"];

/// A topic.
#[derive(Debug, Clone)]
pub struct SnsTopic {
    client: Client,
    arn: String,
}

/// Why an address was not subscribed.
#[derive(Debug, thiserror::Error)]
#[error("the topic could not be reached or refused the subscription")]
pub struct SubscribeError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl SnsTopic {
    /// Returns the topic of this ARN.
    #[must_use]
    pub fn new(config: &SdkConfig, arn: impl Into<String>) -> Self {
        Self { client: Client::new(config), arn: arn.into() }
    }

    /// Subscribes an address to the notices of one requester, usually the same. Without the filter, the address gets the notices of
    /// all requesters. SNS asks the address to confirm.
    ///
    /// # Errors
    /// When the topic cannot be reached or refuses.
    pub async fn subscribe(&self, email: &Requester, requester: &Requester) -> Result<(), SubscribeError> {
        let filter = serde_json::json!({ "recipient": [requester.as_str()] });
        self.client
            .subscribe()
            .topic_arn(&self.arn)
            .protocol("email")
            .endpoint(email.as_str())
            .attributes("FilterPolicy", filter.to_string())
            .send()
            .await
            .map(drop)
            .map_err(|error| SubscribeError(Box::new(error)))
    }
}

impl Notifier for SnsTopic {
    async fn publish(&self, notice: &Notice) -> Result<(), NotifyError> {
        // E-mail has no text of its own, so it gets the default.
        self.publish_texts(notice, &notice.body).await
    }
}

impl SnsTopic {
    /// Publishes the job for programs alone: all subscribers get it.
    ///
    /// # Errors
    /// When it was not taken.
    pub(crate) async fn publish_event(&self, notice: &Notice) -> Result<(), NotifyError> {
        self.publish_texts(notice, &notice.event.to_string()).await
    }

    /// Publishes a notice: its job to programs, and this text to everyone else.
    async fn publish_texts(&self, notice: &Notice, text: &str) -> Result<(), NotifyError> {
        let attributes = [
            ("recipient", notice.recipient.as_str()),
            ("export", &notice.export),
            ("status", notice.status.as_str()),
            ("job_id", &notice.job_id),
        ];
        let request = self.client.publish().topic_arn(&self.arn).subject(&notice.subject);
        let mut request = request.message(texts(text, &notice.event)).message_structure("json");
        for (name, value) in attributes {
            request = request.message_attributes(
                name,
                string(value).map_err(|error| NotifyError::Refused(Box::new(error)))?,
            );
        }
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(OPERATION).build();
        let sent = request.customize().config_override(Builder::new().timeout_config(timeouts)).send().await;
        sent.map(drop).map_err(classify)
    }
}

/// Returns the texts by protocol, as SNS takes them.
fn texts(text: &str, event: &Value) -> String {
    let event = Value::from(event.to_string());
    let programs = PROGRAMS.map(|protocol| (protocol.to_owned(), event.clone()));
    let texts: Map<String, Value> =
        [("default".to_owned(), text.into())].into_iter().chain(programs).collect();
    Value::from(texts).to_string()
}

/// Sorts an error of SNS. Keeps only the code of a refusal, because its words may quote the notice.
fn classify(error: SdkError<PublishError>) -> NotifyError {
    match error.as_service_error().and_then(|refusal| refusal.code()) {
        Some(code) if REFUSALS.contains(&code) => NotifyError::Refused(format!("SNS answered {code}").into()),
        _ => NotifyError::Unavailable(Box::new(error)),
    }
}

/// Returns an attribute of a message.
fn string(value: &str) -> Result<MessageAttributeValue, BuildError> {
    MessageAttributeValue::builder().data_type("String").string_value(value).build()
}
