//! What S3, and the network before it, can do to an export.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use downpipe_core::failure::Next;
use downpipe_core::source::Stop;
use downpipe_core::store::{ObjectStore as _, Part, StoreError, Upload as _, is_receipt};
use tokio::sync::Notify;
use tokio::time::Instant;
use xtask::faults::Outcome;

use super::http_proxy::{Act, Moment, Passing, Rule};
use super::lab::{LARGE_PARTS, Lab, Plan, Size};
use super::scene::{Ended, Run, Scene, ended};

/// As often as the SDK tries.
const ALL_TRIES: u32 = 5;

/// What clearing up may take, besides what failed, and what else a loaded machine may need.
const SLACK: Duration = Duration::from_secs(25);

/// Longer than anything waits.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

/// 500, at every part: once, which is tried again at once, and as often as the SDK tries, which takes another attempt.
pub async fn error_500(lab: &Lab, plan: &Plan) -> Outcome {
    at_every_part(lab, plan, "S3: 500", Act::Answer(500, "InternalError")).await
}

/// 503, likewise.
pub async fn slow_down(lab: &Lab, plan: &Plan) -> Outcome {
    at_every_part(lab, plan, "S3: 503 SlowDown", Act::Answer(503, "SlowDown")).await
}

/// A connection reset before the part was read, likewise.
pub async fn reset(lab: &Lab, plan: &Plan) -> Outcome {
    at_every_part(lab, plan, "S3: reset", Act::Reset).await
}

/// A part that arrived, and nobody was told.
pub async fn lost_part_answer(lab: &Lab, plan: &Plan) -> Outcome {
    at_every_part(lab, plan, "S3: lost answer to a part", Act::LoseAnswer).await
}

/// A bit changed in a part, likewise.
pub async fn corrupted_part(lab: &Lab, plan: &Plan) -> Outcome {
    at_every_part(lab, plan, "S3: corrupted part", Act::Corrupt).await
}

/// A store that stands still at a part: before it has read it, or before it answers.
pub async fn stall(lab: &Lab, plan: &Plan) -> Outcome {
    let time = lab.pace().stall();
    let name = format!("S3: stall of {} s", time.as_secs());
    lab.inject(&name, plan.times, 4, async |k| {
        let scene = Scene::set(lab, Size::Large).await;
        let act = if k % 2 == 0 { Act::HoldAnswer(time) } else { Act::HoldRequest(time) };
        scene.s3.tell(Rule::on("UploadPart", act).part(1 + k / 2 % LARGE_PARTS));
        delivered(scene).await.must_be_ready()
    })
    .await
}

async fn at_every_part(lab: &Lab, plan: &Plan, name: &str, act: Act) -> Outcome {
    lab.inject(name, plan.times, 2, async |k| {
        let scene = Scene::set(lab, Size::Large).await;
        // The first round once at each part, the next as often as it is tried.
        let times = if (k / LARGE_PARTS).is_multiple_of(2) { 1 } else { ALL_TRIES };
        scene.s3.tell(Rule::on("UploadPart", act.clone()).part(1 + k % LARGE_PARTS).times(times));
        delivered(scene).await.must_be_ready()
    })
    .await
}

/// The upload is completed, and nobody is told: once, and as often as it is asked.
pub async fn lost_completion(lab: &Lab, plan: &Plan) -> Outcome {
    at_completion(lab, plan, "S3: lost answer to CompleteMultipartUpload", Act::LoseAnswer, ALL_TRIES).await
}

/// An error within a 200.
pub async fn error_in_200(lab: &Lab, plan: &Plan) -> Outcome {
    at_completion(lab, plan, "S3: 200 with an error", Act::Answer(200, "InternalError"), ALL_TRIES).await
}

/// An upload that is gone when it is to be completed.
pub async fn no_such_upload(lab: &Lab, plan: &Plan) -> Outcome {
    at_completion(lab, plan, "S3: NoSuchUpload", Act::Answer(404, "NoSuchUpload"), 3).await
}

/// Somebody else wrote to the key at the same moment.
pub async fn conflict_409(lab: &Lab, plan: &Plan) -> Outcome {
    at_completion(
        lab,
        plan,
        "S3: 409 ConditionalRequestConflict",
        Act::Answer(409, "ConditionalRequestConflict"),
        3,
    )
    .await
}

/// The key is said to be taken, and is not.
pub async fn precondition_412(lab: &Lab, plan: &Plan) -> Outcome {
    at_completion(lab, plan, "S3: 412 PreconditionFailed", Act::Answer(412, "PreconditionFailed"), 3).await
}

/// Once, and at several in a row. (What the SDK does not try again takes an attempt for each.)
async fn at_completion(lab: &Lab, plan: &Plan, name: &str, act: Act, several: u32) -> Outcome {
    lab.inject(name, plan.times, 2, async |k| {
        let scene = Scene::set(lab, Size::Small).await;
        let times = if k % 2 == 0 { 1 } else { several };
        scene.s3.tell(Rule::on("CompleteMultipartUpload", act.clone()).times(times));
        delivered(scene).await.must_be_ready()
    })
    .await
}

/// The key holds a file that is not ours: it stays, and there is an error.
pub async fn taken_key(lab: &Lab, plan: &Plan) -> Outcome {
    lab.inject("S3: 412, the key is somebody else's", plan.times, 2, async |k| {
        let scene = Scene::set(lab, if k % 2 == 0 { Size::Tiny } else { Size::Small }).await;
        let (client, bucket, key) = (scene.client(), scene.bucket().to_owned(), scene.key());
        let theirs = ByteStream::from_static(b"theirs");
        client.put_object().bucket(&bucket).key(&key).body(theirs).send().await.unwrap();
        let ended = scene.deliver().await;
        let left = client.get_object().bucket(&bucket).key(&key).send().await.unwrap();
        let is_theirs = left.body.collect().await.unwrap().to_vec() == b"theirs";
        client.delete_object().bucket(&bucket).key(&key).send().await.unwrap();
        let run = scene.look(ended, 1).await;
        run.must_fail(&["storage"]).wrong_if(!is_theirs, "somebody else's file was touched")
    })
    .await
}

/// An upload is begun, and nobody is told its id.
pub async fn lost_beginning(lab: &Lab, plan: &Plan) -> Outcome {
    lab.inject("S3: lost answer to CreateMultipartUpload", plan.times, 2, async |k| {
        let scene = Scene::set(lab, Size::Small).await;
        let times = if k % 2 == 0 { 1 } else { ALL_TRIES };
        scene.s3.tell(Rule::on("CreateMultipartUpload", Act::LoseAnswer).times(times));
        delivered(scene).await.must_be_ready()
    })
    .await
}

/// An export that is stopped while its upload is being begun.
pub async fn stopped_beginning(lab: &Lab, plan: &Plan) -> Outcome {
    lab.inject("S3: stopped during CreateMultipartUpload", plan.times, 4, async |_| {
        let scene = Scene::set(lab, Size::Small).await;
        let (stopper, stop) = Stop::new();
        scene.s3.tell(Rule::on("CreateMultipartUpload", Act::HoldAnswer(Duration::from_secs(1))));
        scene.s3.watch(move |request, moment| {
            if request.operation == "CreateMultipartUpload" && moment == Moment::CarriedOut {
                stopper.stop();
            }
        });
        let (_, ended) = ended(1, scene.attempt_until(1, stop).await);
        scene.look(ended, 1).await.must_fail(&["stopped"])
    })
    .await
}

/// A part after the last that S3 takes. (That an export comes to none is `downpipe-core`'s business.)
pub async fn part_10001(lab: &Lab, plan: &Plan) -> Outcome {
    lab.inject("S3: part 10,001", plan.times, 1, async |_| {
        let scene = Scene::set(lab, Size::Tiny).await;
        let upload = scene.store().begin(&scene.object(1)).await.unwrap();
        let stored = upload.part(Part { number: 10_001, offset: 0, body: "a".into() }).await;
        upload.abort().await.unwrap();
        let refused = matches!(stored, Err(StoreError::Refused { .. }));
        let run = scene.look(Ended::Failed("storage".to_owned()), 1).await;
        run.wrong_if(!refused, format!("expected that it be refused, got {stored:?}"))
    })
    .await
}

/// A part that arrives when the upload has been aborted.
pub async fn late_part(lab: &Lab, plan: &Plan) -> Outcome {
    lab.inject("S3: abort racing a part", plan.times, 2, async |k| {
        let scene = Scene::set(lab, Size::Large).await;
        let late = 1 + k % 2;
        scene.s3.tell(Rule::on("UploadPart", Act::ArriveAfter("AbortMultipartUpload")).part(late));
        scene.s3.tell(Rule::on("UploadPart", Act::Answer(403, "AccessDenied")).part(3 - late));
        if (k / 2).is_multiple_of(2) {
            // S3 has taken the abort for done, and then takes the part all the same. LocalStack would not.
            scene.s3.tell(Rule::on("AbortMultipartUpload", Act::Answer(204, "")));
        }
        delivered(scene).await.must_fail(&["storage"])
    })
    .await
}

/// Each of an export's requests, in turn, is answered with 500, reset, or loses its answer.
pub async fn every_request(lab: &Lab, plan: &Plan) -> Outcome {
    at_every_request(lab, plan, "S3: 500, reset, lost answer at every request", Size::Small).await
}

/// The same with a file that gets its name by a copy.
pub async fn every_request_of_renaming(lab: &Lab, plan: &Plan) -> Outcome {
    at_every_request(lab, plan, "S3: 500, reset, lost answer at every request, file renamed", Size::Renamed)
        .await
}

async fn at_every_request(lab: &Lab, plan: &Plan, name: &str, size: Size) -> Outcome {
    const ACTS: [Act; 3] = [Act::Answer(500, "InternalError"), Act::Reset, Act::LoseAnswer];
    lab.inject(name, plan.times, 2, async |k| {
        let scene = Scene::set(lab, size).await;
        let requests = lab.undisturbed(size).requests;
        let act = ACTS[(k / requests) as usize % ACTS.len()].clone();
        let times = if (k / requests / 3).is_multiple_of(2) { ALL_TRIES } else { 1 };
        scene.s3.tell(Rule::any(act).from_the(1 + k % requests).times(times));
        delivered(scene).await.must_be_ready()
    })
    .await
}

/// An attempt that breaks off at each of its requests, in turn, before it is carried out or after it, and can clear up nothing. The
/// next attempt does, whether it comes to a file or, every other time, finds no database.
pub async fn broken_off(lab: &Lab, plan: &Plan) -> Outcome {
    broken_off_at(lab, plan, "S3: attempt broken off at every request", Size::Small).await
}

/// The same with a file that gets its name by a copy.
pub async fn renaming_broken_off(lab: &Lab, plan: &Plan) -> Outcome {
    broken_off_at(lab, plan, "S3: attempt broken off at every request, file renamed", Size::Renamed).await
}

async fn broken_off_at(lab: &Lab, plan: &Plan, name: &str, size: Size) -> Outcome {
    lab.inject(name, plan.times, 2, async |k| {
        let scene = Scene::set(lab, size).await;
        let (at, requests) = (k / 2, lab.undisturbed(size).requests);
        let number = 1 + at % requests;
        let moment = if (at / requests).is_multiple_of(2) { Moment::CarriedOut } else { Moment::Came };
        // Held, so that the attempt hears nothing of it.
        let act = match moment {
            Moment::Came => Act::HoldRequest(FOR_EVER),
            Moment::CarriedOut => Act::HoldAnswer(FOR_EVER),
        };
        scene.s3.tell(Rule::any(act).from_the(number));
        let is_there = move |request: &Passing, now| (request.number, now) == (number, moment);
        let broken_off = break_off(&scene, is_there).await;
        scene.s3.relent();
        let run = next_attempt(scene, k % 2 == 0).await;
        run.wrong_if(!broken_off, "the attempt came to its end")
    })
    .await
}

/// An upload whose completion is asked for by an attempt that breaks off, and takes place when the next one has looked for what
/// was left.
pub async fn late_completion(lab: &Lab, plan: &Plan) -> Outcome {
    lab.inject("S3: completion racing the next attempt", plan.times, 2, async |k| {
        let scene = Scene::set(lab, Size::Small).await;
        scene.s3.tell(Rule::on("CompleteMultipartUpload", Act::ArriveAfter("ListMultipartUploads")));
        let is_there = |request: &Passing, _| request.operation == "CompleteMultipartUpload";
        let broken_off = break_off(&scene, is_there).await;
        next_attempt(scene, k % 2 == 0).await.wrong_if(!broken_off, "the attempt came to its end")
    })
    .await
}

/// Makes a first attempt, and breaks it off there. Returns whether it has come so far.
async fn break_off(
    scene: &Scene<'_>,
    is_there: impl Fn(&Passing, Moment) -> bool + Send + Sync + 'static,
) -> bool {
    let reached = Arc::new(Notify::new());
    let reaching = Arc::clone(&reached);
    scene.s3.watch(move |request, moment| {
        if is_there(request, moment) {
            reaching.notify_one();
        }
    });
    tokio::select! {
        _ = scene.attempt(1) => false,
        () = reached.notified() => true,
    }
}

/// What comes of the next attempts: a file, or an error where there is no database.
async fn next_attempt(scene: Scene<'_>, database: bool) -> Run {
    if database {
        let ended = scene.deliver_from(2).await;
        scene.look(ended, 1).await.must_be_ready()
    } else {
        scene.mysql.go_down();
        // A file whose receipt is there needs no database any more.
        let is_finished = is_finished(&scene).await;
        let (_, ended) = ended(2, scene.attempt(2).await);
        let run = scene.look(ended, 1).await;
        if is_finished { run.must_be_ready() } else { run.must_fail(&["database_unavailable"]) }
    }
}

async fn is_finished(scene: &Scene<'_>) -> bool {
    let listed = scene.client().list_objects_v2().bucket(scene.bucket()).send().await.unwrap();
    listed.contents().iter().any(|object| object.key().is_some_and(is_receipt))
}

/// A store that no longer answers anything, from one of the requests on.
pub async fn blackhole(lab: &Lab, plan: &Plan) -> Outcome {
    lab.inject("S3: blackholed endpoint", plan.times, 8, async |k| {
        let scene = Scene::set(lab, Size::Small).await;
        let requests = lab.undisturbed(Size::Small).requests;
        let act = if k % 2 == 0 { Act::HoldAnswer(FOR_EVER) } else { Act::HoldRequest(FOR_EVER) };
        scene.s3.tell(Rule::any(act).from_the(1 + k % requests).always());
        let began = Instant::now();
        let first = scene.attempt(1).await;
        let took = began.elapsed();
        scene.s3.relent();
        // What fails in completing is asked about once more.
        let most = 2 * lab.pace().s3_operation() + SLACK;
        let ended = match ended(1, first) {
            (Some(Next::Retry), _) => scene.deliver_from(2).await,
            (_, ended) => ended,
        };
        let run = scene.look(ended, 1).await.must_be_ready();
        run.wrong_if(
            took > most,
            format!("it took {} s, at most {} were due", took.as_secs(), most.as_secs()),
        )
    })
    .await
}

async fn delivered(scene: Scene<'_>) -> Run {
    let ended = scene.deliver().await;
    let injected = scene.s3.injected();
    scene.look(ended, injected).await
}
