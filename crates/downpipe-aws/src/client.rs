//! The settings all AWS clients share. Region, credentials and endpoints are the SDK's own to find.

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

/// The SDK sets no limit of its own on how long an operation may take. This one, all retries included, is well below the
/// half hour for which MySQL waits for a reader that is held up by S3.
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_secs(300);
/// One try of an operation that carries no more than one small part.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// By default a transfer that stands still for five seconds fails, which a busy store does not deserve.
const STALL_GRACE: Duration = Duration::from_secs(30);
const MAX_ATTEMPTS: u32 = 5;

/// Loads the AWS settings of this process, with timeouts and retries set.
pub async fn load_config() -> SdkConfig {
    // One crypto library in the whole binary, the one that the database connection uses as well.
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

/// A client for S3. Local stand-ins have no host name for each bucket, so the bucket goes into the path there.
pub(crate) fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let local = config.endpoint_url().is_some();
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(local);
    aws_sdk_s3::Client::from_conf(config.retry_classifier(DamagedBodies).build())
}

/// Has a body sent again that was damaged on its way, as its checksum shows. The SDK takes that for a mistake of the sender's.
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
