//! Timeouts of S3: the settings' own for a small request, and longer ones for a large one.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::Builder;

use crate::client::{ATTEMPT_TIMEOUT, OPERATION_TIMEOUT};

/// The timeouts of a request that carries next to nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// Of one attempt.
    attempt: Duration,
    /// Of all attempts.
    operation: Duration,
}

impl Timeouts {
    pub(super) fn of(config: &SdkConfig) -> Self {
        let set = config.timeout_config();
        let attempt = set.and_then(TimeoutConfig::operation_attempt_timeout);
        let operation = set.and_then(TimeoutConfig::operation_timeout);
        Self {
            attempt: attempt.unwrap_or(ATTEMPT_TIMEOUT),
            operation: operation.unwrap_or(OPERATION_TIMEOUT),
        }
    }

    /// Returns settings for a request that takes so much longer.
    pub(super) fn plus(self, longer: Duration) -> TimeoutConfig {
        TimeoutConfig::builder()
            .operation_attempt_timeout(self.attempt + longer)
            .operation_timeout(self.operation + longer)
            .build()
    }

    /// Returns settings for a request for which S3 may take minutes, sending little more than white space meanwhile.
    pub(super) fn at_leisure(self) -> Builder {
        Builder::new()
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(self.operation).build())
    }
}
