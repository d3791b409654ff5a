//! Injects faults, and prints the outcome of each as a line of JSON. `cargo xtask faults` runs this
//! program.
//!
//! `faults TIMING TIMES SEED LEDGER [NAME…]`: TIMING is `real` or `quick`. TIMES 0 means each fault's
//! default number. LEDGER is `mysql` or `dynamodb`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "another program reads the output, and a failure must stop this one"
)]

use downpipe_tests::faults::fault_run::{FaultRun, Plan, Timing};
use downpipe_tests::faults::{FAULTS, Fault};
use futures_util::{StreamExt as _, stream};
use xtask::demo::LedgerChoice;

/// The number of faults at the same time. Some of them mostly wait.
const CONCURRENCY: usize = 4;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let timing = if args.next().unwrap() == "quick" { Timing::Quick } else { Timing::Real };
    let times: u32 = args.next().unwrap().parse().unwrap();
    let seed = args.next().unwrap().parse().unwrap();
    let in_dynamodb = args.next().unwrap() == "dynamodb";
    let ledger = if in_dynamodb { LedgerChoice::Dynamodb } else { LedgerChoice::Mysql };
    let only: Vec<String> = args.collect();
    let fault_run = FaultRun::open(timing, ledger).await;
    let is_wanted = |fault: &&Fault| {
        fault.concerns(ledger)
            && (only.is_empty() || only.iter().any(|only| fault.name.contains(only.as_str())))
    };
    let wanted = FAULTS.iter().filter(is_wanted);
    let inject = async |fault: &Fault| {
        let times = if times == 0 { fault.times } else { times };
        fault.inject(&fault_run, &Plan { times, seed, timing }).await
    };
    let mut outcomes = stream::iter(wanted).map(inject).buffer_unordered(CONCURRENCY);
    while let Some(outcome) = outcomes.next().await {
        println!("{}", serde_json::to_string(&outcome).unwrap());
    }
}
