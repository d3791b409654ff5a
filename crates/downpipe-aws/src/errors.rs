//! Sorts the SDK's errors by what callers do about them.

use std::error::Error;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use downpipe_core::store::StoreError;

/// Codes of S3 for bytes that were damaged on their way.
pub(crate) const DAMAGED: [&str; 2] = ["BadDigest", "XAmzContentSHA256Mismatch"];

/// Codes of S3 for a refusal that may not come again.
const TRANSIENT: [&str; 8] = [
    "ConditionalRequestConflict",
    "InternalError",
    "InvalidPart",
    "NoSuchUpload",
    "OperationAborted",
    "PreconditionFailed",
    "RequestTimeout",
    "SlowDown",
];

/// Returns whether a retry may succeed.
pub(crate) fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::ServiceError(refusal) => {
            let status = refusal.raw().status().as_u16();
            let code = refusal.err().code().unwrap_or_default();
            status >= 500 || status == 429 || TRANSIENT.contains(&code) || DAMAGED.contains(&code)
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    }
}

/// Returns an error of S3 as the store's error.
pub(crate) fn store_error<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if is_transient(&error) {
        StoreError::Unavailable { operation, source: Box::new(error) }
    } else {
        StoreError::Refused { operation, source: Box::new(error) }
    }
}

/// Returns the service's code, if the service refused.
pub(crate) fn code_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// Returns whether S3 says that an object or upload does not exist.
pub(crate) fn is_absent<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>, code: &str) -> bool {
    match error {
        // The answer to a HEAD has no body, so only the status tells.
        SdkError::ServiceError(refusal) => {
            refusal.err().code() == Some(code) || refusal.raw().status().as_u16() == 404
        }
        _ => false,
    }
}
