//! How long S3 may take: the settings' own time for a small request, and more for a large one.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::Builder;

use crate::client::{ATTEMPT_TIMEOUT, OPERATION_TIMEOUT};

/// What a request may take that carries next to nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// One try.
    attempt: Duration,
    /// All tries.
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

    /// Settings for what takes so much longer.
    pub(super) fn plus(self, longer: Duration) -> TimeoutConfig {
        TimeoutConfig::builder()
            .operation_attempt_timeout(self.attempt + longer)
            .operation_timeout(self.operation + longer)
            .build()
    }

    /// Settings for what S3 may take minutes to do, sending little more than white space meanwhile.
    pub(super) fn at_leisure(self) -> Builder {
        Builder::new()
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(self.operation).build())
    }
}
