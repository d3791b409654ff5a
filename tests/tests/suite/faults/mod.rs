//! Injects every fault a few times, with shorter timeouts than in production. `cargo xtask faults`
//! uses production's timeouts.

mod proxies;

use downpipe_tests::faults::fault_run::{FaultRun, Plan, Timing};
use downpipe_tests::faults::{FAULTS, Fault};
use futures_util::{StreamExt as _, stream};
use xtask::demo::LedgerChoice;

#[tokio::test]
async fn export_disturbed_by_s3_is_whole_or_fails_clearly() {
    assert_faults_do_no_harm("s3-").await;
}

#[tokio::test]
async fn export_disturbed_by_mysql_is_whole_or_fails_clearly() {
    assert_faults_do_no_harm("mysql-").await;
}

pub(crate) async fn assert_faults_do_no_harm(names: &str) {
    let seed =
        std::env::var("DOWNPIPE_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let timing = Timing::Quick;
    let fault_run = FaultRun::open(timing, LedgerChoice::Mysql).await;
    let faults = FAULTS.iter().filter(|fault| fault.times_in_tests > 0 && fault.name.starts_with(names));
    let inject = async |fault: &Fault| {
        fault.inject(&fault_run, &Plan { times: fault.times_in_tests, seed, timing }).await
    };
    let outcomes: Vec<_> = stream::iter(faults).map(inject).buffer_unordered(4).collect().await;
    assert!(!outcomes.is_empty());
    let wrong: Vec<_> = outcomes.into_iter().filter(|outcome| !outcome.is_well()).collect();
    assert!(wrong.is_empty(), "with DOWNPIPE_SEED={seed}: {wrong:#?}");
}
