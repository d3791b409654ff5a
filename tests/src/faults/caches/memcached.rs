//! Faults of Memcached, as a worker's cache.

use bytes::Bytes;
use xtask::faults::Outcome;

use super::content::unsigned_entry;
use super::network::{disturbed, injected};
use super::proxy::Network;
use super::scene::{CacheScene, EXPORT};
use super::server::Server;
use crate::faults::fault_run::{FaultRun, Plan};

/// Takes Memcached down: before the first click, or when it has been asked for the file.
pub async fn down(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: Memcached down", async |k| {
        let faults = ["connection", "name", "timeout"];
        disturbed(fault_run, Server::memcached().await, Network::Down, k % 2 == 1, &faults).await
    })
    .await
}

/// Answers nothing: from the start, or when Memcached has been asked for a file.
pub async fn black_hole(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: Memcached black hole", async |k| {
        disturbed(fault_run, Server::memcached().await, Network::BlackHole, k % 2 == 1, &["timeout"]).await
    })
    .await
}

/// Puts something else in the place of a receipt, and a receipt that no key has signed.
pub async fn wrong_value(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: Memcached with a wrong value", async |k| {
        let mut scene = CacheScene::new(fault_run, Server::memcached().await).await;
        let (asker, first, _) = scene.cached_click(EXPORT).await;
        let (value, answer) = match k % 2 {
            0 => (Bytes::from_static(b"another program's value"), "other version"),
            _ => (unsigned_entry(&first), "forged"),
        };
        scene.put_entry(&first, value).await;
        let second = scene.answered_click(&asker).await;
        scene.must_be_answered(&second, answer);
        scene.must_share_file(&first, &second, true);
        scene.inspect().await
    })
    .await
}
