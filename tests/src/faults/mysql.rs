//! What MySQL, and the network before it, can do to an export.

use std::time::Duration;

use tokio::time::Instant;
use xtask::faults::Outcome;

use super::lab::{Lab, Plan, Size};
use super::mysql_proxy::Break;
use super::scene::{Run, Scene};
use crate::eventually;

/// What it takes to give up a connection, to try to kill its query from another, and what a loaded machine may need besides.
const SLACK: Duration = Duration::from_secs(40);

/// A connection cut at random places in the server's answers, also within a row, closed or reset, encrypted or not.
pub async fn cut(lab: &Lab, plan: &Plan) -> Outcome {
    lab.inject("MySQL: cut mid-row", plan.times, 2, async |k| {
        let mut random = fastrand::Rng::with_seed(plan.seed.wrapping_add(u64::from(k)));
        let scene = Scene::set(lab, Size::Small).await;
        let scene = if k % 4 == 3 { scene.encrypted() } else { scene };
        let how = if k % 2 == 0 { Break::Close } else { Break::Reset };
        // The last bytes prove that the end was reached; and what takes leave of the server takes nothing from the file.
        let answered = lab.undisturbed(Size::Small).answered;
        let after = if k % 8 == 6 { answered - random.u64(1..200) } else { random.u64(0..answered) };
        scene.mysql.break_off(1, after, how);
        delivered(scene).await.must_be_ready()
    })
    .await
}

/// `KILL CONNECTION` while rows are read.
pub async fn kill_connection(lab: &Lab, plan: &Plan) -> Outcome {
    lab.inject("MySQL: KILL CONNECTION", plan.times, 2, async |k| {
        killed(lab, plan, k, "CONNECTION").await.must_be_ready()
    })
    .await
}

/// `KILL QUERY` while rows are read. Somebody wanted that: it is not tried again.
pub async fn kill_query(lab: &Lab, plan: &Plan) -> Outcome {
    lab.inject("MySQL: KILL QUERY", plan.times, 2, async |k| {
        killed(lab, plan, k, "QUERY").await.must_fail(&["killed"])
    })
    .await
}

async fn killed(lab: &Lab, plan: &Plan, k: u32, what: &str) -> Run {
    let scene = Scene::set(lab, Size::Large).await;
    // The first quarter, so that the server has not sent everything when the rest waits.
    let after = random_place(lab, plan, k) / 4;
    scene.mysql.fall_silent_after(1, after);
    let kill = async {
        eventually("the place is reached", async || (scene.mysql.injected() > 0).then_some(())).await;
        let id = eventually("the query runs", async || scene.running().await.first().copied()).await;
        scene.execute(&format!("KILL {what} {id}")).await;
        scene.mysql.recover();
    };
    let (ended, ()) = tokio::join!(scene.deliver(), kill);
    scene.look(ended, 1).await
}

/// A server that goes away while rows are read, and comes back when an attempt has found it away.
pub async fn restart(lab: &Lab, plan: &Plan) -> Outcome {
    lab.inject("MySQL: server restart", plan.times, 2, async |k| {
        let scene = Scene::set(lab, Size::Large).await;
        let after = random_place(lab, plan, k);
        scene.mysql.go_down_after(1, after);
        let first = scene.attempt(1).await;
        let second = scene.attempt(2).await;
        scene.mysql.recover();
        let ended = scene.deliver_from(3).await;
        let injected = scene.mysql.injected();
        let run = scene.look(ended, injected).await.must_be_ready();
        run.wrong_if(first.is_ok() || second.is_ok(), "an attempt has read from a server that is away")
    })
    .await
}

/// A server that nothing is heard of any more, while rows are read: at the latest the deadline ends it.
pub async fn blackhole(lab: &Lab, plan: &Plan) -> Outcome {
    let time = lab.pace().silence();
    lab.inject("MySQL: blackholed in the middle of a result", plan.times, 4, async |k| {
        let scene = Scene::set(lab, Size::Large).await.within(time);
        let after = random_place(lab, plan, k);
        scene.mysql.fall_silent_after(1, after);
        let began = Instant::now();
        let ended = scene.deliver().await;
        let took = began.elapsed();
        scene.mysql.recover();
        let injected = scene.mysql.injected();
        let run = scene.look(ended, injected).await.must_fail(&["timed_out"]);
        run.wrong_if(took > time + SLACK, format!("it took {} s", took.as_secs()))
    })
    .await
}

/// A server that does not answer from the start.
pub async fn unreachable(lab: &Lab, plan: &Plan) -> Outcome {
    lab.inject("MySQL: blackholed from the start", plan.times, 4, async |_| {
        let scene = Scene::set(lab, Size::Tiny).await;
        scene.mysql.fall_silent();
        let began = Instant::now();
        let first = scene.attempt(1).await;
        let took = began.elapsed();
        scene.mysql.recover();
        let ended = scene.deliver_from(2).await;
        let run = scene.look(ended, 1).await.must_be_ready();
        run.wrong_if(first.is_ok(), "an attempt has read from a server that does not answer")
            .wrong_if(took > SLACK, format!("it took {} s", took.as_secs()))
    })
    .await
}

/// A place in the answers to a large export, behind the login and before the end.
fn random_place(lab: &Lab, plan: &Plan, k: u32) -> u64 {
    let answered = lab.undisturbed(Size::Large).answered;
    fastrand::Rng::with_seed(plan.seed.wrapping_add(u64::from(k))).u64(100_000..answered - 100_000)
}

async fn delivered(scene: Scene<'_>) -> Run {
    let ended = scene.deliver().await;
    let injected = scene.mysql.injected();
    scene.look(ended, injected).await
}
