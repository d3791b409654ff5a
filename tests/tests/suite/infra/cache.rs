//! `infra/cache.yaml`: what each kind makes, who may log in, and that the worker's template takes its outputs.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use serde_json::{Value, json};
use xtask::workspace;

use super::expansion::{Expansion, Parameters, parameters};

const CACHE: &str = "cache.yaml";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000";
const SUBNETS: &str = "subnet-0123456789abcdef0,subnet-0123456789abcdef1";
const GROUP: &str = "sg-0123456789abcdef0";

/// Every kind of cache in both sorts of network, with and without a key where a kind has one, expanded once.
static CACHES: LazyLock<Vec<(Parameters, Expansion)>> = LazyLock::new(|| {
    let mut sets = Vec::new();
    for kind in ["serverless", "nodes", "memcached"] {
        sets.push(parameters([("Kind", kind), ("NetworkStack", "network")]));
        sets.push(parameters([("Kind", kind), ("SubnetIds", SUBNETS), ("SecurityGroupIds", GROUP)]));
        if kind == "memcached" {
            sets.push(parameters([("Kind", kind), ("NetworkStack", "network"), ("MemcachedNodes", "1")]));
        } else {
            sets.push(parameters([("Kind", kind), ("NetworkStack", "network"), ("KmsKeyArn", KEY)]));
        }
    }
    let expansions = Expansion::clean(CACHE, &sets);
    sets.into_iter().zip(expansions).collect()
});

/// Returns the users' resources and the cache of a kind.
fn expected(kind: &str) -> BTreeSet<&'static str> {
    match kind {
        "serverless" => ["DefaultUser", "WorkerUser", "Users", "ServerlessCache"].into(),
        "nodes" => ["DefaultUser", "WorkerUser", "Users", "SubnetGroup", "Nodes"].into(),
        _ => ["SubnetGroup", "Memcached"].into(),
    }
}

#[test]
fn cache_of_every_switch_is_clean_and_has_what_its_kind_needs() {
    for (set, cache) in &*CACHES {
        assert_eq!(cache.names(), expected(&set["Kind"]), "{set:?}");
        let outputs: BTreeSet<&str> =
            cache.template["Outputs"].as_object().unwrap().keys().map(String::as_str).collect();
        let is_valkey = set["Kind"] != "memcached";
        let arns = is_valkey.then_some(["CacheArn", "CacheUserArn"]).into_iter().flatten();
        assert_eq!(outputs, arns.chain(["CacheUrl"]).collect(), "{set:?}");
    }
}

#[test]
fn cache_is_in_the_subnets_and_groups_of_its_network() {
    let import = |name: &str| json!({"Fn::ImportValue": format!("network-{name}")});
    let imported_subnets = json!({"Fn::Split": [",", import("PrivateSubnetIds")]});
    for (set, cache) in &*CACHES {
        let (subnets, groups) = if set.contains_key("NetworkStack") {
            (imported_subnets.clone(), json!([import("CacheSecurityGroupId")]))
        } else {
            (json!(SUBNETS.split(',').collect::<Vec<_>>()), json!([GROUP]))
        };
        let name = ["ServerlessCache", "Nodes", "Memcached"].into_iter();
        let name = name.filter(|name| cache.names().contains(name)).collect::<Vec<_>>()[0];
        let properties = cache.properties(name);
        let holder = if name == "ServerlessCache" { properties } else { cache.properties("SubnetGroup") };
        assert_eq!(holder["SubnetIds"], subnets, "{set:?}");
        let key = if name == "Memcached" { "VpcSecurityGroupIds" } else { "SecurityGroupIds" };
        assert_eq!(properties[key], groups, "{set:?}");
    }
}

#[test]
fn valkey_is_encrypted_and_knows_only_the_users_of_its_group() {
    for (set, cache) in CACHES.iter().filter(|(set, _)| set["Kind"] != "memcached") {
        let key = set.get("KmsKeyArn").map_or(Value::Null, |key| json!(key));
        if set["Kind"] == "serverless" {
            let properties = cache.properties("ServerlessCache");
            assert_eq!(properties["UserGroupId"], json!({"Ref": "Users"}));
            assert_eq!(properties["KmsKeyId"], key);
            assert_eq!(properties["CacheUsageLimits"]["DataStorage"]["Maximum"], 1);
        } else {
            let properties = cache.properties("Nodes");
            assert_eq!(properties["UserGroupIds"], json!([{"Ref": "Users"}]));
            assert_eq!(properties["KmsKeyId"], key);
            assert_eq!(properties["TransitEncryptionEnabled"], true);
            assert_eq!(properties["TransitEncryptionMode"], "required");
            assert_eq!(properties["AtRestEncryptionEnabled"], true);
        }
        let users = json!([{"Ref": "DefaultUser"}, {"Ref": "WorkerUser"}]);
        assert_eq!(cache.properties("Users")["UserIds"], users);
    }
}

#[test]
fn default_user_is_off_and_the_workers_has_its_commands_and_keys_only() {
    let (_, cache) = &CACHES[0];
    let default = cache.properties("DefaultUser");
    assert_eq!(default["UserName"], "default");
    assert_eq!(default["AccessString"], "off -@all");
    let worker = cache.properties("WorkerUser");
    // ElastiCache refuses a user of IAM whose name is not its ID.
    assert_eq!(worker["UserName"], worker["UserId"]);
    assert_eq!(worker["AuthenticationMode"], json!({"Type": "iam"}));
    let commands: String = commands_of_the_code().iter().map(|command| format!(" +{command}")).collect();
    assert_eq!(worker["AccessString"], format!("on ~downpipe:* -@all{commands}"));
}

/// Returns the commands that the adapter sends, beside the login.
fn commands_of_the_code() -> Vec<String> {
    let adapter = fs::read_to_string(workspace::path("crates/downpipe-aws/src/cache/valkey.rs")).unwrap();
    let (_, list) = adapter.split_once("const VALKEY_COMMANDS: [&str; 3] = [").unwrap();
    let (list, _) = list.split_once("];").unwrap();
    list.split(", ").map(|command| command.trim_matches('"').to_owned()).collect()
}

#[test]
fn cache_without_a_network_or_with_two_is_refused() {
    let neither = parameters([("Kind", "nodes")]);
    let both = parameters([("NetworkStack", "network"), ("SubnetIds", SUBNETS), ("SecurityGroupIds", GROUP)]);
    let half = parameters([("SubnetIds", SUBNETS)]);
    let key = parameters([("Kind", "memcached"), ("NetworkStack", "network"), ("KmsKeyArn", KEY)]);
    let needed = "NetworkStack is empty, so SubnetIds and SecurityGroupIds must be given.";
    let refusals = [
        needed,
        "NetworkStack is given, so SubnetIds and SecurityGroupIds must be empty.",
        needed,
        "Kind is memcached, so KmsKeyArn must be empty; Memcached encrypts nothing.",
    ];
    for (expansion, refusal) in Expansion::each(CACHE, &[neither, both, half, key]).iter().zip(refusals) {
        assert_eq!(expansion.refused, [refusal]);
    }
}
