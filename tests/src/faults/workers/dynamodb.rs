//! Faults of workers whose ledger is in DynamoDB.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use downpipe_core::job::JobId;
use xtask::faults::Outcome;

use super::harness::WorkerHarness;
use super::scene::{ExportOptions, WorkerScene};
use crate::faults::fault_run::{FaultRun, Plan};
use crate::faults::http_proxy::{Action, Moment, Rule};
use crate::test_stack::WorkerProcess;

/// The number of attempts that the SDK makes.
const SDK_ATTEMPTS: u32 = 5;

/// The operations of a ledger, the most interesting first.
const OPERATIONS: [&str; 3] = ["TransactWriteItems", "UpdateItem", "GetItem"];

/// Loses the answer to a request, once or as often as the SDK tries. DynamoDB has executed it.
pub async fn lost_answer(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    disturbed(fault_run, plan, "worker: lost answer of DynamoDB", |k| {
        let times = if k % 2 == 0 { 1 } else { SDK_ATTEMPTS };
        (Action::LoseAnswer, times)
    })
    .await
}

/// Throttles a request, once or for longer than the SDK tries.
pub async fn throttled(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    disturbed(fault_run, plan, "worker: DynamoDB throttles", |k| {
        let times = if k % 2 == 0 { 1 } else { SDK_ATTEMPTS + 1 };
        (Action::Answer(400, "ProvisionedThroughputExceededException"), times)
    })
    .await
}

/// Disturbs the requests of each operation in turn, from the first or the second on.
async fn disturbed(
    fault_run: &FaultRun,
    plan: &Plan,
    name: &str,
    fault: impl Fn(u32) -> (Action, u32),
) -> Outcome {
    let harness = fault_run.harness().await;
    fault_run
        .inject(name, plan.times, 3, async |k| {
            let options = Box::pin(undisturbed(harness)).await;
            let scene = Box::pin(WorkerScene::with_ledger_in_dynamodb(harness, options)).await;
            let operation = OPERATIONS[k as usize / 2 % OPERATIONS.len()];
            let (action, times) = fault(k);
            // A job has two transactions: one accepts it, and one ends it.
            let first = 1 + k / 6 % 2;
            scene.dynamodb.add_rule(Rule::on(operation, action).starting_at(first).times(times));
            let job = scene.send_request().await;
            let mut worker = scene.worker(&[]);
            scene.wait_for_success(&mut worker).await;
            let injected = scene.dynamodb.injected();
            let run = Box::pin(scene.inspect(&job, injected, 1..=1)).await.must_be_ready();
            let is_wrong = !run.wrong.is_empty();
            run.wrong_if(is_wrong, format!("{operation} {first}, {times} times: {}", worker.log()))
        })
        .await
}

/// Kills the worker at a random request to DynamoDB, before or after it is executed.
pub async fn killed(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let harness = fault_run.harness().await;
    fault_run
        .inject("worker: SIGKILL at a random request to DynamoDB", plan.times, 6, async |k| {
            let mut random = fastrand::Rng::with_seed(plan.seed.wrapping_add(u64::from(k)));
            let options = Box::pin(undisturbed(harness)).await;
            let scene = Box::pin(WorkerScene::with_ledger_in_dynamodb(harness, options)).await;
            // Some dozen requests accept a job, hold its lease for three seconds, and end it.
            let at = random.u32(1..=14);
            let moment = if random.bool() { Moment::Received } else { Moment::Executed };
            let job = scene.send_request().await;
            let kills = kill_at(&scene, at, moment).await;
            let mut second = scene.worker(&[]);
            scene.wait_for_success(&mut second).await;
            let run = inspect(scene, &job, kills).await;
            let is_wrong = !run.wrong.is_empty();
            run.wrong_if(is_wrong, format!("killed at request {at}, {moment:?}: {}", second.log()))
        })
        .await
}

/// Starts a worker, which is killed at this request or ends by itself before it. Returns how often it was killed.
async fn kill_at(scene: &WorkerScene<'_>, at: u32, moment: Moment) -> u32 {
    let victim: Arc<Mutex<Option<WorkerProcess>>> = Arc::default();
    let kills = Arc::new(AtomicU32::new(0));
    {
        let (victim, kills) = (Arc::clone(&victim), Arc::clone(&kills));
        scene.dynamodb.watch(move |proxied, now| {
            if proxied.number == at
                && now == moment
                && let Some(worker) = victim.lock().unwrap().as_mut()
            {
                worker.kill();
                kills.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    *victim.lock().unwrap() = Some(scene.worker(&[]));
    crate::eventually_within(std::time::Duration::from_secs(120), "the worker has ended", async || {
        victim.lock().unwrap().as_mut().and_then(WorkerProcess::status)
    })
    .await;
    kills.load(Ordering::Relaxed)
}

/// Inspects what is left. A worker that was killed between the notice and its record leaves the notice to be sent once more.
async fn inspect(scene: WorkerScene<'_>, job: &JobId, kills: u32) -> crate::faults::scene::Run {
    Box::pin(scene.inspect(job, kills, 1..=2)).await.must_be_ready()
}

/// Returns the export of these faults, whose file is known from a run without any.
async fn undisturbed(harness: &WorkerHarness) -> ExportOptions {
    let options = ExportOptions::FEW_PARTS;
    harness.undisturbed(options).await;
    options
}
