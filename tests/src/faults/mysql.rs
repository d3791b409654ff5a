//! Faults of MySQL, and of the network in front of it, that an export must survive.

use std::time::Duration;

use tokio::time::Instant;
use xtask::faults::Outcome;

use super::fault_run::{FaultRun, Plan, Size};
use super::mysql_proxy::Break;
use super::scene::{Run, Scene};
use crate::eventually;

/// The time to give up a connection and to try to kill its query from another one, with a margin
/// for a loaded machine.
const SLACK: Duration = Duration::from_secs(40);

/// Cuts the connection at random places in the server's answers, also within a row: closed or
/// reset, encrypted or not.
pub async fn cut(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    fault_run
        .inject("MySQL: cut mid-row", plan.times, 2, async |k| {
            let mut random = fastrand::Rng::with_seed(plan.seed.wrapping_add(u64::from(k)));
            let scene = Scene::new(fault_run, Size::Small).await;
            let scene = if k % 4 == 3 { scene.encrypted() } else { scene };
            let how = if k % 2 == 0 { Break::Close } else { Break::Reset };
            // The last bytes prove the end of the result. A cut after them must not change the
            // file.
            let answered = fault_run.undisturbed(Size::Small).answered;
            let after = if k % 8 == 6 { answered - random.u64(1..200) } else { random.u64(0..answered) };
            scene.mysql.break_off(1, after, how);
            delivered(scene).await.must_be_ready()
        })
        .await
}

/// Runs `KILL CONNECTION` while rows are read.
pub async fn kill_connection(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    fault_run
        .inject("MySQL: KILL CONNECTION", plan.times, 2, async |k| {
            killed(fault_run, plan, k, "CONNECTION").await.must_be_ready()
        })
        .await
}

/// Runs `KILL QUERY` while rows are read. An operator meant it, so the worker does not retry.
pub async fn kill_query(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    fault_run
        .inject("MySQL: KILL QUERY", plan.times, 2, async |k| {
            killed(fault_run, plan, k, "QUERY").await.must_fail(&["killed"])
        })
        .await
}

async fn killed(fault_run: &FaultRun, plan: &Plan, k: u32, what: &str) -> Run {
    let scene = Scene::new(fault_run, Size::Large).await;
    // Stops in the first quarter, so that the server still has rows to send.
    let after = random_place(fault_run, plan, k) / 4;
    scene.mysql.fall_silent_after(1, after);
    let kill = async {
        eventually("the place is reached", async || (scene.mysql.injected() > 0).then_some(())).await;
        let id = eventually("the query runs", async || scene.running().await.first().copied()).await;
        scene.execute(&format!("KILL {what} {id}")).await;
        scene.mysql.recover();
    };
    let (ended, ()) = tokio::join!(scene.deliver(), kill);
    scene.inspect(ended, 1).await
}

/// Takes the server down while rows are read, and brings it back after an attempt has failed.
pub async fn restart(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    fault_run
        .inject("MySQL: server restart", plan.times, 2, async |k| {
            let scene = Scene::new(fault_run, Size::Large).await;
            let after = random_place(fault_run, plan, k);
            scene.mysql.go_down_after(1, after);
            let first = scene.attempt(1).await;
            let second = scene.attempt(2).await;
            scene.mysql.recover();
            let ended = scene.deliver_from(3).await;
            let injected = scene.mysql.injected();
            let run = scene.inspect(ended, injected).await.must_be_ready();
            run.wrong_if(first.is_ok() || second.is_ok(), "an attempt has read from a server that is away")
        })
        .await
}

/// Silences the server while rows are read. The deadline ends the export at the latest.
pub async fn blackhole(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    let time = fault_run.timing().silence();
    fault_run
        .inject("MySQL: blackholed in the middle of a result", plan.times, 4, async |k| {
            let scene = Scene::new(fault_run, Size::Large).await.within(time);
            let after = random_place(fault_run, plan, k);
            scene.mysql.fall_silent_after(1, after);
            let began = Instant::now();
            let ended = scene.deliver().await;
            let took = began.elapsed();
            scene.mysql.recover();
            let injected = scene.mysql.injected();
            let run = scene.inspect(ended, injected).await.must_fail(&["timed_out"]);
            run.wrong_if(took > time + SLACK, format!("it took {} s", took.as_secs()))
        })
        .await
}

/// Silences the server from the start.
pub async fn unreachable(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    fault_run
        .inject("MySQL: blackholed from the start", plan.times, 4, async |_| {
            let scene = Scene::new(fault_run, Size::Tiny).await;
            scene.mysql.fall_silent();
            let began = Instant::now();
            let first = scene.attempt(1).await;
            let took = began.elapsed();
            scene.mysql.recover();
            let ended = scene.deliver_from(2).await;
            let run = scene.inspect(ended, 1).await.must_be_ready();
            run.wrong_if(first.is_ok(), "an attempt has read from a server that does not answer")
                .wrong_if(took > SLACK, format!("it took {} s", took.as_secs()))
        })
        .await
}

/// Picks a place in the answers to a large export, after the login and before the end.
fn random_place(fault_run: &FaultRun, plan: &Plan, k: u32) -> u64 {
    let answered = fault_run.undisturbed(Size::Large).answered;
    fastrand::Rng::with_seed(plan.seed.wrapping_add(u64::from(k))).u64(100_000..answered - 100_000)
}

async fn delivered(scene: Scene<'_>) -> Run {
    let ended = scene.deliver().await;
    let injected = scene.mysql.injected();
    scene.inspect(ended, injected).await
}
