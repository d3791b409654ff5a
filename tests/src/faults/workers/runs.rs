//! Faults of time: jobs that need more than one run, and workers frozen past their lease.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::types::Object;
use downpipe_core::job::JobId;
use downpipe_core::language::Language;
use xtask::faults::Outcome;

use super::scene::{ExportOptions, LEASE, WorkerScene};
use crate::faults::fault_run::{FaultRun, Plan, Timing};
use crate::faults::http_proxy::Moment;
use crate::faults::scene::{Ended, Run};
use crate::test_stack::WorkerProcess;
use crate::{aws, eventually_within};

/// The length of a run in seconds, of which three quarters are for reading.
const RUN: &str = "20";

/// The number of rows that fill a part, plain and compressed.
const ROWS_PER_PART: u32 = 128;
const COMPRESSED_ROWS_PER_PART: u32 = 176;

/// The time of a part, in microseconds: a fifth of a run's reading time, so that a run on a loaded
/// machine completes at least one.
const PAUSE_PER_PART: u32 = 3_200_000;

/// Runs an export that needs many runs, plain and compressed. Its file equals that of one run.
pub async fn continuation(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let harness = fault_run.harness().await;
    let hops = if harness.timing() == Timing::Real { 20 } else { 3 };
    let max_resumed = AtomicU32::new(0);
    let mut outcome = fault_run
        .inject("worker: end of the run, again and again", plan.times, 2, async |k| {
            let rows_per_part = if k % 2 == 0 { ROWS_PER_PART } else { COMPRESSED_ROWS_PER_PART };
            let options = ExportOptions {
                resumable: true,
                gzip: k % 2 == 1,
                // No run completes more than five parts.
                rows: rows_per_part * 5 * (hops + 1),
                pause: PAUSE_PER_PART / rows_per_part,
            };
            harness.undisturbed(ExportOptions { pause: 0, ..options }).await;
            let scene = WorkerScene::new(harness, options).await;
            let job = scene.send_request().await;
            let mut worker = scene.worker(&["--run-seconds", RUN]);
            scene.wait_for_success(&mut worker).await;
            let resume_count = scene.find(&job).await.map_or(0, |job| job.resume_count);
            let sent = scene.aws.count("SendMessage");
            max_resumed.fetch_max(resume_count, Ordering::Relaxed);
            let run = scene.inspect(&job, resume_count, 1..=1).await.must_be_ready();
            let is_wrong = !run.wrong.is_empty();
            let run = run.wrong_if(is_wrong, worker.log());
            run.wrong_if(resume_count < hops, format!("expected {hops} resumed runs, got {resume_count}"))
                .wrong_if(sent < hops as usize, format!("the queue carried {sent} messages"))
        })
        .await;
    outcome.outcome += &format!("; up to {} resumed runs of a job", max_resumed.into_inner());
    outcome
}

/// Runs an export that is longer than a run and not resumable. Its failure names the fix.
pub async fn deadline(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let harness = fault_run.harness().await;
    fault_run
        .inject("worker: end of the run, not resumable", plan.times, 4, async |_| {
            let options = ExportOptions { rows: 4_000, ..ExportOptions::FEW_PARTS.without_resume() };
            let scene = WorkerScene::new(harness, options).await;
            let job = scene.send_request().await;
            let mut worker = scene.worker(&["--run-seconds", RUN]);
            scene.wait_for_success(&mut worker).await;
            let failure = scene.find(&job).await.and_then(|job| job.failure);
            let words = failure.map(|failure| failure.words(Language::En));
            let words = words.map(|words| format!("{} {}", words.message, words.advice)).unwrap_or_default();
            let run = scene.inspect(&job, 1, 1..=1).await.must_fail(&["timed_out"]);
            run.wrong_if(!words.contains("[resume]"), format!("the failure names no fix: {words}"))
        })
        .await
}

/// Freezes a worker past its lease, at a part or at the completion, and thaws it after another
/// worker has ended the job.
pub async fn zombie(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let harness = fault_run.harness().await;
    let operations = ["CompleteMultipartUpload", "UploadPart", "CreateMultipartUpload", "PutObject"];
    fault_run
        .inject("worker: zombie past its lease", plan.times, 4, async |k| {
            let options = ExportOptions::few_parts(k % 2 == 0);
            let moment = if k / 2 % 2 == 0 { Moment::Received } else { Moment::Executed };
            let operation = operations[(k as usize / 4) % operations.len()];
            harness.undisturbed(options).await;
            let run = one_zombie(WorkerScene::new(harness, options).await, operation, moment).await;
            let is_wrong = !run.wrong.is_empty();
            run.wrong_if(is_wrong, format!("frozen at {operation}, {moment:?}, {options:?}"))
        })
        .await
}

async fn one_zombie(scene: WorkerScene<'_>, operation: &'static str, moment: Moment) -> Run {
    let zombie: Arc<Mutex<Option<WorkerProcess>>> = Arc::default();
    let frozen: Arc<Mutex<bool>> = Arc::default();
    let job = scene.send_request().await;
    {
        let (zombie, frozen) = (Arc::clone(&zombie), Arc::clone(&frozen));
        scene.aws.watch(move |request, now| {
            let mut frozen = frozen.lock().unwrap();
            if !*frozen
                && request.operation == operation
                && request.part.is_none_or(|part| part == 3)
                && now == moment
            {
                *frozen = true;
                zombie.lock().unwrap().as_ref().unwrap().freeze();
            }
        });
    }
    {
        let mut zombie = zombie.lock().unwrap();
        *zombie = Some(scene.worker(&[]));
    }
    eventually_within(Duration::from_secs(60), "the worker is frozen", async || {
        frozen.lock().unwrap().then_some(())
    })
    .await;
    let mut other = scene.worker(&[]);
    scene.wait_for_success(&mut other).await;
    let before = seen(&scene, &job).await;
    let mut zombie = zombie.lock().unwrap().take().unwrap();
    zombie.thaw();
    scene.wait_for_success(&mut zombie).await;
    let after = seen(&scene, &job).await;
    let run = scene.inspect(&job, 1, 1..=1).await.must_be_ready();
    let by_another = matches!(run.ended, Ended::Ready(2..));
    let run = run.wrong_if(!by_another, "no other worker has done the job");
    let differs = before != after;
    let run = run.wrong_if(differs, format!("the zombie changed {before:?} to {after:?}"));
    let is_wrong = !run.wrong.is_empty();
    run.wrong_if(is_wrong, format!("{}\nthe other, with a lease of {LEASE} s: {}", zombie.log(), other.log()))
}

/// Reads the objects in the store, and the job in the ledger.
async fn seen(scene: &WorkerScene<'_>, job: &JobId) -> (Vec<(String, String)>, String) {
    let client = aws::s3(&scene.test_stack.config);
    let listed = client.list_objects_v2().bucket(&scene.test_stack.bucket).send().await.unwrap();
    let text = |object: &Object| {
        let modified = object.last_modified().map(ToString::to_string).unwrap_or_default();
        (
            object.key().unwrap_or_default().to_owned(),
            format!("{modified} {}", object.e_tag().unwrap_or_default()),
        )
    };
    let objects = listed.contents().iter().map(text).collect();
    (objects, format!("{:?}", scene.find(job).await))
}
