//! Faults of what Valkey keeps: too much, too little, or something else than a worker has put there.

use std::time::Duration;

use bytes::Bytes;
use downpipe_core::cache::JobCache;
use downpipe_core::job::Receipt;
use jiff::SignedDuration;
use xtask::faults::Outcome;

use super::click::{Click, Longest};
use super::network::injected;
use super::scene::{Asker, CacheScene, EXPORT};
use super::server::Server;
use crate::faults::fault_run::{FaultRun, Plan};
use crate::faults::scene::Run;
use crate::faults::workers::scene::ExportOptions;
use crate::{aws, eventually};

/// How far clocks are off.
pub(super) const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// How long the export lets a file be reused.
const REUSE: Duration = Duration::from_secs(600);

/// Another export, whose entry is put in the place of the first one's.
const ANOTHER: ExportOptions = ExportOptions { rows: 100, ..EXPORT };

/// Lets Valkey refuse every value, because it is full and evicts none.
pub async fn full(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: full (noeviction)", async |_| {
        let server = Server::own_valkey(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]).await;
        let mut scene = CacheScene::new(fault_run, server).await;
        let asker = Asker::new(EXPORT);
        let first = scene.click(&asker).await;
        let second = scene.answered_click(&asker).await;
        scene.must_log_fault(&first, &["refused", "timeout"]);
        scene.must_be_answered(&second, "miss");
        scene.must_share_file(&first, &second, true);
        scene.inspect().await
    })
    .await
}

/// Lets Valkey evict every value between two clicks.
pub async fn evicted(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: evicted", async |_| {
        let mut scene = CacheScene::new(fault_run, Server::own_valkey(&[]).await).await;
        let (asker, first, _) = scene.cached_click(EXPORT).await;
        let key = format!("downpipe:{}", first.key());
        scene.server.administer(&["CONFIG", "SET", "maxmemory", "1"]);
        eventually("Valkey has evicted the receipt", async || {
            (scene.server.administer(&["EXISTS", &key]) == "0").then_some(())
        })
        .await;
        scene.server.administer(&["CONFIG", "SET", "maxmemory", "64mb"]);
        let second = scene.answered_click(&asker).await;
        scene.must_be_answered(&second, "miss");
        scene.must_share_file(&first, &second, true);
        scene.inspect().await
    })
    .await
}

/// Puts a list in the place of a receipt.
pub async fn wrong_type(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: value of another type", async |_| {
        let mut scene = CacheScene::new(fault_run, Server::own_valkey(&[]).await).await;
        let (asker, first, _) = scene.cached_click(EXPORT).await;
        let key = format!("downpipe:{}", first.key());
        scene.server.administer(&["DEL", &key]);
        scene.server.administer(&["LPUSH", &key, "a", "list"]);
        let second = scene.answered_click(&asker).await;
        scene.must_log_fault(&second, &["refused"]);
        scene.must_be_answered(&second, "fault");
        scene.must_share_file(&first, &second, true);
        scene.inspect().await
    })
    .await
}

/// Deletes or overwrites a file whose receipt is in the cache. The second click gets a file of its own.
pub async fn stale_object(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: stale object", async |k| {
        let mut scene = CacheScene::new(fault_run, Server::valkey().await).await;
        let (mut first, mut second) = one_stale_object(&mut scene, k % 2 == 0).await;
        // The second click has its own file then, whose receipt may be in the cache.
        while second.found_no_answer_in_time() {
            (first, second) = one_stale_object(&mut scene, k % 2 == 0).await;
        }
        scene.must_be_answered(&second, "hit");
        scene.wrong_if(!second.found_it_useless(), "the worker has not noticed that the file is gone");
        scene.must_share_file(&first, &second, false);
        scene.inspect().await
    })
    .await
}

/// Deletes or overwrites the file of a cached click, and clicks again. Returns both clicks.
async fn one_stale_object(scene: &mut CacheScene<'_>, deletes: bool) -> (Click, Click) {
    let (asker, first, _) = scene.cached_click(EXPORT).await;
    let key = scene.changes_file_of(&first);
    let (client, bucket) = (aws::s3(&scene.test_stack.config), &scene.test_stack.bucket);
    if deletes {
        client.delete_object().bucket(bucket).key(&key).send().await.unwrap();
    } else {
        // As long as the file, and not the file.
        let bytes = vec![b'x'; usize::try_from(first.job.bytes).unwrap()];
        client.put_object().bucket(bucket).key(&key).body(bytes.into()).send().await.unwrap();
    }
    let second = scene.click(&asker).await;
    (first, second)
}

/// Forges an entry: a receipt that no key has signed, a signature with a bit changed, and the entry of another request.
pub async fn forged_entry(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: forged entry", async |k| {
        let mut scene = CacheScene::new(fault_run, Server::valkey().await).await;
        let (asker, first, entry) = scene.cached_click(EXPORT).await;
        let forged = match k % 3 {
            0 => unsigned_entry(&first),
            1 => with_another_signature(&entry),
            _ => scene.cached_click(ANOTHER).await.2,
        };
        scene.put_entry(&first, forged).await;
        let second = scene.answered_click(&asker).await;
        scene.must_be_answered(&second, "forged");
        scene.must_share_file(&first, &second, true);
        let left = scene.entry(&second).await.is_some();
        scene.wrong_if(left, "the forged entry is left in the cache");
        scene.inspect().await
    })
    .await
}

/// Returns an entry with a receipt of another file, which is valid JSON and is not signed.
pub(super) fn unsigned_entry(click: &Click) -> Bytes {
    let mut receipt = receipt_of(click);
    receipt.files[0].address = receipt.files[0].address.replace(".csv", "-of-another.csv");
    [&[1], &[b'A'; 32][..], receipt.to_json().as_bytes()].concat().into()
}

fn with_another_signature(entry: &Bytes) -> Bytes {
    let mut entry = entry.to_vec();
    entry[32] ^= 1;
    entry.into()
}

/// Keeps a receipt as a worker would have whose clock is a day ahead, or a day behind.
pub async fn clock(fault_run: &FaultRun, plan: &Plan) -> Outcome {
    injected(fault_run, plan, "cache: clock off by a day", async |k| {
        let by = if k % 2 == 0 { A_DAY } else { -A_DAY };
        one_clock(fault_run, by).await
    })
    .await
}

async fn one_clock(fault_run: &FaultRun, by: SignedDuration) -> (Run, Longest) {
    let mut scene = CacheScene::new(fault_run, Server::valkey().await).await;
    let (asker, first, entry) = scene.cached_click(EXPORT).await;
    let mut receipt = receipt_of(&first);
    receipt.completed_at += by;
    receipt.expires_at += by;
    let fingerprint = first.job.fingerprint.clone().unwrap();
    eventually("the entry is in the cache", async || {
        // A new one each time: only its first operation has long enough on a busy machine.
        let cache = JobCache::new(scene.server.cache(), Some(CacheScene::receipt_keys()));
        cache.keep_receipt(&fingerprint, &receipt, REUSE).await;
        scene.entry(&first).await.filter(|kept| *kept != entry)
    })
    .await;
    let second = scene.answered_click(&asker).await;
    scene.must_be_answered(&second, "hit");
    scene.wrong_if(!second.found_it_useless(), "the worker has taken a receipt of another day");
    scene.must_share_file(&first, &second, true);
    scene.inspect().await
}

fn receipt_of(click: &Click) -> Receipt {
    click.job.receipt.clone().unwrap()
}
