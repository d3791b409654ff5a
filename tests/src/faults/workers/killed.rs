//! Workers that are killed, anywhere.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use downpipe_core::job::{Job, JobId};
use xtask::faults::Outcome;

use super::scene::{Ask, WorkerScene};
use super::works::{Works, bytes_of};
use crate::eventually_within;
use crate::faults::http_proxy::Moment;
use crate::faults::lab::{Lab, Pace, Plan};
use crate::faults::scene::Run;
use crate::site::WorkerProcess;

/// Jobs that are worked on at the same time.
const AT_ONCE: usize = 8;

/// Of so many jobs one waits for the whole minute, if its requester was being told when its worker died.
const PATIENT: u32 = 8;

/// Where a worker is killed.
#[derive(Debug, Clone, Copy)]
enum Place {
    Request(u32, Moment),
    Operation(&'static str, Moment),
    Statement(u32, Moment),
    After(Duration),
}

/// A worker that whoever looks at a proxy can kill.
type Victim = Arc<Mutex<Option<WorkerProcess>>>;

/// Killed at a request to AWS, before it is carried out or after it.
pub async fn at_requests(lab: &Lab, plan: &Plan) -> Outcome {
    killed(lab, plan, "worker: SIGKILL at a random request to AWS", 2, |random, undisturbed| {
        Place::Request(random.u32(1..=undisturbed.requests), moment(random))
    })
    .await
}

/// Killed at a statement to MySQL, of the ledger's or of the query's, likewise.
pub async fn at_statements(lab: &Lab, plan: &Plan) -> Outcome {
    killed(lab, plan, "worker: SIGKILL at a random statement to MySQL", 2, |random, undisturbed| {
        Place::Statement(random.u32(1..=undisturbed.statements), moment(random))
    })
    .await
}

/// Killed at any time.
pub async fn at_times(lab: &Lab, plan: &Plan) -> Outcome {
    killed(lab, plan, "worker: SIGKILL at a random time", 2, |random, undisturbed| {
        let millis = u64::try_from(undisturbed.took.as_millis()).unwrap();
        Place::After(Duration::from_millis(random.u64(0..millis)))
    })
    .await
}

/// Killed when the topic has taken the notice, and before the ledger knows: that, and nothing else, may be told twice.
pub async fn after_publish(lab: &Lab, plan: &Plan) -> Outcome {
    killed(lab, plan, "worker: SIGKILL after publish", 1, |_, _| {
        Place::Operation("Publish", Moment::CarriedOut)
    })
    .await
}

/// How far a worker comes that nothing disturbs.
struct Steps {
    requests: u32,
    statements: u32,
    took: Duration,
}

fn moment(random: &mut fastrand::Rng) -> Moment {
    if random.bool() { Moment::Came } else { Moment::CarriedOut }
}

/// Every other job can be gone on with; and where two are to be killed, every other two of each lose their second worker as well.
async fn killed(
    lab: &Lab,
    plan: &Plan,
    name: &str,
    most_kills: u32,
    place: impl Fn(&mut fastrand::Rng, &Steps) -> Place,
) -> Outcome {
    let works = lab.works().await;
    let (told_again, gone_on) = (AtomicU32::new(0), AtomicU32::new(0));
    let mut outcome = lab
        .inject(name, plan.times, AT_ONCE, async |k| {
            let mut random = fastrand::Rng::with_seed(plan.seed.wrapping_add(u64::from(k)));
            let ask = if k % 2 == 0 { Ask::FEW_PARTS } else { Ask::FEW_PARTS.once() };
            let undisturbed = works.undisturbed(ask).await;
            let steps = Steps {
                requests: u32::try_from(undisturbed.requests.len()).unwrap(),
                statements: undisturbed.statements,
                took: undisturbed.took,
            };
            let places: Vec<_> = (0..1 + k / 2 % most_kills).map(|_| place(&mut random, &steps)).collect();
            let patient = works.pace() == Pace::Real && k % PATIENT == 0;
            let (run, continued) = one(works, ask, &places, patient).await;
            gone_on.fetch_add(u32::from(continued), Ordering::Relaxed);
            told_again.fetch_add(run.emails.unwrap_or(0).saturating_sub(1), Ordering::Relaxed);
            let is_wrong = !run.wrong.is_empty();
            run.wrong_if(is_wrong, format!("killed at {places:?}"))
        })
        .await;
    outcome.outcome += &format!("; {} gone on from a checkpoint", gone_on.into_inner());
    match told_again.into_inner() {
        0 => {}
        times => outcome.outcome += &format!("; {times} killed between e-mail and record, and told again"),
    }
    outcome
}

async fn one(works: &Works, ask: Ask, places: &[Place], patient: bool) -> (Run, bool) {
    let scene = WorkerScene::set(works, ask).await;
    let job = scene.ask().await;
    let (mut kills, mut most_told, mut published) = (0, 1, 0);
    let mut at_last_kill = None;
    for place in places {
        if !kill_at(&scene, *place).await {
            continue;
        }
        kills += 1;
        let found = scene.find(&job).await;
        let now = scene.aws.count("Publish");
        if now > published && found.as_ref().is_none_or(|job| job.notified_at.is_none()) {
            most_told += 1;
        }
        published = now;
        if !patient {
            scene.hasten_notice(&job).await;
        }
        at_last_kill = Some((found, read(&scene)));
    }
    let mut last = scene.worker(&[]);
    scene.ended(&mut last).await;
    let too_much = match at_last_kill {
        Some((found, before)) => read_again(&scene, ask, found, read(&scene) - before, &job),
        None => None,
    };
    let receipt = scene.find(&job).await.and_then(|job| job.receipt);
    let mut run = scene.look(&job, kills, 1..=most_told).await.must_be_ready();
    run.wrong.extend(too_much);
    if !run.wrong.is_empty() {
        run.wrong.push(last.log());
    }
    (run, receipt.is_some_and(|receipt| receipt.continued))
}

/// The bytes that MySQL has answered.
fn read(scene: &WorkerScene<'_>) -> u64 {
    scene.mysql.answered().iter().sum()
}

/// What was checkpointed is not read again: unless the file was complete, and nobody knew.
fn read_again(
    scene: &WorkerScene<'_>,
    ask: Ask,
    found: Option<Job>,
    bytes: u64,
    job: &JobId,
) -> Option<String> {
    let rows = found?.checkpoint.filter(|_| ask.resumable)?.rows;
    if scene.aws.count("CompleteMultipartUpload") > 1 {
        return None;
    }
    let left = bytes_of(u64::from(ask.rows) - rows);
    // Some for the ledger, whose checkpoints and receipts are answered, too.
    let most = left + left / 50 + 500_000;
    (bytes > most).then(|| {
        format!("job {job}: {rows} rows were checkpointed, {left} bytes were left to read, {bytes} were read")
    })
}

/// Starts a worker and kills it there. False if it has ended before it came so far.
async fn kill_at(scene: &WorkerScene<'_>, place: Place) -> bool {
    let victim = Victim::default();
    let (requests, statements) = (u32::try_from(scene.aws.passed().len()).unwrap(), scene.mysql.statements());
    let prey = Arc::clone(&victim);
    match place {
        Place::Request(number, moment) => scene.aws.watch(move |request, now| {
            if (request.number, now) == (requests + number, moment) {
                kill(&prey);
            }
        }),
        Place::Operation(operation, moment) => scene.aws.watch(move |request, now| {
            if (request.operation.as_str(), now) == (operation, moment) {
                kill(&prey);
            }
        }),
        Place::Statement(number, moment) => scene.mysql.watch_statements(move |statement, now| {
            if (statement, now) == (statements + number, moment) {
                kill(&prey);
            }
        }),
        Place::After(_) => {}
    }
    {
        let mut victim = victim.lock().unwrap();
        *victim = Some(scene.worker(&[]));
    }
    if let Place::After(time) = place {
        tokio::time::sleep(time).await;
        kill(&victim);
    }
    let gone =
        eventually_within(Duration::from_secs(300), "the worker has ended or was killed", async || {
            let mut victim = victim.lock().unwrap();
            match victim.as_mut() {
                None => Some(true),
                Some(worker) => worker.status().map(|status| {
                    assert!(status.success(), "{status}: {}", worker.log());
                    false
                }),
            }
        });
    let killed = gone.await;
    scene.aws.watch(|_, _| {});
    scene.mysql.watch_statements(|_, _| {});
    killed
}

fn kill(victim: &Victim) {
    let mut victim = victim.lock().unwrap();
    if let Some(worker) = victim.as_mut()
        && worker.status().is_none()
    {
        worker.kill();
        *victim = None;
    }
}
