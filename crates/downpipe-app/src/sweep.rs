//! The sweep. Every few minutes it resends lost notices, re-enqueues stalled jobs, expires files, aborts orphaned uploads, and deletes
//! jobs past the ledger's retention.
//!
//! Each repair may be done twice, and while a worker does the same. The next sweep finds again what this one could not repair, after
//! everything else.

use std::time::Duration;

use downpipe_core::error_chain::error_chain;
use downpipe_core::job::{Job, JobId, JobState};
use downpipe_core::ledger::{LedgerError, StaleFilter};
use downpipe_core::message::Message;
use downpipe_core::queue::{Queue as _, QueueError};
use downpipe_core::store::{OpenUpload, ResumableStore as _, StoreError, folder_prefix};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::notify::Notified;
use crate::ports::Ports;
use crate::worker::Worker;

/// When the sweep notifies a requester. A worker does so within seconds of the end, and its message tries again after 90 s.
pub const UNNOTIFIED_AFTER: Duration = Duration::from_secs(5 * 60);

/// When the sweep resumes a job whose lease has run out. Its own message does so half a lease later.
pub const LEASE_EXPIRED_AFTER: Duration = Duration::from_secs(2 * 60);

/// When the sweep sends the message of a job that no queue has taken. The portal that records such a job sends it at once.
pub const UNSENT_AFTER: Duration = Duration::from_secs(5 * 60);

/// When the sweep resumes an idle job. Back-offs go to 40 minutes and a queue may be long, so earlier its message may still come.
pub const STALE_AFTER: Duration = Duration::from_secs(2 * 3600);

/// How old an upload is that the sweep looks at. A younger one may be of a run, which is a quarter of an hour.
pub const UPLOAD_OPEN_FOR: Duration = Duration::from_secs(3600);

/// Jobs of each kind in one sweep.
const MAX_JOBS: u32 = 100;

/// Downloads, and ended sessions, that one sweep deletes.
const MAX_ACCESS_RECORDS: u32 = 10_000;

/// Uploads that one sweep looks at: a page of S3's.
const MAX_UPLOADS: usize = 1000;

/// How long a sweep may take, so that it ends before the next begins.
pub const MAX_DURATION: Duration = Duration::from_secs(4 * 60);

/// What the sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleKind {
    /// A job has ended, and its requester is not notified, or what it left is not removed.
    Unnotified,
    /// A job's worker has died, and no other has taken the job over.
    LeaseExpired,
    /// A job was recorded before its message was sent, and no queue has taken that.
    Unsent,
    /// A job is queued or waiting, and its message is lost.
    Idle,
    /// A file is past its retention.
    PastRetention,
    /// An upload belongs to a job that does not resume it.
    OrphanedUpload,
    /// A job is over, and past the ledger's retention.
    PastLedgerRetention,
}

impl StaleKind {
    /// Returns what was found, in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unnotified => "ended, and not notified or not cleaned up",
            Self::LeaseExpired => "lost by its worker",
            Self::Unsent => "never sent to the queue",
            Self::Idle => "without a message",
            Self::PastRetention => "past its retention",
            Self::OrphanedUpload => "orphaned upload",
            Self::PastLedgerRetention => "past the ledger's retention",
        }
    }
}

/// What came of a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RepairOutcome {
    /// It is done.
    Done,
    /// It could not be done. The log says why.
    Failed,
    /// It was a dry run, or the sweep's time was up.
    NotTried,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was found.
    pub kind: StaleKind,
    /// The job.
    pub job: JobId,
    /// What came of the repair.
    pub outcome: RepairOutcome,
}

/// What a sweep found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Everything that was found.
    pub findings: Vec<Finding>,
    /// Old uploads of jobs that the ledger does not know. They are left alone: they may be another Downpipe's.
    pub unknown_uploads: usize,
    /// What could not be looked for.
    pub not_looked_for: Vec<StaleKind>,
}

impl SweepReport {
    /// Returns how many repairs came to this.
    #[must_use]
    pub fn count(&self, outcome: RepairOutcome) -> usize {
        self.findings.iter().filter(|finding| finding.outcome == outcome).count()
    }

    /// Returns whether everything could be looked for, and no repair failed.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.not_looked_for.is_empty() && self.count(RepairOutcome::Failed) == 0
    }
}

/// Why a repair failed.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("another worker is at it, or it failed as logged before")]
    Postponed,
}

impl<P: Ports> Worker<P> {
    /// Looks for what is left to do, and does it unless this is a dry run. A repair that fails does not stop the rest.
    pub async fn sweep(&self, until: Instant, dry_run: bool) -> SweepReport {
        let mut report = SweepReport::default();
        let jobs = [
            (StaleKind::Unnotified, StaleFilter::Unnotified(UNNOTIFIED_AFTER)),
            (StaleKind::LeaseExpired, StaleFilter::LeaseExpired(LEASE_EXPIRED_AFTER)),
            (StaleKind::Unsent, StaleFilter::Unsent(UNSENT_AFTER)),
            (StaleKind::Idle, StaleFilter::Idle(STALE_AFTER)),
            (StaleKind::PastRetention, StaleFilter::PastRetention),
            (StaleKind::PastLedgerRetention, StaleFilter::PastLedgerRetention(self.ledger_retention)),
        ];
        for (kind, filter) in jobs {
            match self.ledger.stale_jobs(filter, MAX_JOBS).await {
                Ok(jobs) => {
                    for job in jobs {
                        let try_it = !dry_run && Instant::now() < until;
                        let outcome =
                            if try_it { self.repair(kind, &job).await } else { RepairOutcome::NotTried };
                        report.findings.push(Finding { kind, job: job.id, outcome });
                    }
                }
                Err(error) => report.cannot_look_for(kind, &error),
            }
        }
        self.sweep_uploads(&mut report, until, dry_run).await;
        if !dry_run {
            self.forget_access().await;
        }
        let (done, failed) = (report.count(RepairOutcome::Done), report.count(RepairOutcome::Failed));
        tracing::info!(
            found = report.findings.len(),
            done,
            failed,
            unknown_uploads = report.unknown_uploads,
            "swept"
        );
        report
    }

    async fn repair(&self, kind: StaleKind, job: &Job) -> RepairOutcome {
        let span = tracing::info_span!("job", job_id = %job.id);
        async {
            let repair = async {
                match kind {
                    StaleKind::Unnotified => self.notify_late(&job.id).await,
                    StaleKind::LeaseExpired | StaleKind::Idle => self.resume_late(&job.id).await,
                    StaleKind::Unsent => self.send_late(&job.id).await,
                    StaleKind::PastRetention => self.expire(job).await,
                    StaleKind::PastLedgerRetention => self.forget(job).await,
                    StaleKind::OrphanedUpload => unreachable!("it is found in the store"),
                }
            };
            let Err(error) = repair.await else {
                tracing::info!(kind = kind.as_str(), "the sweep has repaired a job");
                return RepairOutcome::Done;
            };
            tracing::error!(
                kind = kind.as_str(),
                error = error_chain(&error),
                "the sweep could not repair a job"
            );
            // The next sweep takes the others first. Otherwise a repair that fails each time keeps everything else waiting.
            if let Err(error) = self.ledger.touch(&job.id).await {
                tracing::warn!(error = error_chain(&error), "the ledger could not record the attempt");
            }
            RepairOutcome::Failed
        }
        .instrument(span)
        .await
    }

    /// Removes what the job left, and notifies its requester.
    async fn notify_late(&self, id: &JobId) -> Result<(), SweepError> {
        let Some(job) = self.ledger.find(id).await? else { return Ok(()) };
        let is_clean = self.cleanup_job(&job).await?;
        let is_notified = self.notify_once(&job).await? == Notified::Done;
        self.call_followers(&job).await;
        if is_notified && is_clean { Ok(()) } else { Err(SweepError::Postponed) }
    }

    /// Sends a message in place of the lost one. If that one is there after all, this does no harm.
    async fn resume_late(&self, id: &JobId) -> Result<(), SweepError> {
        self.queue.send(&Message::Continue(id.clone()).to_json()).await?;
        Ok(self.ledger.touch(id).await?)
    }

    /// Sends the message that could not be sent when the job was recorded.
    async fn send_late(&self, id: &JobId) -> Result<(), SweepError> {
        self.queue.send(&Message::Continue(id.clone()).to_json()).await?;
        Ok(self.ledger.note_sent(id).await.map(drop)?)
    }

    /// Removes the job's file, which the store may have removed already. A job that reuses another's file has the same receipt, and so
    /// the same retention.
    async fn expire(&self, job: &Job) -> Result<(), SweepError> {
        if let Some(receipt) = &job.receipt {
            self.store.remove(receipt).await?;
        }
        Ok(self.ledger.expire(&job.id).await?)
    }

    /// Deletes the job from the ledger, with its parameters and addresses.
    async fn forget(&self, job: &Job) -> Result<(), SweepError> {
        // A job that was written to since stays until it is past the retention again.
        Ok(self.ledger.forget(&job.id, self.ledger_retention).await.map(drop)?)
    }

    /// Deletes downloads and ended sessions that are past their time. None of them is returned meanwhile, so a failure delays nothing.
    async fn forget_access(&self) {
        match self.ledger.forget_access(MAX_ACCESS_RECORDS).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "old downloads and ended sessions are deleted"),
            Err(error) => {
                tracing::warn!(
                    error = error_chain(&error),
                    "old downloads and ended sessions could not be deleted"
                );
            }
        }
    }

    async fn sweep_uploads(&self, report: &mut SweepReport, until: Instant, dry_run: bool) {
        let prefix = folder_prefix(&self.prefix);
        let begun_before = Timestamp::now() - UPLOAD_OPEN_FOR;
        let uploads = match self.store.open_uploads(&prefix, begun_before, MAX_UPLOADS).await {
            Ok(uploads) => uploads,
            Err(error) => return report.cannot_look_for(StaleKind::OrphanedUpload, &error),
        };
        for upload in uploads {
            let kind = StaleKind::OrphanedUpload;
            let owner = match JobId::in_key(&upload.key) {
                Some(id) => self.ledger.find(&id).await.map(|job| job.filter(|job| job.id == id)),
                None => Ok(None),
            };
            let job = match owner {
                Ok(Some(job)) => job,
                Ok(None) => {
                    report.unknown_uploads += 1;
                    continue;
                }
                // The ledger would not answer for the next upload either.
                Err(error) => return report.cannot_look_for(kind, &error),
            };
            if resumes(&job, &upload) {
                continue;
            }
            let try_it = !dry_run && Instant::now() < until;
            let outcome =
                if try_it { self.abort_upload(&job.id, &upload).await } else { RepairOutcome::NotTried };
            report.findings.push(Finding { kind, job: job.id, outcome });
        }
    }

    async fn abort_upload(&self, id: &JobId, upload: &OpenUpload) -> RepairOutcome {
        match self.store.abort_upload(&upload.key, &upload.upload).await {
            Ok(()) => {
                tracing::info!(job_id = %id, "the sweep has aborted an orphaned upload");
                RepairOutcome::Done
            }
            Err(error) => {
                tracing::error!(job_id = %id, error = error_chain(&error), "an orphaned upload could not be aborted");
                RepairOutcome::Failed
            }
        }
    }
}

/// Returns whether the job's next run may resume the upload, or its worker may have begun it.
fn resumes(job: &Job, upload: &OpenUpload) -> bool {
    let known = job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.upload.as_deref());
    let in_checkpoint = || known.is_some_and(|known| upload.is(known));
    match job.state {
        JobState::Running => true,
        JobState::Queued | JobState::Waiting => in_checkpoint(),
        JobState::Ready | JobState::Failed | JobState::Cancelled | JobState::Expired => false,
    }
}

impl SweepReport {
    fn cannot_look_for(&mut self, kind: StaleKind, error: &(dyn std::error::Error + 'static)) {
        tracing::error!(
            kind = kind.as_str(),
            error = error_chain(error),
            "the sweep could not look for stale jobs or uploads"
        );
        self.not_looked_for.push(kind);
    }
}
