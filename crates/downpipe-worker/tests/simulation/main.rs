//! Whole workers in a world that goes wrong: random operations and faults, drawn from a seed, and after every step a look at
//! whether what must never break has held.
//!
//! Several real workers run on one thread, in a time that jumps, around a ledger and a store in memory and a queue that behaves
//! as SQS does. Steps are told in stories of 50, each with a seed of its own and a world of its own; at its end everything calms
//! down, and nothing may be left undone.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod exports;
mod model;
mod outside;
mod queue;
mod store;
mod story;
mod table;
mod world;

use std::collections::BTreeMap;

use downpipe_core::job::JobState;
use story::Story;

/// Steps of a story.
const STORY: u64 = 50;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
}

/// `DOWNPIPE_SEED` begins with another story, and `DOWNPIPE_STEPS` tells more of them.
#[test]
#[expect(clippy::print_stdout, reason = "what was tried is to be tried again")]
fn what_must_never_break_holds_in_the_model() {
    let (seed, steps) = (number("DOWNPIPE_SEED", 1), number("DOWNPIPE_STEPS", 500));
    println!("{steps} steps from seed {seed}");
    let mut counts = BTreeMap::new();
    for (seed, told) in (seed..).zip((0..steps).step_by(50)) {
        for (what, count) in tell(seed, STORY.min(steps - told)) {
            *counts.entry(what).or_insert(0) += count;
        }
    }
    for (what, count) in counts {
        println!("{count:>8} {what}");
    }
}

fn tell(seed: u64, steps: u64) -> BTreeMap<String, u64> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut story = Story::new(seed);
        if let Err(step) = story.tell(usize::try_from(steps).unwrap()).await {
            let violations = story.world.lock().violations.join("\n");
            panic!(
                "seed {seed}, step {step}: {violations}\n\nThe last events:\n{}\n\nTo see it again: DOWNPIPE_SEED={seed} \
                 DOWNPIPE_STEPS={steps} cargo test -p downpipe-worker --test simulation",
                story.world.events()
            );
        }
        let mut counts = std::mem::take(&mut story.world.lock().counts);
        for job in story.world.ledger.entries().into_iter().map(|entry| entry.job) {
            let code = job.failure.filter(|_| job.state == JobState::Failed).map(|failure| failure.code);
            let end = format!("jobs end {} {}", job.state.as_str(), code.unwrap_or_default());
            *counts.entry(end).or_default() += 1;
        }
        counts
    })
}
