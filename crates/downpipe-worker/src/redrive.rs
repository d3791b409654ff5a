//! Dead letters put back: messages that could not be recorded, or whose requester could not be told, when whatever was in the way
//! is not any more.

use std::collections::BTreeSet;
use std::time::Duration;

use downpipe_aws::{Received, SqsQueue};
use downpipe_core::job::{JobId, NewJob};
use downpipe_core::ledger::{Ledger, LedgerError};
use downpipe_core::message::{ExportMessage, Message};
use downpipe_core::queue::{Queue as _, QueueError};
use serde::Serialize;

/// How long a question to the dead letters waits for one: where there are any, they are there.
const WAIT: Duration = Duration::from_secs(1);

/// How long a dead letter is hidden from others who put it back: longer than that takes.
const HIDE: Duration = Duration::from_secs(60);

/// What becomes of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redriven {
    /// The queue's id of it, the same as when it was first sent.
    pub message_id: String,
    /// The job it is of.
    pub job: JobId,
    /// Whether the ledger knows the job: then it goes on, or its requester is told; else it is accepted as if it had just been
    /// sent.
    pub known: bool,
}

/// Why dead letters are still where they were.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// One of the queues.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Puts dead letters back on their queue, one after the other, until there are none; or only looks at them. Were it to break off
/// between sending a message and deleting the dead letter, that would be sent once more, which does no harm: it is the same job.
///
/// # Errors
/// At the first that could not be put back. Those before are.
pub async fn redrive<L: Ledger>(
    ledger: &L,
    queue: &SqsQueue,
    dead_letters: &SqsQueue,
    dry_run: bool,
) -> Result<Vec<Redriven>, RedriveError> {
    let mut redriven = Vec::new();
    let mut seen = Vec::new();
    let mut ids = BTreeSet::new();
    while let Some(letter) = dead_letters.receive(WAIT, HIDE).await? {
        seen.push(letter.receipt_handle.clone());
        if !ids.insert(letter.message_id.clone()) {
            break;
        }
        let (body, what) = put_back(ledger, &letter).await?;
        if !dry_run {
            queue.send(&body).await?;
            dead_letters.delete(&letter.receipt_handle).await?;
        }
        redriven.push(what);
    }
    if dry_run {
        for handle in seen {
            dead_letters.return_after(&handle, Duration::ZERO).await?;
        }
    }
    Ok(redriven)
}

/// The message that a dead letter becomes.
async fn put_back<L: Ledger>(ledger: &L, letter: &Received) -> Result<(String, Redriven), LedgerError> {
    let Received { message_id, body, .. } = letter;
    let message = Message::parse(body);
    let job = match (NewJob::of(&message, message_id, body), &message) {
        (Some(job), _) => job.id,
        (None, Ok(Message::Continue(id))) => id.clone(),
        (None, _) => unreachable!("everything but a continuation becomes a job"),
    };
    let found = ledger.find(&job).await?;
    let known = found.is_some();
    let body = match (found, message) {
        (Some(found), _) => Message::Continue(found.id).to_json(),
        // Its new message has another id, by which it would be another job.
        (None, Ok(Message::Export(message))) if message.request_id.is_none() => {
            ExportMessage { request_id: Some(message_id.clone()), ..message }.to_json()
        }
        (None, _) => body.clone(),
    };
    Ok((body, Redriven { message_id: message_id.clone(), job, known }))
}

#[cfg(test)]
mod tests {
    use downpipe_core::testing::MemoryLedger;

    use super::*;

    fn letter(body: &str) -> Received {
        Received {
            message_id: "a-message".to_owned(),
            receipt_handle: "handle".to_owned(),
            body: body.to_owned(),
            receive_count: 6,
        }
    }

    fn job_of(body: &str, message_id: &str) -> NewJob {
        NewJob::of(&Message::parse(body), message_id, body).unwrap()
    }

    #[tokio::test]
    async fn a_job_stays_the_same_whatever_its_message_says() {
        let ledger = MemoryLedger::new();
        for body in [
            r#"{"export":"orders","params":{"n":0.10},"requested_by":"alice@example.com"}"#,
            r#"{"export":"orders","request_id":"a-click"}"#,
            r#"{"export":"orders","colour":"red","request_id":"a-click"}"#,
        ] {
            let (again, what) = put_back(&ledger, &letter(body)).await.unwrap();
            let job = job_of(body, "a-message");
            assert_eq!((&what.job, what.known), (&job.id, false), "{body}");
            assert_eq!(job_of(&again, "another-message").id, job.id, "{again}");
            ledger.accept(&job).await.unwrap();
            let (again, what) = put_back(&ledger, &letter(body)).await.unwrap();
            assert_eq!((again, what.known), (Message::Continue(job.id).to_json(), true));
        }
        for body in ["test", r#"{"continue":"0123456789abcdef01234567"}"#] {
            let (again, _) = put_back(&ledger, &letter(body)).await.unwrap();
            assert_eq!(again, body, "as it is");
        }
    }

    /// The same request of the same person was under way when it came.
    #[tokio::test]
    async fn another_name_for_a_job_leads_to_it() {
        let ledger = MemoryLedger::new();
        let body = r#"{"export":"orders","request_id":"a-click"}"#;
        let same = |job: NewJob| NewJob { sameness: Some("the same".to_owned()), ..job };
        let first = ledger.accept(&same(job_of(body, "m"))).await.unwrap();
        let twice = body.replace("a-click", "another-click");
        assert_eq!(ledger.accept(&same(job_of(&twice, "m"))).await.unwrap(), first);
        let (again, what) = put_back(&ledger, &letter(&twice)).await.unwrap();
        assert_eq!((again, what.known), (Message::Continue(first).to_json(), true));
    }
}
