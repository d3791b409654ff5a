//! Every fault a few times, with shorter timeouts than in production. `cargo xtask faults` injects them in earnest.

mod proxies;

use downpipe_tests::faults::lab::{Lab, Pace, Plan};
use downpipe_tests::faults::{FAULTS, Fault};
use futures_util::{StreamExt as _, stream};

#[tokio::test]
async fn whatever_s3_does_there_is_a_right_file_or_a_clear_error_and_nothing_left() {
    all_are_well("s3-").await;
}

#[tokio::test]
async fn whatever_mysql_does_there_is_a_right_file_or_a_clear_error_and_nothing_left() {
    all_are_well("mysql-").await;
}

pub(crate) async fn all_are_well(names: &str) {
    let seed =
        std::env::var("DOWNPIPE_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let pace = Pace::Quick;
    let lab = Lab::open(pace).await;
    let faults = FAULTS.iter().filter(|fault| fault.name.starts_with(names));
    let inject = async |fault: &Fault| (fault.inject)(&lab, &Plan { times: fault.few, seed, pace }).await;
    let outcomes: Vec<_> = stream::iter(faults).map(inject).buffer_unordered(4).collect().await;
    assert!(!outcomes.is_empty());
    let wrong: Vec<_> = outcomes.into_iter().filter(|outcome| !outcome.is_well()).collect();
    assert!(wrong.is_empty(), "with DOWNPIPE_SEED={seed}: {wrong:#?}");
}
