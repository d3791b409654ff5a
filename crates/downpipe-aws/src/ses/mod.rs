//! E-mail through SES: text and HTML, one address a mail.

mod html;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::Builder;
use aws_sdk_sesv2::error::{BuildError, ProvideErrorMetadata as _, SdkError};
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use downpipe_core::error_chain::error_chain;
use downpipe_core::notice::{Notice, Notifier, NotifyError};
use downpipe_core::requester::Requester;
use tokio::task::JoinSet;

use crate::sns::SnsTopic;

/// The time to send. The topic's comes before it, and both must end before the notify lease does.
const OPERATION: Duration = Duration::from_secs(15);
const ATTEMPT: Duration = Duration::from_secs(8);

/// Codes of a refusal of what is in a mail, or of whom it goes to, and not of the account or the permission.
const REFUSALS: [&str; 4] =
    ["BadRequestException", "InvalidParameterValue", "MessageRejected", "ValidationException"];

/// What SES says of an address that is not verified, in an account that may write to verified ones only. That is the account's
/// fault, although the code is that of a refused mail.
const NOT_VERIFIED: &str = "Email address is not verified";

/// Sends mails, and gives programs the job by a topic.
#[derive(Debug, Clone)]
pub struct SesMailer {
    client: Client,
    from: String,
    operators: Vec<Requester>,
    topic: Option<SnsTopic>,
}

impl SesMailer {
    /// Creates a mailer that writes from this address, or `Name <address>`. What is for the operator goes to each of `operators`, or to
    /// the topic if there is none of them.
    #[must_use]
    pub fn new(
        config: &SdkConfig,
        from: impl Into<String>,
        operators: Vec<Requester>,
        topic: Option<SnsTopic>,
    ) -> Self {
        Self { client: Client::new(config), from: from.into(), operators, topic }
    }

    /// Writes to every operator. One of them who is reached is enough: if the notice were tried again, they would get it twice.
    async fn mail_operators(&self, notice: &Notice) -> Result<(), NotifyError> {
        let mails = self.operators.iter().map(|operator| {
            let (mailer, notice, operator) = (self.clone(), notice.clone(), operator.clone());
            async move { mailer.mail(&notice, &operator).await }
        });
        // All at once, because the notify lease is short.
        let sent = mails.collect::<JoinSet<_>>().join_all().await;
        let is_sent = sent.iter().any(Result::is_ok);
        let failed = sent.into_iter().filter_map(Result::err).inspect(|error| {
            tracing::error!(error = error_chain(error), "an operator could not be notified");
        });
        failed.last().filter(|_| !is_sent).map_or(Ok(()), Err)
    }

    async fn mail(&self, notice: &Notice, to: &Requester) -> Result<(), NotifyError> {
        let message = message(notice).map_err(|error| NotifyError::Refused(Box::new(error)))?;
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(OPERATION).build();
        let request = self
            .client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(EmailContent::builder().simple(message).build());
        let sent = request.customize().config_override(Builder::new().timeout_config(timeouts)).send().await;
        sent.map(drop).map_err(classify)
    }
}

impl Notifier for SesMailer {
    async fn publish(&self, notice: &Notice) -> Result<(), NotifyError> {
        let is_operators = notice.recipient.is_operator();
        match &self.topic {
            // The topic is the operator's only address, and takes the job along.
            Some(topic) if is_operators && self.operators.is_empty() => return topic.publish(notice).await,
            // Programs may get a job twice, a person no mail: so the topic comes first.
            Some(topic) if notice.is_of_the_job => topic.publish_event(notice).await?,
            _ => {}
        }
        if is_operators {
            self.mail_operators(notice).await
        } else {
            self.mail(notice, &notice.recipient).await
        }
    }
}

fn message(notice: &Notice) -> Result<Message, BuildError> {
    let content = |text: &str| Content::builder().data(text).charset("UTF-8").build();
    let mut body = Body::builder().text(content(&notice.body)?);
    if let Some(html) = html::html(notice) {
        body = body.html(content(&html)?);
    }
    Ok(Message::builder().subject(content(&notice.letter.subject)?).body(body.build()).build())
}

/// Sorts an error of SES. Keeps only the code of a refusal, because its words may quote the mail or its address.
fn classify(error: SdkError<SendEmailError>) -> NotifyError {
    let Some(refusal) = error.as_service_error() else { return NotifyError::Unavailable(Box::new(error)) };
    let is_unverified = refusal.message().is_some_and(|words| words.starts_with(NOT_VERIFIED));
    match refusal.code() {
        Some(code) if is_unverified => {
            NotifyError::Unavailable(format!("SES answered {code}: an address is not verified").into())
        }
        Some(code) if REFUSALS.contains(&code) => NotifyError::Refused(format!("SES answered {code}").into()),
        Some(code) => NotifyError::Unavailable(format!("SES answered {code}").into()),
        None => NotifyError::Unavailable(Box::new(error)),
    }
}
