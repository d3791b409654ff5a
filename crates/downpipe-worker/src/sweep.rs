//! The sweep: what is to be done about jobs and uploads, and nobody does any more. Run every few minutes, it is what makes good
//! whatever was lost: a message, a notice, a worker with all it knew.
//!
//! Everything in it may be done twice, and while a worker does the same. What cannot be done now is found again by the next
//! sweep, behind everything else.

use std::time::Duration;

use downpipe_core::failure::chain;
use downpipe_core::job::{Job, JobId, JobState};
use downpipe_core::ledger::{Due, Ledger, LedgerError};
use downpipe_core::message::Message;
use downpipe_core::notice::Notifier;
use downpipe_core::queue::{Queue, QueueError};
use downpipe_core::source::RowSource;
use downpipe_core::store::{ObjectStore, OpenUpload, StoreError};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::handle::{Delivery, Outcome, Worker};

/// A worker tells within seconds of the end, and its own message tries again after a minute and a half. This is when neither has.
pub const UNTOLD_FOR: Duration = Duration::from_secs(5 * 60);

/// A lease that ran out is taken by the next delivery of the job's message, half a lease later. This is when that has not come.
pub const LEASE_OVER_FOR: Duration = Duration::from_secs(2 * 60);

/// Back-offs go to 40 minutes, and a queue may be long: only after this time is it likely that no message is left.
pub const IDLE_FOR: Duration = Duration::from_secs(2 * 3600);

/// An upload of which no ledger knows may have begun a moment ago. A run is a quarter of an hour.
pub const UPLOAD_OPEN_FOR: Duration = Duration::from_secs(3600);

/// Jobs of each kind in one sweep. The next one is a few minutes away.
const MOST_JOBS: u32 = 100;

/// Uploads that are looked at in one sweep: a page of S3's.
const MOST_UPLOADS: usize = 1000;

/// How long a sweep may take: it is over when the next begins.
pub const LONGEST: Duration = Duration::from_secs(4 * 60);

/// What nobody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Neglect {
    /// A job has ended, and its requester has not been told, or what it left has not been cleared away.
    Untold,
    /// A job's worker has died, and nobody has taken the job over.
    LeaseOver,
    /// A job is queued or waiting, and nothing happens to it.
    Idle,
    /// A file is older than it was to be kept.
    PastRetention,
    /// An upload belongs to a job that does not go on with it.
    OrphanedUpload,
}

impl Neglect {
    /// What was found, in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untold => "ended, and not told or not cleared away",
            Self::LeaseOver => "left by its worker",
            Self::Idle => "forgotten by the queue",
            Self::PastRetention => "past its retention",
            Self::OrphanedUpload => "upload left open",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mended {
    /// It is done.
    Done,
    /// It could not be done. The log says why.
    Failed,
    /// It was only looked for, or the sweep's time was up.
    NotTried,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What nobody did.
    pub neglect: Neglect,
    /// Of which job.
    pub job: JobId,
    /// What came of it.
    pub mended: Mended,
}

/// What a sweep found, and did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Everything that was to be done.
    pub findings: Vec<Finding>,
    /// Old uploads of which the ledger knows no job. They are left alone: another Downpipe's, perhaps.
    pub unknown_uploads: usize,
    /// What could not even be looked for.
    pub not_looked_for: Vec<Neglect>,
}

impl Swept {
    /// How many findings came to this.
    #[must_use]
    pub fn count(&self, mended: Mended) -> usize {
        self.findings.iter().filter(|finding| finding.mended == mended).count()
    }

    /// Whether everything could be looked for, and nothing failed.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.not_looked_for.is_empty() && self.count(Mended::Failed) == 0
    }
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("somebody else is at it, or it failed as logged before")]
    Postponed,
}

impl<L: Ledger, R: RowSource, S: ObjectStore, N: Notifier, Q: Queue> Worker<L, R, S, N, Q> {
    /// Does what nobody did, or only says what that is. What fails does not stop the rest.
    pub async fn sweep(&self, until: Instant, dry_run: bool) -> Swept {
        let mut swept = Swept::default();
        let jobs = [
            (Neglect::Untold, Due::Untold(UNTOLD_FOR)),
            (Neglect::LeaseOver, Due::LeaseOver(LEASE_OVER_FOR)),
            (Neglect::Idle, Due::Idle(IDLE_FOR)),
            (Neglect::PastRetention, Due::PastRetention),
        ];
        for (neglect, due) in jobs {
            match self.ledger.due(due, MOST_JOBS).await {
                Ok(jobs) => {
                    for job in jobs {
                        let try_it = !dry_run && Instant::now() < until;
                        let mended = if try_it { self.mend(neglect, &job).await } else { Mended::NotTried };
                        swept.findings.push(Finding { neglect, job: job.id, mended });
                    }
                }
                Err(error) => swept.cannot_look_for(neglect, &error),
            }
        }
        self.sweep_uploads(&mut swept, until, dry_run).await;
        let (done, failed) = (swept.count(Mended::Done), swept.count(Mended::Failed));
        tracing::info!(
            found = swept.findings.len(),
            done,
            failed,
            unknown_uploads = swept.unknown_uploads,
            "swept"
        );
        swept
    }

    async fn mend(&self, neglect: Neglect, job: &Job) -> Mended {
        let span = tracing::info_span!("job", job_id = %job.id);
        async {
            let mending = async {
                match neglect {
                    Neglect::Untold => self.tell_late(&job.id).await,
                    Neglect::LeaseOver | Neglect::Idle => self.continue_late(&job.id).await,
                    Neglect::PastRetention => self.expire(job).await,
                    Neglect::OrphanedUpload => unreachable!("it is found in the store"),
                }
            };
            let Err(error) = mending.await else {
                tracing::info!(neglect = neglect.as_str(), "the sweep has seen to a job");
                return Mended::Done;
            };
            tracing::error!(
                neglect = neglect.as_str(),
                error = chain(&error),
                "the sweep could not see to a job"
            );
            // The next sweep takes the others first: what fails each time must not keep everything else waiting.
            if let Err(error) = self.ledger.touch(&job.id).await {
                tracing::warn!(error = chain(&error), "the ledger could not record the attempt");
            }
            Mended::Failed
        }
        .instrument(span)
        .await
    }

    /// Clears away what the job left, and tells its requester.
    async fn tell_late(&self, id: &JobId) -> Result<(), SweepError> {
        let nobodys = Delivery {
            message_id: String::new(),
            receipt_handle: None,
            body: String::new(),
            receive_count: 1,
        };
        let told = self.tell(id, &nobodys).await? == Outcome::Done;
        let left = self.ledger.find(id).await?.is_some_and(|job| job.checkpoint.is_some());
        if told && !left { Ok(()) } else { Err(SweepError::Postponed) }
    }

    /// Sends a message that makes up for the one that is lost. Should that one be there after all, it does no harm.
    async fn continue_late(&self, id: &JobId) -> Result<(), SweepError> {
        self.queue.send(&Message::Continue(id.clone()).to_json()).await?;
        Ok(self.ledger.touch(id).await?)
    }

    /// Removes the job's file. The store may have done so by itself. (A job that was given the file of another has the same
    /// receipt, which says for both when its time is over.)
    async fn expire(&self, job: &Job) -> Result<(), SweepError> {
        if let Some(receipt) = &job.receipt {
            self.store.remove(receipt).await?;
        }
        Ok(self.ledger.expire(&job.id).await?)
    }

    async fn sweep_uploads(&self, swept: &mut Swept, until: Instant, dry_run: bool) {
        let prefix = match self.prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let begun_before = Timestamp::now() - UPLOAD_OPEN_FOR;
        let uploads = match self.store.open_uploads(&prefix, begun_before, MOST_UPLOADS).await {
            Ok(uploads) => uploads,
            Err(error) => return swept.cannot_look_for(Neglect::OrphanedUpload, &error),
        };
        for upload in uploads {
            let neglect = Neglect::OrphanedUpload;
            let owner = match JobId::in_key(&upload.key) {
                Some(id) => self.ledger.find(&id).await.map(|job| job.filter(|job| job.id == id)),
                None => Ok(None),
            };
            let job = match owner {
                Ok(Some(job)) => job,
                Ok(None) => {
                    swept.unknown_uploads += 1;
                    continue;
                }
                // What cannot be asked now cannot be asked for the next one either.
                Err(error) => return swept.cannot_look_for(neglect, &error),
            };
            if goes_on_with(&job, &upload) {
                continue;
            }
            let try_it = !dry_run && Instant::now() < until;
            let mended = if try_it { self.discard(&job.id, &upload).await } else { Mended::NotTried };
            swept.findings.push(Finding { neglect, job: job.id, mended });
        }
    }

    async fn discard(&self, id: &JobId, upload: &OpenUpload) -> Mended {
        match self.store.discard(&upload.key, &upload.upload).await {
            Ok(()) => {
                tracing::info!(job_id = %id, "the sweep has given up an upload that was left open");
                Mended::Done
            }
            Err(error) => {
                tracing::error!(job_id = %id, error = chain(&error), "an upload that was left open could not be given up");
                Mended::Failed
            }
        }
    }
}

/// Whether a job's next run may go on with the upload, or one that is at it now may have begun it.
fn goes_on_with(job: &Job, upload: &OpenUpload) -> bool {
    let known = job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.upload.as_deref());
    let in_checkpoint = || known.is_some_and(|known| upload.is(known));
    match job.state {
        JobState::Running => true,
        JobState::Queued | JobState::Waiting => in_checkpoint(),
        JobState::Ready | JobState::Failed | JobState::Cancelled | JobState::Expired => false,
    }
}

impl Swept {
    fn cannot_look_for(&mut self, neglect: Neglect, error: &(dyn std::error::Error + 'static)) {
        tracing::error!(neglect = neglect.as_str(), error = chain(error), "the sweep could not look");
        self.not_looked_for.push(neglect);
    }
}
