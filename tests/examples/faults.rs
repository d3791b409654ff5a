//! Injects faults, and prints what came of each: a line of JSON a fault. `cargo xtask faults` runs it.
//!
//! `faults PACE TIMES SEED [NAME…]`: PACE is `real` or `quick`, TIMES 0 means as often as is usual.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that somebody else reads, and that stops where it fails"
)]

use downpipe_tests::faults::lab::{Lab, Pace, Plan};
use downpipe_tests::faults::{FAULTS, Fault};
use futures_util::{StreamExt as _, stream};

/// Faults that are injected at the same time: some of them mostly wait.
const AT_ONCE: usize = 4;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let pace = if args.next().unwrap() == "quick" { Pace::Quick } else { Pace::Real };
    let times: u32 = args.next().unwrap().parse().unwrap();
    let seed = args.next().unwrap().parse().unwrap();
    let only: Vec<String> = args.collect();
    let lab = Lab::open(pace).await;
    let wanted = FAULTS
        .iter()
        .filter(|fault| only.is_empty() || only.iter().any(|only| fault.name.contains(only.as_str())));
    let inject = async |fault: &Fault| {
        let times = if times == 0 { fault.times } else { times };
        (fault.inject)(&lab, &Plan { times, seed, pace }).await
    };
    let mut outcomes = stream::iter(wanted).map(inject).buffer_unordered(AT_ONCE);
    while let Some(outcome) = outcomes.next().await {
        println!("{}", serde_json::to_string(&outcome).unwrap());
    }
}
