//! One attempt at a job: from the message to the receipt, or from one checkpoint to the next.

use std::time::Duration;

use downpipe_core::export::{ExportFailed, ExportOutcome, ExportPlan, export};
use downpipe_core::failure::{self, Disposition};
use downpipe_core::job::{Checkpoint, Failure, Job, Receipt};
use downpipe_core::ledger::{Lease, LeaseStatus};
use downpipe_core::message::{Message, Rejections};
use downpipe_core::queue::Delivery;
use downpipe_core::request::ExportRequest;
use tokio::time::Instant;

use crate::heartbeat::{Heartbeat, SHOW_INTERVAL};
use crate::ports::Ports;
use crate::worker::{MAX_ATTEMPTS, MAX_RUNS, Worker};

/// The time that is left when reading stops, to complete the file, clean up and notify the requester.
const MARGIN: Duration = Duration::from_secs(30);

/// How an attempt ended.
pub(crate) enum Attempt {
    /// With a file.
    Complete(Box<Receipt>),
    /// At a checkpoint, because the run's time was up.
    Paused(Box<Checkpoint>),
    /// Because the job is to be cancelled. The checkpoint names what has to be removed.
    Cancelled(Option<Box<Checkpoint>>),
    /// Without a file. Another attempt may succeed, and resumes from the checkpoint.
    Retry(Failure, Option<Box<Checkpoint>>),
    /// Without a file. The checkpoint names what has to be removed.
    Failed(Failure, Option<Box<Checkpoint>>),
    /// With nothing done: another job leads, and works for this one.
    Follows,
    /// Another worker has the job.
    LeaseLost,
}

impl<P: Ports> Worker<P> {
    /// Makes an attempt, unless the request is wrong or the job has used up its attempts.
    pub(crate) async fn attempt(
        &self,
        lease: &Lease,
        job: &Job,
        request: &Result<ExportRequest<'_>, Rejections>,
        delivery: &Delivery,
        deadline: Instant,
    ) -> Attempt {
        let from = job.checkpoint.clone().map(Box::new);
        let request = match request {
            Ok(request) => request,
            Err(rejections) => return Attempt::Failed(failure::of_rejection(rejections), from),
        };
        // The definition's name and not the message's: a sender may write any text there.
        tracing::info!(export = request.definition.name, attempt = lease.attempt(), "the job is running");
        if job.attempts_since_progress > MAX_ATTEMPTS {
            // The worker of the last attempt died before it could record why, or clean up.
            return Attempt::Failed(job.failure.clone().unwrap_or_else(failure::of_crash), from);
        }
        if lease.attempt() > MAX_ATTEMPTS * MAX_RUNS {
            // A file that is started again and again gets further each time, and never to its end.
            return Attempt::Failed(failure::of_too_many_runs(lease.attempt() - 1), from);
        }
        match self.run_export(lease, job, request, delivery, deadline).await {
            (Ok(ExportOutcome::Completed(receipt)), _) => Attempt::Complete(receipt),
            (_, LeaseStatus::Lost) => Attempt::LeaseLost,
            (Ok(ExportOutcome::Paused(checkpoint)), LeaseStatus::CancelRequested) => {
                Attempt::Cancelled(Some(checkpoint))
            }
            (Err(ExportFailed { checkpoint, .. }), LeaseStatus::CancelRequested) => {
                Attempt::Cancelled(checkpoint)
            }
            (Ok(ExportOutcome::Paused(checkpoint)), LeaseStatus::Held) => Attempt::Paused(checkpoint),
            (Err(ExportFailed { error, checkpoint }), LeaseStatus::Held) => {
                match failure::of_export(&error) {
                    (Disposition::Retry, failure) => Attempt::Retry(failure, checkpoint),
                    (Disposition::Fail, failure) => Attempt::Failed(failure, checkpoint),
                    (Disposition::LeaseLost, _) => Attempt::LeaseLost,
                }
            }
        }
    }

    /// Exports with the heartbeat beside it, and returns what the heartbeat saw last.
    async fn run_export(
        &self,
        lease: &Lease,
        job: &Job,
        request: &ExportRequest<'_>,
        delivery: &Delivery,
        deadline: Instant,
    ) -> (Result<ExportOutcome, ExportFailed>, LeaseStatus) {
        let (heartbeat, cancellation) = Heartbeat::new(&self.ledger, lease, job, &delivery.receipt_handle);
        let key = request.object_key(&self.prefix, &job.id, job.created_at);
        let attempt = lease.job_attempt().clone();
        let plan = ExportPlan::new(request, key, attempt, stop_at(deadline), cancellation)
            .resume(job.checkpoint.clone());
        let began = Instant::now();
        let exported = tokio::select! {
            // In this order, so that a scenario of the simulation goes the same way every time.
            biased;
            exported = Box::pin(export(&self.source, &self.store, &heartbeat, &plan)) => exported,
            never = heartbeat.run(&self.queue, &self.cache) => match never {},
        };
        if began.elapsed() >= SHOW_INTERVAL {
            self.cache.forget_progress(&job.id).await;
        }
        (exported, heartbeat.status())
    }

    /// Reads the request that a job was recorded with.
    pub(crate) fn read_request(&self, job: &Job) -> Result<ExportRequest<'_>, Rejections> {
        match Message::parse(&job.message)? {
            Message::Export(message) => ExportRequest::accept(&message, &self.catalog),
            Message::Continue(_) => unreachable!("a message that continues a job is never recorded as one"),
        }
    }
}

/// Returns when reading stops: early enough before the deadline, but a short deadline keeps most of its time.
fn stop_at(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline - MARGIN.min(left / 4)
}
