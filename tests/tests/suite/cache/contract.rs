//! Every cache keeps the contract, and its user has the commands that it needs and no others.

use std::collections::BTreeSet;

use downpipe_aws::{AnyCache, CacheAuthorities, KEY_PREFIX, VALKEY_COMMANDS, ValkeyAddress};
use downpipe_core::testing::contracts::cache_contract;
use downpipe_tests::caches::{Judged, TestJudge, caches, patient, settings, stack_authority, unused_port};
use downpipe_tests::{eventually, unique};
use xtask::stack::{CACHE_ACL, Paths, PrivateValkey};

/// Makes a key of a rule's name that no other test and no earlier run uses.
fn own_keys() -> impl Fn(&str) -> String {
    let test = unique("contract");
    move |name| format!("{test}:{name}")
}

fn cache_at(url: &str, authorities: &CacheAuthorities) -> AnyCache {
    AnyCache::at(&url.parse().unwrap(), authorities, &settings(), patient()).unwrap()
}

#[tokio::test]
async fn valkey_behind_iam_keeps_the_contract() {
    cache_contract(&cache_at(&caches().valkey_url, &stack_authority()), own_keys()).await;
}

#[tokio::test]
async fn memcached_keeps_the_contract() {
    cache_contract(&cache_at(&caches().memcached_url, &stack_authority()), own_keys()).await;
}

/// A serverless cache is a cluster of which clients see one endpoint.
#[tokio::test]
async fn valkey_in_cluster_mode_keeps_the_contract() {
    let bus = unused_port().to_string();
    let start = move || {
        let options = ["--cluster-enabled", "yes", "--cluster-port", &bus];
        let valkey = PrivateValkey::start(&Paths::of_workspace(), &options).unwrap();
        valkey.administer(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).unwrap();
        valkey
    };
    let valkey = tokio::task::spawn_blocking(start).await.unwrap();
    let is_whole = async || {
        let state = valkey.administer(&["CLUSTER", "INFO"]).unwrap();
        state.contains("cluster_state:ok").then_some(())
    };
    eventually("the cluster serves every slot", is_whole).await;
    let judge =
        TestJudge::start(Judged { valkey: valkey.port(), serverless: true, ..Judged::default() }).await;
    let address = ValkeyAddress { serverless: true, ..judge.address() };
    cache_contract(&judge.cache_at(address, patient()), own_keys()).await;
}

#[tokio::test]
async fn valkey_sees_no_command_beside_those_of_the_list() {
    let start = || PrivateValkey::start(&Paths::of_workspace(), &[]).unwrap();
    let valkey = tokio::task::spawn_blocking(start).await.unwrap();
    // The second answer names the question itself, too.
    commands(&valkey);
    let before = commands(&valkey);
    let judge = TestJudge::start(Judged { valkey: valkey.port(), ..Judged::default() }).await;
    cache_contract(&judge.cache(patient()), own_keys()).await;
    let sent: Vec<String> = commands(&valkey).difference(&before).cloned().collect();
    assert_eq!(sent, ["del", "get", "set"]);
}

/// Returns every command that a Valkey has seen, those that it refused included.
fn commands(valkey: &PrivateValkey) -> BTreeSet<String> {
    let statistics = valkey.administer(&["INFO", "commandstats"]).unwrap();
    let names = statistics.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split(':').next());
    names.map(str::to_owned).collect()
}

#[test]
fn user_of_the_stack_has_the_commands_of_the_code_and_no_others() {
    let keys = format!("~{KEY_PREFIX}*");
    let mut expected = vec!["on".to_owned(), keys, "-@all".to_owned()];
    expected.extend(VALKEY_COMMANDS.map(|command| format!("+{command}")));
    assert_eq!(CACHE_ACL.as_slice(), expected);
}
