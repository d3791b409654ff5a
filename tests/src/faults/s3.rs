//! Faults of S3, and of the network in front of it, that an export must survive.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use downpipe_core::failure::Disposition;
use downpipe_core::source::CancellationToken;
use downpipe_core::store::{ObjectStore as _, Part, StoreError, Upload as _, is_receipt};
use tokio::sync::Notify;
use tokio::time::Instant;
use xtask::faults::Outcome;

use super::fault_run::{FaultRun, LARGE_PARTS, Plan, Size};
use super::http_proxy::{Action, Moment, ProxiedRequest, Rule};
use super::scene::{Ended, Run, Scene, ended};

/// The number of attempts that the SDK makes.
const SDK_ATTEMPTS: u32 = 5;

/// The time that cleanup may take, with a margin for a loaded machine.
const SLACK: Duration = Duration::from_secs(25);

/// Longer than any timeout.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// Answers 500 at every part: once, which the SDK retries, and as often as the SDK tries, which
/// needs another attempt.
pub async fn error_500(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    at_every_part(fault_run, plan, "S3: 500", Action::Answer(500, "InternalError")).await
}

/// Answers 503 at every part, in the same two ways as [`error_500`].
pub async fn slow_down(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    at_every_part(fault_run, plan, "S3: 503 SlowDown", Action::Answer(503, "SlowDown")).await
}

/// Resets the connection at every part before the part is read.
pub async fn reset(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    at_every_part(fault_run, plan, "S3: reset", Action::Reset).await
}

/// Loses the answer to every part, after S3 has stored the part.
pub async fn lost_part_answer(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    at_every_part(fault_run, plan, "S3: lost answer to a part", Action::LoseAnswer).await
}

/// Flips a bit in every part.
pub async fn corrupted_part(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    at_every_part(fault_run, plan, "S3: corrupted part", Action::Corrupt).await
}

/// Stalls at a part: before the part is read, or before it is answered.
pub async fn stall(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let time = fault_run.timing().stall();
    let name = format!("S3: stall of {} s", time.as_secs());
    fault_run
        .inject(&name, plan.times, 4, async |k| {
            let scene = Scene::new(fault_run, Size::Large).await;
            let action = if k % 2 == 0 { Action::HoldAnswer(time) } else { Action::HoldRequest(time) };
            scene.s3.add_rule(Rule::on("UploadPart", action).part(1 + k / 2 % LARGE_PARTS));
            delivered(scene).await.must_be_ready()
        })
        .await
}

async fn at_every_part(fault_run: &FaultRun, plan: &Plan, name: &str, action: Action) -> Outcome {
    fault_run
        .inject(name, plan.times, 2, async |k| {
            let scene = Scene::new(fault_run, Size::Large).await;
            // The first round injects once at each part, the next as often as the SDK tries.
            let times = if (k / LARGE_PARTS).is_multiple_of(2) { 1 } else { SDK_ATTEMPTS };
            scene.s3.add_rule(Rule::on("UploadPart", action.clone()).part(1 + k % LARGE_PARTS).times(times));
            delivered(scene).await.must_be_ready()
        })
        .await
}

/// Loses the answer to a completed upload: once, and as often as the SDK asks.
pub async fn lost_completion(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    at_completion(
        fault_run,
        plan,
        "S3: lost answer to CompleteMultipartUpload",
        Action::LoseAnswer,
        SDK_ATTEMPTS,
    )
    .await
}

/// Answers the completion with an error within a 200.
pub async fn error_in_200(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    at_completion(
        fault_run,
        plan,
        "S3: 200 with an error",
        Action::Answer(200, "InternalError"),
        SDK_ATTEMPTS,
    )
    .await
}

/// Answers the completion as if the upload did not exist.
pub async fn no_such_upload(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    at_completion(fault_run, plan, "S3: NoSuchUpload", Action::Answer(404, "NoSuchUpload"), 3).await
}

/// Answers the completion as if another client had written to the key at the same moment.
pub async fn conflict_409(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    at_completion(
        fault_run,
        plan,
        "S3: 409 ConditionalRequestConflict",
        Action::Answer(409, "ConditionalRequestConflict"),
        3,
    )
    .await
}

/// Answers the completion as if the key were taken, although it is free.
pub async fn precondition_412(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    at_completion(fault_run, plan, "S3: 412 PreconditionFailed", Action::Answer(412, "PreconditionFailed"), 3)
        .await
}

/// Injects at one completion, and at several in a row. An error that the SDK does not retry takes
/// one attempt each.
async fn at_completion(
    fault_run: &FaultRun,
    plan: &Plan,
    name: &str,
    action: Action,
    several: u32,
) -> Outcome {
    fault_run
        .inject(name, plan.times, 2, async |k| {
            let scene = Scene::new(fault_run, Size::Small).await;
            let times = if k % 2 == 0 { 1 } else { several };
            scene.s3.add_rule(Rule::on("CompleteMultipartUpload", action.clone()).times(times));
            delivered(scene).await.must_be_ready()
        })
        .await
}

/// Puts a foreign file at the key: the file stays, and the export fails.
pub async fn taken_key(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    fault_run
        .inject("S3: 412, the key holds a foreign file", plan.times, 2, async |k| {
            let scene = Scene::new(fault_run, if k % 2 == 0 { Size::Tiny } else { Size::Small }).await;
            let (client, bucket, key) = (scene.client(), scene.bucket().to_owned(), scene.key());
            let theirs = ByteStream::from_static(b"theirs");
            client.put_object().bucket(&bucket).key(&key).body(theirs).send().await.unwrap();
            let ended = scene.deliver().await;
            let left = client.get_object().bucket(&bucket).key(&key).send().await.unwrap();
            let is_theirs = left.body.collect().await.unwrap().to_vec() == b"theirs";
            client.delete_object().bucket(&bucket).key(&key).send().await.unwrap();
            let run = scene.inspect(ended, 1).await;
            run.must_fail(&["storage"]).wrong_if(!is_theirs, "the foreign file was touched")
        })
        .await
}

/// Loses the answer to `CreateMultipartUpload`, so that the worker does not know the upload's id.
pub async fn lost_beginning(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    fault_run
        .inject("S3: lost answer to CreateMultipartUpload", plan.times, 2, async |k| {
            let scene = Scene::new(fault_run, Size::Small).await;
            let times = if k % 2 == 0 { 1 } else { SDK_ATTEMPTS };
            scene.s3.add_rule(Rule::on("CreateMultipartUpload", Action::LoseAnswer).times(times));
            delivered(scene).await.must_be_ready()
        })
        .await
}

/// Cancels an export while `CreateMultipartUpload` is under way.
pub async fn stopped_beginning(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    fault_run
        .inject("S3: stopped during CreateMultipartUpload", plan.times, 4, async |_| {
            let scene = Scene::new(fault_run, Size::Small).await;
            let cancellation = CancellationToken::new();
            let stop = cancellation.clone();
            scene.s3.add_rule(Rule::on("CreateMultipartUpload", Action::HoldAnswer(Duration::from_secs(1))));
            scene.s3.watch(move |request, moment| {
                if request.operation == "CreateMultipartUpload" && moment == Moment::Executed {
                    cancellation.cancel();
                }
            });
            let (_, ended) = ended(1, scene.attempt_until(1, stop).await);
            scene.inspect(ended, 1).await.must_fail(&["stopped"])
        })
        .await
}

/// Sends a part beyond the last number that S3 accepts. The tests of `downpipe-core` show that an
/// export never reaches it.
pub async fn part_10001(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    fault_run
        .inject("S3: part 10,001", plan.times, 1, async |_| {
            let scene = Scene::new(fault_run, Size::Tiny).await;
            let upload = scene.store().begin(&scene.object(1)).await.unwrap();
            let stored = upload.part(Part { number: 10_001, offset: 0, body: "a".into() }).await;
            upload.abort().await.unwrap();
            let refused = matches!(stored, Err(StoreError::Refused { .. }));
            let run = scene.inspect(Ended::Failed("storage".to_owned()), 1).await;
            run.wrong_if(!refused, format!("expected a refusal, got {stored:?}"))
        })
        .await
}

/// Delivers a part after the upload was aborted.
pub async fn late_part(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    fault_run
        .inject("S3: abort racing a part", plan.times, 2, async |k| {
            let scene = Scene::new(fault_run, Size::Large).await;
            let late = 1 + k % 2;
            scene.s3.add_rule(Rule::on("UploadPart", Action::ArriveAfter("AbortMultipartUpload")).part(late));
            scene.s3.add_rule(Rule::on("UploadPart", Action::Answer(403, "AccessDenied")).part(3 - late));
            if (k / 2).is_multiple_of(2) {
                // S3 has reported the abort as done, and stores the part all the same. LocalStack
                // would not.
                scene.s3.add_rule(Rule::on("AbortMultipartUpload", Action::Answer(204, "")));
            }
            delivered(scene).await.must_fail(&["storage"])
        })
        .await
}

/// Answers each request of an export in turn with 500, resets it, or loses its answer.
pub async fn every_request(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    at_every_request(fault_run, plan, "S3: 500, reset, lost answer at every request", Size::Small).await
}

/// Disturbs each request of an export whose file is renamed by a copy.
pub async fn every_request_of_renaming(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    at_every_request(
        fault_run,
        plan,
        "S3: 500, reset, lost answer at every request, file renamed",
        Size::Renamed,
    )
    .await
}

async fn at_every_request(fault_run: &FaultRun, plan: &Plan, name: &str, size: Size) -> Outcome {
    const ACTIONS: [Action; 3] = [Action::Answer(500, "InternalError"), Action::Reset, Action::LoseAnswer];
    fault_run
        .inject(name, plan.times, 2, async |k| {
            let scene = Scene::new(fault_run, size).await;
            let requests = fault_run.undisturbed(size).requests;
            let action = ACTIONS[(k / requests) as usize % ACTIONS.len()].clone();
            let times = if (k / requests / 3).is_multiple_of(2) { SDK_ATTEMPTS } else { 1 };
            scene.s3.add_rule(Rule::any(action).starting_at(1 + k % requests).times(times));
            delivered(scene).await.must_be_ready()
        })
        .await
}

/// Breaks an attempt off at each of its requests in turn, before or after S3 has executed it,
/// without any cleanup. The next attempt cleans up, whether it completes a file or, every other
/// time, finds no database.
pub async fn broken_off(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    broken_off_at(fault_run, plan, "S3: attempt broken off at every request", Size::Small).await
}

/// Breaks an attempt off at each request of an export whose file is renamed by a copy.
pub async fn renaming_broken_off(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    broken_off_at(fault_run, plan, "S3: attempt broken off at every request, file renamed", Size::Renamed)
        .await
}

async fn broken_off_at(fault_run: &FaultRun, plan: &Plan, name: &str, size: Size) -> Outcome {
    fault_run
        .inject(name, plan.times, 2, async |k| {
            let scene = Scene::new(fault_run, size).await;
            let (at, requests) = (k / 2, fault_run.undisturbed(size).requests);
            let number = 1 + at % requests;
            let moment = if (at / requests).is_multiple_of(2) { Moment::Executed } else { Moment::Received };
            // Held back, so that the attempt gets no answer.
            let action = match moment {
                Moment::Received => Action::HoldRequest(FOREVER),
                Moment::Executed => Action::HoldAnswer(FOREVER),
            };
            scene.s3.add_rule(Rule::any(action).starting_at(number));
            let is_reached = move |request: &ProxiedRequest, now| (request.number, now) == (number, moment);
            let broken_off = break_off(&scene, is_reached).await;
            scene.s3.clear_rules();
            let run = next_attempt(scene, k % 2 == 0).await;
            run.wrong_if(!broken_off, "the attempt came to its end")
        })
        .await
}

/// Delays the completion of an attempt that breaks off, until the next attempt has listed what was
/// left.
pub async fn late_completion(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    fault_run
        .inject("S3: completion racing the next attempt", plan.times, 2, async |k| {
            let scene = Scene::new(fault_run, Size::Small).await;
            scene
                .s3
                .add_rule(Rule::on("CompleteMultipartUpload", Action::ArriveAfter("ListMultipartUploads")));
            let is_reached = |request: &ProxiedRequest, _| request.operation == "CompleteMultipartUpload";
            let broken_off = break_off(&scene, is_reached).await;
            next_attempt(scene, k % 2 == 0).await.wrong_if(!broken_off, "the attempt came to its end")
        })
        .await
}

/// Makes a first attempt and breaks it off at a step. Returns whether it reached that step.
async fn break_off(
    scene: &Scene<'_>,
    is_reached: impl Fn(&ProxiedRequest, Moment) -> bool + Send + Sync + 'static,
) -> bool {
    let reached = Arc::new(Notify::new());
    let reaching = Arc::clone(&reached);
    scene.s3.watch(move |request, moment| {
        if is_reached(request, moment) {
            reaching.notify_one();
        }
    });
    tokio::select! {
        _ = scene.attempt(1) => false,
        () = reached.notified() => true,
    }
}

/// Makes the next attempts: they complete a file, or fail where there is no database.
async fn next_attempt(scene: Scene<'_>, database: bool) -> Run {
    if database {
        let ended = scene.deliver_from(2).await;
        scene.inspect(ended, 1).await.must_be_ready()
    } else {
        scene.mysql.go_down();
        // An attempt that finds a file with its receipt needs no database.
        let is_finished = is_finished(&scene).await;
        let (_, ended) = ended(2, scene.attempt(2).await);
        let run = scene.inspect(ended, 1).await;
        if is_finished { run.must_be_ready() } else { run.must_fail(&["database_unavailable"]) }
    }
}

async fn is_finished(scene: &Scene<'_>) -> bool {
    let listed = scene.client().list_objects_v2().bucket(scene.bucket()).send().await.unwrap();
    listed.contents().iter().any(|object| object.key().is_some_and(is_receipt))
}

/// Leaves every request unanswered, from one of the export's requests on.
pub async fn blackhole(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    fault_run
        .inject("S3: blackholed endpoint", plan.times, 8, async |k| {
            let scene = Scene::new(fault_run, Size::Small).await;
            let requests = fault_run.undisturbed(Size::Small).requests;
            let action = if k % 2 == 0 { Action::HoldAnswer(FOREVER) } else { Action::HoldRequest(FOREVER) };
            scene.s3.add_rule(Rule::any(action).starting_at(1 + k % requests).always());
            let began = Instant::now();
            let first = scene.attempt(1).await;
            let took = began.elapsed();
            scene.s3.clear_rules();
            // After a failed completion the store asks once more.
            let max = 2 * fault_run.timing().s3_operation() + SLACK;
            let ended = match ended(1, first) {
                (Some(Disposition::Retry), _) => scene.deliver_from(2).await,
                (_, ended) => ended,
            };
            let run = scene.inspect(ended, 1).await.must_be_ready();
            run.wrong_if(
                took > max,
                format!("it took {} s, expected at most {}", took.as_secs(), max.as_secs()),
            )
        })
        .await
}

async fn delivered(scene: Scene<'_>) -> Run {
    let ended = scene.deliver().await;
    let injected = scene.s3.injected();
    scene.inspect(ended, injected).await
}
