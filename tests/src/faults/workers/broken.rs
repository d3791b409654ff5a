//! Faults that a running worker survives: of MySQL, of S3, and of its own code.

use std::time::Duration;

use downpipe_core::job::JobId;
use xtask::demo::LedgerChoice;
use xtask::faults::Outcome;

use super::harness::bytes_of;
use super::scene::{ExportOptions, WorkerScene};
use crate::eventually_within;
use crate::faults::fault_run::{FaultRun, Plan};
use crate::faults::http_proxy::{Action, Rule};
use crate::faults::mysql_proxy::Break;
use crate::faults::scene::Run;

/// The ledger's connection to MySQL, which a worker opens first if the ledger is there.
const LEDGER: usize = 1;

/// The number of requests to DynamoDB during an export, or somewhat less.
const REQUESTS_TO_DYNAMODB: u32 = 10;

/// The number of attempts that the SDK makes.
const SDK_ATTEMPTS: u32 = 5;

/// Cuts the query's or the ledger's connection at a random place. The job resumes from its
/// checkpoint.
pub async fn mysql_cut(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let harness = fault_run.harness().await;
    fault_run
        .inject("worker: MySQL cut", plan.times, 4, async |k| {
            let mut random = fastrand::Rng::with_seed(plan.seed.wrapping_add(u64::from(k)));
            let options = ExportOptions::FEW_PARTS;
            let answered = harness.undisturbed(options).await.answered;
            let scene = WorkerScene::new(harness, options).await;
            let (of_ledger, query) = (k % 4 == 3, harness.query_connection());
            let how = if k % 2 == 0 { Break::Close } else { Break::Reset };
            if of_ledger && harness.ledger() == LedgerChoice::Dynamodb {
                let at = random.u32(1..=REQUESTS_TO_DYNAMODB);
                scene.dynamodb.add_rule(Rule::any(Action::Reset).starting_at(at));
            } else {
                let connection = if of_ledger { LEDGER } else { query };
                let after = random.u64(0..answered[connection - 1]);
                scene.mysql.break_off(connection, after, how);
            }
            let job = run_job(&scene).await;
            let read: u64 = scene.mysql.answered().iter().sum();
            let injected = scene.mysql.injected() + scene.dynamodb.injected();
            let run = scene.inspect(&job, injected, 1..=1).await.must_be_ready();
            // Less than two parts are in flight and not in a checkpoint.
            let max = if of_ledger { u64::MAX } else { bytes_of(u64::from(options.rows)) * 2 };
            run.wrong_if(read > max, format!("{read} bytes were read"))
        })
        .await
}

/// Takes the server down for some seconds.
pub async fn mysql_restart(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let harness = fault_run.harness().await;
    fault_run
        .inject("worker: MySQL restart", plan.times, 3, async |k| {
            let mut random = fastrand::Rng::with_seed(plan.seed.wrapping_add(u64::from(k)));
            let options = ExportOptions::FEW_PARTS;
            let answered = harness.undisturbed(options).await.answered;
            let scene = WorkerScene::new(harness, options).await;
            let query = harness.query_connection();
            scene.mysql.go_down_after(query, random.u64(0..answered[query - 1]));
            let job = scene.send_request().await;
            let mut worker = scene.worker(&[]);
            let max = Duration::from_secs(120);
            eventually_within(max, "the worker finds the server down", async || {
                let connections = scene.mysql.answered().len();
                // The query's again, and the ledger's if that is there, too.
                (scene.mysql.injected() > 0 && connections >= 2 * query).then_some(())
            })
            .await;
            scene.mysql.recover();
            scene.wait_for_success(&mut worker).await;
            let injected = scene.mysql.injected();
            scene.inspect(&job, injected, 1..=1).await.must_be_ready()
        })
        .await
}

/// Answers 500 at every request to S3 in turn: once, and as often as the SDK tries.
pub async fn s3_500(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    const OTHER_SERVICES: [&str; 6] = [
        "GetQueueAttributes",
        "ReceiveMessage",
        "ChangeMessageVisibility",
        "DeleteMessage",
        "SendMessage",
        "Publish",
    ];
    let harness = fault_run.harness().await;
    fault_run
        .inject("worker: S3 500 at every request", plan.times, 4, async |k| {
            let options = ExportOptions::FEW_PARTS;
            let mut requests = harness.undisturbed(options).await.requests;
            requests.retain(|request| !OTHER_SERVICES.contains(&request.operation.as_str()));
            let at = k as usize % requests.len();
            let request = &requests[at];
            let earlier = requests[..at].iter().filter(|earlier| earlier.operation == request.operation);
            let scene = WorkerScene::new(harness, options).await;
            let times = if (k as usize / requests.len()).is_multiple_of(2) { SDK_ATTEMPTS } else { 1 };
            let operation: &'static str = operation(&request.operation);
            let rule = Rule::on(operation, Action::Answer(500, "InternalError")).times(times);
            scene.aws.add_rule(match request.part {
                Some(part) => rule.part(part),
                None => rule.starting_at(1 + u32::try_from(earlier.count()).unwrap()),
            });
            let job = run_job(&scene).await;
            let injected = scene.aws.injected();
            let run = scene.inspect(&job, injected, 1..=1).await.must_be_ready();
            let is_wrong = !run.wrong.is_empty();
            run.wrong_if(is_wrong, format!("500 at {request:?}, {times} times"))
        })
        .await
}

/// Returns the operation's name as a static string, which a rule needs.
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

/// Sends a greeting that makes the driver panic: on the ledger's connection, on the query's, and on
/// one that is opened again while rows are read.
pub async fn panicked(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let harness = fault_run.harness().await;
    fault_run
        .inject("worker: panic", plan.times, 4, async |k| {
            let options = if k / 3 % 2 == 0 {
                ExportOptions::FEW_PARTS
            } else {
                ExportOptions::FEW_PARTS.without_resume()
            };
            let answered = harness.undisturbed(options).await.answered;
            let scene = WorkerScene::new(harness, options).await;
            let query = harness.query_connection();
            match k % 3 {
                // The driver of a ledger in DynamoDB is not the one that panics.
                _ if harness.ledger() == LedgerChoice::Dynamodb => {
                    scene.mysql.break_off(query, 0, Break::ShortGreeting);
                }
                0 => {
                    scene.mysql.break_off(LEDGER, answered[LEDGER - 1] / 2, Break::Reset);
                    scene.mysql.break_off(query + 1, 0, Break::ShortGreeting);
                }
                1 => scene.mysql.break_off(query, 0, Break::ShortGreeting),
                _ => scene.mysql.break_off(LEDGER, 0, Break::ShortGreeting),
            }
            let job = scene.send_request().await;
            let mut worker = scene.worker(&[]);
            scene.wait_for_success(&mut worker).await;
            let panics = worker.log().matches("handling the message panicked").count();
            let run: Run = scene.inspect(&job, u32::try_from(panics).unwrap(), 1..=1).await.must_be_ready();
            run.wrong_if(panics != 1, format!("{panics} panics: {}", worker.log()))
        })
        .await
}

async fn run_job(scene: &WorkerScene<'_>) -> JobId {
    let job = scene.send_request().await;
    let mut worker = scene.worker(&[]);
    scene.wait_for_success(&mut worker).await;
    job
}
