//! Jobs that need more than one run, and workers that stand still for longer than their lease.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::types::Object;
use downpipe_core::job::JobId;
use xtask::faults::Outcome;

use super::scene::{Ask, LEASE, WorkerScene};
use crate::faults::http_proxy::Moment;
use crate::faults::lab::{Lab, Pace, Plan};
use crate::faults::scene::{Ended, Run};
use crate::site::WorkerProcess;
use crate::{aws, eventually_within};

/// A run's seconds, of which three quarters are for reading.
const RUN: &str = "12";

/// Rows that make a part, plain and compressed.
const ROWS_OF_PART: u32 = 128;
const COMPRESSED_ROWS_OF_PART: u32 = 176;

/// What a part takes, and so the least that a run gets done, in microseconds: a third of what a run has, as the machine may be busy.
const PAUSE_OF_PART: u32 = 3_200_000;

/// An export that needs many runs, plain and compressed: its file is that of one run, byte for byte.
pub async fn continuation(lab: &Lab, plan: &Plan) -> Outcome {
    let works = lab.works().await;
    let hops = if works.pace() == Pace::Real { 20 } else { 3 };
    let most = AtomicU32::new(0);
    let mut outcome = lab
        .inject("worker: end of the run, again and again", plan.times, 2, async |k| {
            let rows_of_part = if k % 2 == 0 { ROWS_OF_PART } else { COMPRESSED_ROWS_OF_PART };
            let ask = Ask {
                resumable: true,
                gzip: k % 2 == 1,
                // When it is not, a run gets two done.
                rows: rows_of_part * (2 * hops + 4),
                pause: PAUSE_OF_PART / rows_of_part,
            };
            works.undisturbed(Ask { pause: 0, ..ask }).await;
            let scene = WorkerScene::set(works, ask).await;
            let job = scene.ask().await;
            let mut worker = scene.worker(&["--run-seconds", RUN]);
            scene.ended(&mut worker).await;
            let continuations = scene.find(&job).await.map_or(0, |job| job.continuations);
            let sent = scene.aws.count("SendMessage");
            most.fetch_max(continuations, Ordering::Relaxed);
            let run = scene.look(&job, continuations, 1..=1).await.must_be_ready();
            let is_wrong = !run.wrong.is_empty();
            let run = run.wrong_if(is_wrong, worker.log());
            run.wrong_if(continuations < hops, format!("expected {hops} continuations, got {continuations}"))
                .wrong_if(sent < hops as usize, format!("the queue carried {sent} messages"))
        })
        .await;
    outcome.outcome += &format!("; up to {} continuations of a job", most.into_inner());
    outcome
}

/// One that cannot be gone on with: there is a clear failure, whose words say what would help.
pub async fn deadline(lab: &Lab, plan: &Plan) -> Outcome {
    let works = lab.works().await;
    lab.inject("worker: end of the run, not continuable", plan.times, 4, async |_| {
        let ask = Ask { rows: 4_000, ..Ask::FEW_PARTS.once() };
        let scene = WorkerScene::set(works, ask).await;
        let job = scene.ask().await;
        let mut worker = scene.worker(&["--run-seconds", RUN]);
        scene.ended(&mut worker).await;
        let failure = scene.find(&job).await.and_then(|job| job.failure);
        let words =
            failure.map(|failure| format!("{} {}", failure.message, failure.advice)).unwrap_or_default();
        let run = scene.look(&job, 1, 1..=1).await.must_fail(&["timed_out"]);
        run.wrong_if(!words.contains("[resume]"), format!("the failure names no cure: {words}"))
    })
    .await
}

/// A worker that stands still past its lease, at a part or at the completion, while another does the work, and then goes on.
pub async fn zombie(lab: &Lab, plan: &Plan) -> Outcome {
    let works = lab.works().await;
    let operations = ["CompleteMultipartUpload", "UploadPart", "CreateMultipartUpload", "PutObject"];
    lab.inject("worker: zombie past its lease", plan.times, 4, async |k| {
        let ask = if k % 2 == 0 { Ask::FEW_PARTS } else { Ask::FEW_PARTS.once() };
        let moment = if k / 2 % 2 == 0 { Moment::Came } else { Moment::CarriedOut };
        let operation = operations[(k as usize / 4) % operations.len()];
        works.undisturbed(ask).await;
        let run = one_zombie(WorkerScene::set(works, ask).await, operation, moment).await;
        let is_wrong = !run.wrong.is_empty();
        run.wrong_if(is_wrong, format!("frozen at {operation}, {moment:?}, {ask:?}"))
    })
    .await
}

async fn one_zombie(scene: WorkerScene<'_>, operation: &'static str, moment: Moment) -> Run {
    let zombie: Arc<Mutex<Option<WorkerProcess>>> = Arc::default();
    let frozen: Arc<Mutex<bool>> = Arc::default();
    let job = scene.ask().await;
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
    scene.ended(&mut other).await;
    let before = seen(&scene, &job).await;
    let mut zombie = zombie.lock().unwrap().take().unwrap();
    zombie.thaw();
    scene.ended(&mut zombie).await;
    let after = seen(&scene, &job).await;
    let run = scene.look(&job, 1, 1..=1).await.must_be_ready();
    let by_another = matches!(run.ended, Ended::Ready(2..));
    let run = run.wrong_if(!by_another, "nobody else has done it");
    let differs = before != after;
    let run = run.wrong_if(differs, format!("the zombie changed {before:?} to {after:?}"));
    let is_wrong = !run.wrong.is_empty();
    run.wrong_if(is_wrong, format!("{}\nthe other, with a lease of {LEASE} s: {}", zombie.log(), other.log()))
}

/// What is in the store, and what the ledger says.
async fn seen(scene: &WorkerScene<'_>, job: &JobId) -> (Vec<(String, String)>, String) {
    let client = aws::s3(&scene.site.config);
    let listed = client.list_objects_v2().bucket(&scene.site.bucket).send().await.unwrap();
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
