//! Why a file could not be stored.

use std::error::Error;

/// Why a file could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer, or not in time. A retry may succeed.
    #[error("{operation}: the store could not be reached or did not answer in time")]
    Unavailable {
        /// The operation that failed.
        operation: &'static str,
        /// The client's error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store refused, and a retry will not help: no permission, no such bucket.
    #[error("{operation}: the store refused")]
    Refused {
        /// The operation that failed.
        operation: &'static str,
        /// The store's error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The key holds an object that is not ours.
    #[error("the key holds an object of {holder} already")]
    Exists {
        /// The job and attempt that wrote it, as far as they are known.
        holder: String,
    },
    /// The object has not the size that was sent.
    #[error("the stored object has {actual} bytes, expected {expected}")]
    SizeMismatch {
        /// Bytes sent.
        expected: u64,
        /// Bytes found.
        actual: u64,
    },
    /// The object has the right size and other content than was sent.
    #[error("the stored object has the checksum {actual}, expected {expected}")]
    ChecksumMismatch {
        /// CRC-64/NVME of what was sent, in base64.
        expected: String,
        /// The checksum that the store computed.
        actual: String,
    },
}
