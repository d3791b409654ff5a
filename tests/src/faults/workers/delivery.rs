//! Messages that come more than once, and notices that do not get through, or nobody knows of.

use futures_util::future::join_all;
use xtask::faults::Outcome;

use super::scene::{Ask, WorkerScene};
use crate::faults::http_proxy::{Act, Rule};
use crate::faults::lab::{Lab, Plan};

/// As often as a request is sent.
const COPIES: usize = 5;

/// The same request several times at the same moment, and several workers.
pub async fn at_once(lab: &Lab, plan: &Plan) -> Outcome {
    let works = lab.works().await;
    lab.inject("worker: duplicate delivery at once", plan.times, 3, async |k| {
        let ask = if k % 2 == 0 { Ask::FEW_PARTS } else { Ask::FEW_PARTS.once() };
        works.undisturbed(ask).await;
        let scene = WorkerScene::set(works, ask).await;
        let jobs = join_all((0..COPIES).map(|_| scene.ask())).await;
        let mut workers = [scene.worker(&["--concurrency", "3"]), scene.worker(&["--concurrency", "2"])];
        for worker in &mut workers {
            scene.ended(worker).await;
        }
        let injected = u32::try_from(COPIES - 1).unwrap();
        scene.look(&jobs[0], injected, 1..=1).await.must_be_ready()
    })
    .await
}

/// The same request again, when its job has ended.
pub async fn late(lab: &Lab, plan: &Plan) -> Outcome {
    let works = lab.works().await;
    lab.inject("worker: duplicate delivery, late", plan.times, 3, async |k| {
        let ask = if k % 2 == 0 { Ask::FEW_PARTS } else { Ask::FEW_PARTS.once() };
        works.undisturbed(ask).await;
        let scene = WorkerScene::set(works, ask).await;
        let job = scene.ask().await;
        let mut first = scene.worker(&[]);
        scene.ended(&mut first).await;
        let parts = scene.aws.count("UploadPart");
        join_all([scene.ask(), scene.ask()]).await;
        let mut second = scene.worker(&["--concurrency", "2"]);
        scene.ended(&mut second).await;
        let again = scene.aws.count("UploadPart") - parts;
        let run = scene.look(&job, 2, 1..=1).await.must_be_ready();
        run.wrong_if(again > 0, format!("{again} parts were stored again"))
    })
    .await
}

/// A topic that is throttled: for as long as one attempt at the notice lasts, and for longer.
pub async fn throttled(lab: &Lab, plan: &Plan) -> Outcome {
    let works = lab.works().await;
    lab.inject("worker: SNS throttled", plan.times, 4, async |k| {
        let ask = Ask::FEW_PARTS;
        works.undisturbed(ask).await;
        let scene = WorkerScene::set(works, ask).await;
        scene.aws.tell(Rule::on("Publish", Act::Answer(400, "Throttling")).times(if k % 2 == 0 {
            2
        } else {
            7
        }));
        let job = scene.ask().await;
        let mut worker = scene.worker(&[]);
        scene.ended(&mut worker).await;
        let injected = scene.aws.injected();
        let parts = scene.aws.count("CompleteMultipartUpload");
        let run = scene.look(&job, injected, 1..=1).await.must_be_ready();
        run.wrong_if(parts != 1, format!("the file was completed {parts} times"))
    })
    .await
}
