//! Faults of delivery: messages that come more than once, and notices that SNS throttles.

use futures_util::future::join_all;
use xtask::faults::Outcome;

use super::scene::{ExportOptions, WorkerScene};
use crate::faults::fault_run::{FaultRun, Plan};
use crate::faults::http_proxy::{Action, Rule};

/// The number of times that a request is sent.
const COPIES: usize = 5;

/// Sends a request several times at the same moment, to several workers.
pub async fn concurrent(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let harness = fault_run.harness().await;
    fault_run
        .inject("worker: duplicate delivery at once", plan.times, 3, async |k| {
            let options = ExportOptions::few_parts(k % 2 == 0);
            harness.undisturbed(options).await;
            let scene = WorkerScene::new(harness, options).await;
            let jobs = join_all((0..COPIES).map(|_| scene.send_request())).await;
            let mut workers = [scene.worker(&["--concurrency", "3"]), scene.worker(&["--concurrency", "2"])];
            for worker in &mut workers {
                scene.wait_for_success(worker).await;
            }
            let injected = u32::try_from(COPIES - 1).unwrap();
            scene.inspect(&jobs[0], injected, 1..=1).await.must_be_ready()
        })
        .await
}

/// Sends a request again after its job has ended.
pub async fn late(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let harness = fault_run.harness().await;
    fault_run
        .inject("worker: duplicate delivery, late", plan.times, 3, async |k| {
            let options = ExportOptions::few_parts(k % 2 == 0);
            harness.undisturbed(options).await;
            let scene = WorkerScene::new(harness, options).await;
            let job = scene.send_request().await;
            let mut first = scene.worker(&[]);
            scene.wait_for_success(&mut first).await;
            let parts = scene.aws.count("UploadPart");
            join_all([scene.send_request(), scene.send_request()]).await;
            let mut second = scene.worker(&["--concurrency", "2"]);
            scene.wait_for_success(&mut second).await;
            let again = scene.aws.count("UploadPart") - parts;
            let run = scene.inspect(&job, 2, 1..=1).await.must_be_ready();
            run.wrong_if(again > 0, format!("{again} parts were stored again"))
        })
        .await
}

/// Throttles the topic: for less time than one attempt at the notice takes, and for more.
pub async fn throttled(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let harness = fault_run.harness().await;
    fault_run
        .inject("worker: SNS throttled", plan.times, 4, async |k| {
            let options = ExportOptions::FEW_PARTS;
            harness.undisturbed(options).await;
            let scene = WorkerScene::new(harness, options).await;
            scene.aws.add_rule(Rule::on("Publish", Action::Answer(400, "Throttling")).times(if k % 2 == 0 {
                2
            } else {
                7
            }));
            let job = scene.send_request().await;
            let mut worker = scene.worker(&[]);
            scene.wait_for_success(&mut worker).await;
            let injected = scene.aws.injected();
            let parts = scene.aws.count("CompleteMultipartUpload");
            let run = scene.inspect(&job, injected, 1..=1).await.must_be_ready();
            run.wrong_if(parts != 1, format!("the file was completed {parts} times"))
        })
        .await
}
