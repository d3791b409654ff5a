//! What breaks under a worker that goes on: MySQL, S3, and the worker's own code.

use std::time::Duration;

use downpipe_core::job::JobId;
use xtask::faults::Outcome;

use super::scene::{Ask, WorkerScene};
use super::works::bytes_of;
use crate::eventually_within;
use crate::faults::http_proxy::{Act, Rule};
use crate::faults::lab::{Lab, Plan};
use crate::faults::mysql_proxy::Break;
use crate::faults::scene::Run;

/// The connections of a worker: the ledger's is opened first, the query's next.
const LEDGER: usize = 1;
const QUERY: usize = 2;

/// As often as the SDK tries.
const ALL_TRIES: u32 = 5;

/// The query's connection, or the ledger's, cut at a random place: the job goes on from its checkpoint.
pub async fn mysql_cut(lab: &Lab, plan: &Plan) -> Outcome {
    let works = lab.works().await;
    lab.inject("worker: MySQL cut", plan.times, 4, async |k| {
        let mut random = fastrand::Rng::with_seed(plan.seed.wrapping_add(u64::from(k)));
        let ask = Ask::FEW_PARTS;
        let answered = works.undisturbed(ask).await.answered;
        let scene = WorkerScene::set(works, ask).await;
        let connection = if k % 4 == 3 { LEDGER } else { QUERY };
        let how = if k % 2 == 0 { Break::Close } else { Break::Reset };
        let after = random.u64(0..answered[connection - 1]);
        scene.mysql.break_off(connection, after, how);
        let job = worked_on(&scene).await;
        let read: u64 = scene.mysql.answered().iter().sum();
        let injected = scene.mysql.injected();
        let run = scene.look(&job, injected, 1..=1).await.must_be_ready();
        // Less than two parts of it are on their way to the store and not in a checkpoint.
        let most = if connection == QUERY { bytes_of(u64::from(ask.rows)) * 2 } else { u64::MAX };
        run.wrong_if(read > most, format!("{read} bytes were read"))
    })
    .await
}

/// A server that is away for some seconds.
pub async fn mysql_restart(lab: &Lab, plan: &Plan) -> Outcome {
    let works = lab.works().await;
    lab.inject("worker: MySQL restart", plan.times, 3, async |k| {
        let mut random = fastrand::Rng::with_seed(plan.seed.wrapping_add(u64::from(k)));
        let ask = Ask::FEW_PARTS;
        let answered = works.undisturbed(ask).await.answered;
        let scene = WorkerScene::set(works, ask).await;
        scene.mysql.go_down_after(QUERY, random.u64(0..answered[QUERY - 1]));
        let job = scene.ask().await;
        let mut worker = scene.worker(&[]);
        let most = Duration::from_secs(120);
        eventually_within(most, "somebody finds the server away", async || {
            let connections = scene.mysql.answered().len();
            (scene.mysql.injected() > 0 && connections > QUERY + 1).then_some(())
        })
        .await;
        scene.mysql.recover();
        scene.ended(&mut worker).await;
        let injected = scene.mysql.injected();
        scene.look(&job, injected, 1..=1).await.must_be_ready()
    })
    .await
}

/// 500 at every request to S3 in turn: once, and as often as the SDK tries.
pub async fn s3_500(lab: &Lab, plan: &Plan) -> Outcome {
    const OF_OTHERS: [&str; 6] = [
        "GetQueueAttributes",
        "ReceiveMessage",
        "ChangeMessageVisibility",
        "DeleteMessage",
        "SendMessage",
        "Publish",
    ];
    let works = lab.works().await;
    lab.inject("worker: S3 500 at every request", plan.times, 4, async |k| {
        let ask = Ask::FEW_PARTS;
        let mut requests = works.undisturbed(ask).await.requests;
        requests.retain(|request| !OF_OTHERS.contains(&request.operation.as_str()));
        let at = k as usize % requests.len();
        let request = &requests[at];
        let earlier = requests[..at].iter().filter(|earlier| earlier.operation == request.operation);
        let scene = WorkerScene::set(works, ask).await;
        let times = if (k as usize / requests.len()).is_multiple_of(2) { ALL_TRIES } else { 1 };
        let operation: &'static str = operation(&request.operation);
        let rule = Rule::on(operation, Act::Answer(500, "InternalError")).times(times);
        scene.aws.tell(match request.part {
            Some(part) => rule.part(part),
            None => rule.from_the(1 + u32::try_from(earlier.count()).unwrap()),
        });
        let job = worked_on(&scene).await;
        let injected = scene.aws.injected();
        let run = scene.look(&job, injected, 1..=1).await.must_be_ready();
        let is_wrong = !run.wrong.is_empty();
        run.wrong_if(is_wrong, format!("500 at {request:?}, {times} times"))
    })
    .await
}

/// The name as a rule takes it.
fn operation(name: &str) -> &'static str {
    const NAMES: [&str; 8] = [
        "CreateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
        "PutObject",
        "HeadObject",
        "GetObject",
        "ListParts",
        "ListMultipartUploads",
    ];
    NAMES
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or_else(|| panic!("an operation that is not known: {name}"))
}

/// A greeting of MySQL's that makes the driver panic: of the ledger's connection, of the query's, and of one that is opened anew while
/// rows are read.
pub async fn panicked(lab: &Lab, plan: &Plan) -> Outcome {
    let works = lab.works().await;
    lab.inject("worker: panic", plan.times, 4, async |k| {
        let ask = if k / 3 % 2 == 0 { Ask::FEW_PARTS } else { Ask::FEW_PARTS.once() };
        let answered = works.undisturbed(ask).await.answered;
        let scene = WorkerScene::set(works, ask).await;
        match k % 3 {
            0 => {
                scene.mysql.break_off(LEDGER, answered[LEDGER - 1] / 2, Break::Reset);
                scene.mysql.break_off(QUERY + 1, 0, Break::ShortGreeting);
            }
            1 => scene.mysql.break_off(QUERY, 0, Break::ShortGreeting),
            _ => scene.mysql.break_off(LEDGER, 0, Break::ShortGreeting),
        }
        let job = scene.ask().await;
        let mut worker = scene.worker(&[]);
        scene.ended(&mut worker).await;
        let panics = worker.log().matches("handling the message panicked").count();
        let run: Run = scene.look(&job, u32::try_from(panics).unwrap(), 1..=1).await.must_be_ready();
        run.wrong_if(panics != 1, format!("{panics} panics: {}", worker.log()))
    })
    .await
}

async fn worked_on(scene: &WorkerScene<'_>) -> JobId {
    let job = scene.ask().await;
    let mut worker = scene.worker(&[]);
    scene.ended(&mut worker).await;
    job
}
