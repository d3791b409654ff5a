//! The SDK's errors, sorted once by what callers do about them.

use std::error::Error;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use downpipe_core::store::StoreError;

/// Codes of a refusal of bytes that were damaged on their way.
pub(crate) const DAMAGED: [&str; 2] = ["BadDigest", "XAmzContentSHA256Mismatch"];

/// Codes of a refusal that is about this moment.
const PASSING: [&str; 8] = [
    "ConditionalRequestConflict",
    "InternalError",
    "InvalidPart",
    "NoSuchUpload",
    "OperationAborted",
    "PreconditionFailed",
    "RequestTimeout",
    "SlowDown",
];

/// Whether it may work another time.
pub(crate) fn is_passing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::ServiceError(refusal) => {
            let status = refusal.raw().status().as_u16();
            let code = refusal.err().code().unwrap_or_default();
            status >= 500 || status == 429 || PASSING.contains(&code) || DAMAGED.contains(&code)
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    }
}

/// An error of S3.
pub(crate) fn of_store<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if is_passing(&error) {
        StoreError::Unavailable { operation, source: Box::new(error) }
    } else {
        StoreError::Refused { operation, source: Box::new(error) }
    }
}

/// Whether S3 says that something is not there.
pub(crate) fn is_absent<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>, code: &str) -> bool {
    match error {
        // A HEAD has no body, so all it can say is the status.
        SdkError::ServiceError(refusal) => {
            refusal.err().code() == Some(code) || refusal.raw().status().as_u16() == 404
        }
        _ => false,
    }
}
