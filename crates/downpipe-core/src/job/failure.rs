//! Why a job failed, for the requester and the operator to read.

use serde::Serialize;

/// Why a job, or one attempt at it, failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Failure {
    /// A stable name for programs, such as `rejected` or `query_failed`.
    pub code: String,
    /// What happened, in words for the person who asked.
    pub message: String,
    /// What that person can do about it.
    pub advice: String,
    /// Whether only the operator can fix the cause, and is notified too. An entry from before the field has `false`.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub for_operator: bool,
    /// Messages of drivers and services, for the operator. They may quote the data, so they go to the ledger and never to a log or
    /// an e-mail.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}
