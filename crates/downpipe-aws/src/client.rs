//! The settings of all AWS clients. The SDK finds region, credentials and endpoints itself.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::operation::upload_part::UploadPartError;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};

use crate::errors::DAMAGED;

/// The time of an operation, all retries included; the SDK has no limit of its own. MySQL waits half an hour for a reader that S3
/// holds up, so this is well below.
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_secs(300);
/// The time of one try of an operation that sends at most one small part.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a transfer may stand still. The default of five seconds is too short for a busy store.
const STALL_GRACE: Duration = Duration::from_secs(30);
const MAX_ATTEMPTS: u32 = 5;

/// Limits of a request that a person waits for: they are told soon that the service does not answer.
const PERSON_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const PERSON_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
const PERSON_TIMEOUT: Duration = Duration::from_secs(4);
const PERSON_MAX_ATTEMPTS: u32 = 2;

/// Loads the AWS settings of this process, with timeouts and retries set.
pub async fn load_config() -> SdkConfig {
    // The crypto library that the database connection uses, so that the binary has only one.
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(STALL_GRACE).build())
        .load()
        .await
}

/// Returns these settings for requests that a person waits for: a service that is away is given up after seconds.
#[must_use]
pub fn while_a_person_waits(config: &SdkConfig) -> SdkConfig {
    let timeouts = config.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled).to_builder();
    let timeouts = timeouts
        .connect_timeout(PERSON_CONNECT_TIMEOUT)
        .operation_attempt_timeout(PERSON_ATTEMPT_TIMEOUT)
        .operation_timeout(PERSON_TIMEOUT)
        .build();
    let retries = RetryConfig::standard().with_max_attempts(PERSON_MAX_ATTEMPTS);
    config.to_builder().timeout_config(timeouts).retry_config(retries).build()
}

/// Returns a client for S3. Local stand-ins have no host name for each bucket, so the bucket goes into the path there.
pub(crate) fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let local = config.endpoint_url().is_some();
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(local);
    aws_sdk_s3::Client::from_conf(config.retry_classifier(DamagedBodies).build())
}

/// Retries a body that was damaged on its way, as its checksum shows. The SDK takes that for a mistake of the sender.
#[derive(Debug)]
struct DamagedBodies;

impl ClassifyRetry for DamagedBodies {
    fn name(&self) -> &'static str {
        "bodies damaged on the way"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error =
            context.output_or_error().and_then(Result::err).and_then(|error| error.as_operation_error());
        let code = error.and_then(|error| {
            let part = error.downcast_ref::<UploadPartError>().and_then(|error| error.code());
            part.or_else(|| error.downcast_ref::<PutObjectError>()?.code())
        });
        match code {
            Some(code) if DAMAGED.contains(&code) => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }
}
