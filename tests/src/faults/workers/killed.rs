//! Kills workers at any step.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use downpipe_core::job::{Job, JobId};
use xtask::faults::Outcome;

use super::harness::{WorkerHarness, bytes_of};
use super::scene::{ExportOptions, WorkerScene};
use crate::eventually_within;
use crate::faults::fault_run::{FaultRun, Plan, Timing};
use crate::faults::http_proxy::Moment;
use crate::faults::scene::Run;
use crate::test_stack::WorkerProcess;

/// The number of jobs at the same time.
const CONCURRENCY: usize = 8;

/// One of so many jobs waits for the notify lease of its dead worker to expire.
const LEASE_WAIT_EVERY: u32 = 8;

/// The step at which a worker is killed.
#[derive(Debug, Clone, Copy)]
enum Place {
    Request(u32, Moment),
    Operation(&'static str, Moment),
    Statement(u32, Moment),
    After(Duration),
}

/// A worker that a proxy's watcher can kill.
type Victim = Arc<Mutex<Option<WorkerProcess>>>;

/// Kills the worker at a request to AWS, before or after AWS has executed it.
pub async fn at_requests(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    killed(fault_run, plan, "worker: SIGKILL at a random request to AWS", 2, |random, undisturbed| {
        Place::Request(random.u32(1..=undisturbed.requests), moment(random))
    })
    .await
}

/// Kills the worker at a statement of the ledger or of the query, before or after MySQL has
/// executed it.
pub async fn at_statements(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    killed(fault_run, plan, "worker: SIGKILL at a random statement to MySQL", 2, |random, undisturbed| {
        Place::Statement(random.u32(1..=undisturbed.statements), moment(random))
    })
    .await
}

/// Kills the worker at a random time.
pub async fn at_times(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    killed(fault_run, plan, "worker: SIGKILL at a random time", 2, |random, undisturbed| {
        let millis = u64::try_from(undisturbed.took.as_millis()).unwrap();
        Place::After(Duration::from_millis(random.u64(0..millis)))
    })
    .await
}

/// Kills the worker after SNS has taken the notice, and before the ledger records it. Only this may
/// send a second e-mail.
pub async fn after_publish(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    killed(fault_run, plan, "worker: SIGKILL after publish", 1, |_, _| {
        Place::Operation("Publish", Moment::Executed)
    })
    .await
}

/// The number of steps of an undisturbed worker.
struct Steps {
    requests: u32,
    statements: u32,
    took: Duration,
}

fn moment(random: &mut fastrand::Rng) -> Moment {
    if random.bool() { Moment::Received } else { Moment::Executed }
}

/// Kills workers of many jobs. Every other job is resumable. With two kills, every second pair of
/// jobs also loses its second worker.
async fn killed(
    fault_run: &FaultRun,
    plan: &Plan,
    name: &str,
    max_kills: u32,
    place: impl Fn(&mut fastrand::Rng, &Steps) -> Place,
) -> Outcome {
    let harness = fault_run.harness().await;
    let (notified_again, resumed) = (AtomicU32::new(0), AtomicU32::new(0));
    let mut outcome = fault_run
        .inject(name, plan.times, CONCURRENCY, async |k| {
            let mut random = fastrand::Rng::with_seed(plan.seed.wrapping_add(u64::from(k)));
            let options = ExportOptions::few_parts(k % 2 == 0);
            let undisturbed = harness.undisturbed(options).await;
            let steps = Steps {
                requests: u32::try_from(undisturbed.requests.len()).unwrap(),
                statements: undisturbed.statements,
                took: undisturbed.took,
            };
            let places: Vec<_> = (0..1 + k / 2 % max_kills).map(|_| place(&mut random, &steps)).collect();
            let waits_for_lease = harness.timing() == Timing::Real && k % LEASE_WAIT_EVERY == 0;
            // Boxed, because the nested future is too deep for the compiler.
            let completed = Box::pin(kill_and_complete(harness, options, &places, waits_for_lease));
            let (run, continued) = completed.await;
            resumed.fetch_add(u32::from(continued), Ordering::Relaxed);
            notified_again.fetch_add(run.emails.unwrap_or(0).saturating_sub(1), Ordering::Relaxed);
            let is_wrong = !run.wrong.is_empty();
            run.wrong_if(is_wrong, format!("killed at {places:?}"))
        })
        .await;
    outcome.outcome += &format!("; {} resumed from a checkpoint", resumed.into_inner());
    match notified_again.into_inner() {
        0 => {}
        times => {
            outcome.outcome += &format!("; {times} killed between e-mail and record, and notified again")
        }
    }
    outcome
}

async fn kill_and_complete(
    harness: &WorkerHarness,
    options: ExportOptions,
    places: &[Place],
    waits_for_lease: bool,
) -> (Run, bool) {
    let scene = WorkerScene::new(harness, options).await;
    let job = scene.send_request().await;
    let (mut kills, mut max_emails, mut published) = (0, 1, 0);
    let mut at_last_kill = None;
    for place in places {
        if !kill_at(&scene, *place).await {
            continue;
        }
        kills += 1;
        let found = scene.find(&job).await;
        let now = scene.aws.count("Publish");
        if now > published && found.as_ref().is_none_or(|job| job.notified_at.is_none()) {
            max_emails += 1;
        }
        published = now;
        if !waits_for_lease {
            scene.expire_notify_lease(&job).await;
        }
        at_last_kill = Some((found, bytes_read(&scene)));
    }
    let mut last = scene.worker(&[]);
    scene.wait_for_success(&mut last).await;
    let excess = match at_last_kill {
        Some((found, before)) => excess_read(&scene, options, found, bytes_read(&scene) - before, &job),
        None => None,
    };
    let receipt = scene.find(&job).await.and_then(|job| job.receipt);
    let mut run = scene.inspect(&job, kills, 1..=max_emails).await.must_be_ready();
    run.wrong.extend(excess);
    if !run.wrong.is_empty() {
        run.wrong.push(last.log());
    }
    (run, receipt.is_some_and(|receipt| receipt.continued))
}

/// Returns the number of bytes that MySQL has answered.
fn bytes_read(scene: &WorkerScene<'_>) -> u64 {
    scene.mysql.answered().iter().sum()
}

/// Describes rows that were read again after a checkpoint. A file that was complete without a
/// record is read again as a whole.
fn excess_read(
    scene: &WorkerScene<'_>,
    options: ExportOptions,
    found: Option<Job>,
    bytes: u64,
    job: &JobId,
) -> Option<String> {
    let rows = found?.checkpoint.filter(|_| options.resumable)?.rows;
    if scene.aws.count("CompleteMultipartUpload") > 1 {
        return None;
    }
    let left = bytes_of(u64::from(options.rows) - rows);
    // Leaves a margin for the ledger, whose checkpoints and receipts are also answered.
    let max = left + left / 50 + 500_000;
    (bytes > max).then(|| {
        format!("job {job}: {rows} rows were checkpointed, {left} bytes were left to read, {bytes} were read")
    })
}

/// Starts a worker and kills it at a step. Returns false if the worker ended before that step.
async fn kill_at(scene: &WorkerScene<'_>, place: Place) -> bool {
    let victim = Victim::default();
    let (requests, statements) =
        (u32::try_from(scene.aws.requests().len()).unwrap(), scene.mysql.statements());
    let target = Arc::clone(&victim);
    match place {
        Place::Request(number, moment) => scene.aws.watch(move |request, now| {
            if (request.number, now) == (requests + number, moment) {
                kill(&target);
            }
        }),
        Place::Operation(operation, moment) => scene.aws.watch(move |request, now| {
            if (request.operation.as_str(), now) == (operation, moment) {
                kill(&target);
            }
        }),
        Place::Statement(number, moment) => scene.mysql.watch_statements(move |statement, now| {
            if (statement, now) == (statements + number, moment) {
                kill(&target);
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
