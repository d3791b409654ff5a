//! Sorts DynamoDB's errors by what the ledger does about them.
//!
//! DynamoDB's messages can quote values of an item, so an error has its code and nothing else.

use std::error::Error;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use downpipe_core::ledger::LedgerError;

/// The code of a condition that does not hold, of a single write and within a transaction.
const CONDITION_FAILED: [&str; 2] = ["ConditionalCheckFailedException", "ConditionalCheckFailed"];

/// Codes of a refusal that may not come again, of a request and within a transaction.
const TRANSIENT: [&str; 11] = [
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// The code of a transaction of which at least one item was refused.
const CANCELLED: &str = "TransactionCanceledException";

/// Codes that a table gives which is missing, or is not as it has to be.
const WRONG_TABLE: [&str; 2] = ["ResourceNotFoundException", "ValidationException"];

/// What came of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The table has it.
    Done,
    /// A condition did not hold, so nothing is written.
    Refused,
}

/// What a service's refusal is made of.
pub(super) trait Refusal: ProvideErrorMetadata {
    /// Returns the codes of a cancelled transaction's items. Empty for any other error.
    fn item_codes(&self) -> Vec<&str> {
        Vec::new()
    }
}

impl Refusal for PutItemError {}
impl Refusal for UpdateItemError {}
impl Refusal for DeleteItemError {}

impl Refusal for TransactWriteItemsError {
    fn item_codes(&self) -> Vec<&str> {
        let Self::TransactionCanceledException(cancelled) = self else { return Vec::new() };
        let codes = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
        codes.filter(|code| *code != "None").collect()
    }
}

/// Returns what came of a write.
pub(super) fn written<T, E>(result: Result<T, SdkError<E, HttpResponse>>) -> Result<Written, LedgerError>
where
    E: Refusal + Error + Send + Sync + 'static,
{
    let error = match result {
        Ok(_) => return Ok(Written::Done),
        Err(error) => error,
    };
    let Some(refusal) = error.as_service_error() else { return Err(ledger_error(error)) };
    let codes = codes_of(refusal);
    if codes.iter().any(|code| CONDITION_FAILED.contains(code)) {
        return Ok(Written::Refused);
    }
    if refusal.code() == Some(CANCELLED) {
        let code = format!("{CANCELLED} ({})", codes.join(", "));
        return Err(refused(code, codes.iter().all(|code| TRANSIENT.contains(code))));
    }
    Err(ledger_error(error))
}

fn codes_of(refusal: &impl Refusal) -> Vec<&str> {
    match refusal.code() {
        Some(CANCELLED) => refusal.item_codes(),
        code => code.into_iter().collect(),
    }
}

/// Returns an error of DynamoDB as the ledger's.
pub(super) fn ledger_error<E>(error: SdkError<E, HttpResponse>) -> LedgerError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let SdkError::ServiceError(refusal) = &error else {
        let unsent = matches!(error, SdkError::ConstructionFailure(_));
        let source = Box::new(error);
        return if unsent { LedgerError::Failed(source) } else { LedgerError::Unavailable(source) };
    };
    let code = refusal.err().code().unwrap_or("no code").to_owned();
    let transient = refusal.raw().status().is_server_error()
        || refusal.raw().status().as_u16() == 429
        || TRANSIENT.contains(&code.as_str());
    refused(code, transient)
}

fn refused(code: String, transient: bool) -> LedgerError {
    let source = Box::new(DynamoDbError { code });
    if transient { LedgerError::Unavailable(source) } else { LedgerError::Failed(source) }
}

/// A refusal of DynamoDB.
#[derive(Debug, thiserror::Error)]
#[error("DynamoDB answered {code}{}", hint(code))]
pub(super) struct DynamoDbError {
    code: String,
}

/// Returns what an operator does about a code, if that is known.
fn hint(code: &str) -> &'static str {
    match code {
        "AccessDeniedException" => {
            ": the credentials may not do this with the table; docs/aws.md lists the permissions that the ledger needs"
        }
        "UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException" => {
            ": it does not accept the credentials, or this machine's clock is wrong by minutes"
        }
        _ => "",
    }
}

/// Returns whether an error may come from a table that is not as it has to be.
pub(super) fn may_be_wrong_table(error: &LedgerError) -> bool {
    let LedgerError::Failed(source) = error else { return false };
    source.downcast_ref::<DynamoDbError>().is_some_and(|error| WRONG_TABLE.contains(&error.code.as_str()))
}

/// Returns an error that a retry does not help.
pub(super) fn failed(reason: impl Into<Box<dyn Error + Send + Sync>>) -> LedgerError {
    LedgerError::Failed(reason.into())
}

/// Retries a write that met a transaction. The SDK takes that for a mistake of the sender.
#[derive(Debug)]
pub(super) struct RetryConflicts;

impl ClassifyRetry for RetryConflicts {
    fn name(&self) -> &'static str {
        "writes that met a transaction"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error =
            context.output_or_error().and_then(Result::err).and_then(|error| error.as_operation_error());
        let Some(error) = error else { return RetryAction::NoActionIndicated };
        let codes = None
            .or_else(|| error.downcast_ref::<TransactWriteItemsError>().map(codes_of))
            .or_else(|| error.downcast_ref::<UpdateItemError>().map(codes_of))
            .or_else(|| error.downcast_ref::<PutItemError>().map(codes_of))
            .or_else(|| error.downcast_ref::<DeleteItemError>().map(codes_of))
            .unwrap_or_default();
        if !codes.is_empty() && codes.iter().all(|code| TRANSIENT.contains(code)) {
            RetryAction::transient_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }
}
