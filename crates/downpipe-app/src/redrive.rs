//! Puts dead letters back on their queue: messages that could not be recorded, or whose requester could not be notified.

use std::collections::BTreeSet;
use std::time::Duration;

use downpipe_core::job::JobId;
use downpipe_core::ledger::{JobTable, Ledger, LedgerError};
use downpipe_core::message::{ExportMessage, Incoming, Message};
use downpipe_core::queue::{Delivery, Queue, QueueError};
use serde::Serialize;

/// How long one receive waits for a dead letter. Those that exist can be received at once.
const WAIT: Duration = Duration::from_secs(1);

/// How long a dead letter is hidden from other redrives: longer than putting it back takes.
const VISIBILITY: Duration = Duration::from_secs(60);

/// What becomes of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redriven {
    /// The queue's id of it, the same as when it was first sent.
    pub message_id: String,
    /// Its job.
    pub job: JobId,
    /// Whether the ledger knows the job. Then it is resumed, or its requester notified. Otherwise it is accepted as a new one.
    pub known: bool,
}

/// Why dead letters could not be put back.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// One of the queues failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Puts dead letters back on their queue, one after the other, until there are none. A dry run only looks at them.
///
/// If it breaks off between sending a message and deleting the dead letter, the message is sent twice. That does no harm, because it is
/// the same job.
///
/// # Errors
/// At the first dead letter that could not be put back. Those before are put back.
pub async fn redrive<T: JobTable, Q: Queue>(
    ledger: &Ledger<T>,
    queue: &Q,
    dead_letters: &Q,
    dry_run: bool,
) -> Result<Vec<Redriven>, RedriveError> {
    let mut redriven = Vec::new();
    let mut seen = Vec::new();
    let mut ids = BTreeSet::new();
    while let Some(letter) = dead_letters.receive(WAIT, VISIBILITY).await? {
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
            dead_letters.change_visibility(&handle, Duration::ZERO).await?;
        }
    }
    Ok(redriven)
}

/// Returns the message that a dead letter becomes.
async fn put_back<T: JobTable>(
    ledger: &Ledger<T>,
    letter: &Delivery,
) -> Result<(String, Redriven), LedgerError> {
    let Delivery { message_id, body, .. } = letter;
    let incoming = Incoming::read(body, message_id);
    let job = incoming.job_id().clone();
    let found = ledger.find(&job).await?;
    let known = found.is_some();
    let body = match (found, incoming) {
        (Some(found), _) => Message::Continue(found.id).to_json(),
        // The new message has another id, which would make it another job.
        (None, Incoming::New { message: Ok(message), .. }) if message.request_id.is_none() => {
            ExportMessage { request_id: Some(message_id.clone()), ..message }.to_json()
        }
        (None, _) => body.clone(),
    };
    Ok((body, Redriven { message_id: message_id.clone(), job, known }))
}

#[cfg(test)]
mod tests {
    use downpipe_core::job::NewJob;
    use downpipe_core::testing::MemoryJobTable;

    use super::*;

    fn letter(body: &str) -> Delivery {
        Delivery {
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
    async fn dead_letter_put_back_is_the_same_job() {
        let ledger = Ledger::new(MemoryJobTable::new());
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
            assert_eq!(again, body, "a message without a job is put back as it is");
        }
    }

    /// An equal request of the requester had not ended when the message came.
    #[tokio::test]
    async fn dead_letter_of_an_alias_continues_its_job() {
        let ledger = Ledger::new(MemoryJobTable::new());
        let body = r#"{"export":"orders","request_id":"a-click"}"#;
        let same = |job: NewJob| NewJob { fingerprint: Some("the same".to_owned()), ..job };
        let first = ledger.accept(&same(job_of(body, "m"))).await.unwrap();
        let twice = body.replace("a-click", "another-click");
        assert_eq!(ledger.accept(&same(job_of(&twice, "m"))).await.unwrap(), first);
        let (again, what) = put_back(&ledger, &letter(&twice)).await.unwrap();
        assert_eq!((again, what.known), (Message::Continue(first).to_json(), true));
    }
}
