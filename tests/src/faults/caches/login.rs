//! Faults of the login to Valkey, which the judge before it refuses.

use xtask::faults::Outcome;

use super::click::Longest;
use super::content::A_DAY;
use super::network::injected;
use super::scene::{Asker, CacheScene, EXPORT};
use super::server::Server;
use crate::faults::fault_run::{FaultRun, Plan};
use crate::faults::scene::Run;

/// Signs tokens for another cache, another user, and another kind of cache.
pub async fn bad_token(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: bad token", async |k| {
        let mut server = Server::valkey().await;
        server.change_url(|url| match k % 3 {
            0 => format!("{url}-2"),
            1 => url.replacen("valkey://", "valkey://another-", 1),
            _ => format!("{url}?serverless"),
        });
        refused(fault_run, server).await
    })
    .await
}

/// Lets the cache's clock be a day ahead of the worker's, or a day behind, so that every token is too old or of the future.
pub async fn clock(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: clock of the login off by a day", async |k| {
        let by = if k % 2 == 0 { A_DAY } else { -A_DAY };
        refused(fault_run, Server::valkey_with_clock(by.as_secs()).await).await
    })
    .await
}

async fn refused(fault_run: &FaultRun, server: Server) -> (Run, Longest) {
    let mut scene = CacheScene::new(fault_run, server).await;
    let asker = Asker::new(EXPORT);
    let first = scene.answered_click(&asker).await;
    let second = scene.answered_click(&asker).await;
    for click in [&first, &second] {
        scene.must_log_fault(click, &["login"]);
        scene.must_be_answered(click, "fault");
    }
    scene.must_share_file(&first, &second, true);
    scene.inspect().await
}
