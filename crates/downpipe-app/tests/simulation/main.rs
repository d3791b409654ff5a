//! Whole workers among faults: random operations and faults are drawn from a seed, and the invariants are checked after every step.
//!
//! Several real workers run on one thread, in a time that jumps, around a ledger and a store in memory and a queue that behaves as SQS
//! does. With `DOWNPIPE_SIMULATION_LEDGER=dynamodb` the ledger is in the DynamoDB of a stack that runs. Every 50 steps are a scenario with a seed and a world of its own. At its end all faults stop, and nothing may be left undone.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod cache;
mod dynamodb;
mod exports;
mod ledger;
mod model;
mod outside;
mod queue;
mod scenario;
mod store;
mod table;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use downpipe_core::job::JobState;
use downpipe_core::ledger::Entry;
use scenario::Scenario;

/// Steps of a scenario.
const SCENARIO: u64 = 50;

/// Panics that the simulation did not ask for: those that it asks for do not reach the hook.
static REAL_PANICS: AtomicU64 = AtomicU64::new(0);

fn count_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        REAL_PANICS.fetch_add(1, Ordering::Relaxed);
        usual(panic);
    }));
}

fn real_panics() -> u64 {
    REAL_PANICS.load(Ordering::Relaxed)
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
}

/// `DOWNPIPE_SEED` chooses the first scenario, and `DOWNPIPE_STEPS` how many steps there are in all.
#[test]
#[expect(clippy::print_stdout, reason = "what was tried is to be tried again")]
fn invariants_with_random_faults_hold() {
    let (seed, steps) = (number("DOWNPIPE_SEED", 1), number("DOWNPIPE_STEPS", 500));
    println!("{steps} steps from seed {seed}");
    count_panics();
    let mut counts = BTreeMap::new();
    for (seed, done) in (seed..).zip((0..steps).step_by(50)) {
        for (what, count) in run(seed, SCENARIO.min(steps - done)) {
            *counts.entry(what).or_insert(0) += count;
        }
    }
    for (what, count) in counts {
        println!("{count:>8} {what}");
    }
}

fn run(seed: u64, steps: u64) -> BTreeMap<String, u64> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut scenario = Scenario::new(seed);
        if let Err(step) = scenario.run(usize::try_from(steps).unwrap()).await {
            let violations = scenario.world.lock().violations.join("\n");
            panic!(
                "seed {seed}, step {step}: {violations}\n\nThe last events:\n{}\n\nTo see it again: DOWNPIPE_SEED={seed} \
                 DOWNPIPE_STEPS={steps} cargo test -p downpipe-app --test simulation",
                scenario.world.events()
            );
        }
        let mut counts = std::mem::take(&mut scenario.world.lock().counts);
        for Entry { job, .. } in scenario.world.entries().iter().cloned() {
            let code = job.failure.filter(|_| job.state == JobState::Failed).map(|failure| failure.code);
            let end = format!("jobs end {} {}", job.state.as_str(), code.unwrap_or_default());
            *counts.entry(end).or_default() += 1;
        }
        counts
    })
}
