//! Faults of the network between a worker and Valkey.

use std::sync::Mutex;
use std::time::Duration;

use xtask::faults::Outcome;

use super::click::Longest;
use super::proxy::Network;
use super::scene::{Asker, CacheScene, EXPORT};
use super::server::Server;
use crate::eventually;
use crate::faults::fault_run::{FaultRun, Plan};
use crate::faults::scene::Run;
use crate::test_stack::WorkerProcess;

/// The number of injections at the same time. Each has processes of its own.
const CONCURRENCY: usize = 2;

/// How long a slow cache takes for each answer.
const SLOW: Network = Network::Slow(Duration::from_secs(5));

/// Takes the cache down before the first click. Its port is closed, or resets connections.
pub async fn down_at_start(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: down at start", async |k| {
        let mut server = Server::valkey().await;
        if k % 2 == 0 {
            server.vacate_port();
        }
        disturbed(fault_run, server, Network::Down, false, &["connection"]).await
    })
    .await
}

/// Takes the cache down when it has been asked for the first click's file, and rows are read.
pub async fn down_midway(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: down midway", async |_| {
        disturbed(fault_run, Server::valkey().await, Network::Down, true, &["connection", "timeout"]).await
    })
    .await
}

/// Delays each answer by 5 s: from the start, or when the cache has been asked for a file.
pub async fn slow(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: 5 s slow", async |k| {
        disturbed(fault_run, Server::valkey().await, SLOW, k % 2 == 1, &["timeout"]).await
    })
    .await
}

/// Answers nothing, on connections that stay open: from the start, or when the cache has been asked for a file.
pub async fn black_hole(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: black hole", async |k| {
        disturbed(fault_run, Server::valkey().await, Network::BlackHole, k % 2 == 1, &["timeout"]).await
    })
    .await
}

/// Injects a fault so many times, and adds to the outcome how long the cache has kept workers waiting.
pub(super) async fn injected(
    fault_run: &FaultRun,
    plan: &Plan,
    name: &str,
    one: impl AsyncFn(u32) -> (Run, Longest),
) -> Outcome {
    let longest = Mutex::new(Longest::default());
    let mut outcome = fault_run
        .inject(name, plan.times, CONCURRENCY, async |k| {
            // Boxed, because the nested future is too deep for the compiler.
            let (run, of_run) = Box::pin(one(k)).await;
            let mut longest = longest.lock().unwrap();
            *longest = longest.max(of_run);
            run
        })
        .await;
    let Longest { first, other } = longest.into_inner().unwrap();
    outcome.outcome +=
        &format!("; at most {first} ms to connect and ask, {other} ms an operation after that");
    outcome
}

/// Disturbs the network, and asks twice. Every worker must log one of these faults.
pub(super) async fn disturbed(
    fault_run: &FaultRun,
    server: Server,
    network: Network,
    midway: bool,
    faults: &[&str],
) -> (Run, Longest) {
    let mut scene = CacheScene::new(fault_run, server).await;
    let asker = Asker::new(EXPORT);
    let first = if midway {
        let disturb = async |scene: &CacheScene<'_>, worker: &WorkerProcess| {
            let asked = async || worker.log().contains("the cache was asked for a file").then_some(());
            eventually("the cache is asked for a file", asked).await;
            scene.server.proxy.set(network);
        };
        scene.click_during(&asker, disturb).await
    } else {
        scene.server.proxy.set(network);
        scene.click(&asker).await
    };
    let second = scene.click(&asker).await;
    scene.must_log_fault(&first, faults);
    scene.must_log_fault(&second, faults);
    scene.must_be_answered(&second, "fault");
    // The ledger knows the file, too.
    scene.must_share_file(&first, &second, true);
    scene.inspect().await
}
