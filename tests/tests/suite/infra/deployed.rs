//! The templates of network and cache made, used and removed by a CloudFormation, and the commands of `docs/vpc.md` run in its order.
//!
//! MiniStack's CloudFormation has no NAT gateway, no rule of a security group as a resource of its own, and no serverless cache. Of
//! these the templates are linted only; the commands of the page make them through the services' own interfaces.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use downpipe_tests::{STACK, unique};
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};
use xtask::aws_cli::AwsCli;
use xtask::deploy::{Effort, package};

use super::expansion::{Expansion, Parameters, parameters};

const PAGE: &str = include_str!("../../../../docs/vpc.md");

/// What the local CloudFormation knows only as a part of a group.
const NOT_THERE: [&str; 1] = ["AWS::EC2::SecurityGroupIngress"];

/// A stack of CloudFormation, deleted when it is dropped.
struct Stack {
    name: String,
    outputs: BTreeMap<String, String>,
}

impl Stack {
    /// Makes a template with values for its parameters, and waits until it is there.
    fn create(template: &str, values: Parameters) -> Self {
        let name = unique(template.trim_end_matches(".yaml"));
        let expansion = Expansion::of(template, values).without_types(&NOT_THERE);
        let mut body = NamedTempFile::new().unwrap();
        serde_json::to_writer(&mut body, &expansion.template).unwrap();
        let body = format!("file://{}", body.path().display());
        aws(&["cloudformation", "create-stack", "--stack-name", &name, "--template-body", &body]);
        let stack = ended(&name).unwrap();
        assert_eq!(stack["StackStatus"], "CREATE_COMPLETE", "{template}: {stack}");
        let text = |output: &Value, key: &str| output[key].as_str().unwrap().to_owned();
        let outputs = stack["Outputs"].as_array().unwrap().iter();
        let outputs =
            outputs.map(|output| (text(output, "OutputKey"), text(output, "OutputValue"))).collect();
        Self { name, outputs }
    }

    /// Returns the ID that a resource has got.
    fn id(&self, resource: &str) -> String {
        let args = ["cloudformation", "describe-stack-resource", "--stack-name", &self.name];
        let answer = aws(&[&args[..], &["--logical-resource-id", resource]].concat());
        answer["StackResourceDetail"]["PhysicalResourceId"].as_str().unwrap().to_owned()
    }

    /// Deletes it, or returns why it cannot be deleted.
    fn delete(&self) -> Result<(), String> {
        let args = ["cloudformation", "delete-stack", "--stack-name", &self.name];
        AwsCli::new(&STACK).text(&args).map_err(|error| error.to_string())?;
        // A stack that is gone has no description any more.
        match ended(&self.name) {
            Some(stack) if stack["StackStatus"] != "DELETE_COMPLETE" => Err(stack.to_string()),
            _ => Ok(()),
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // A test that has deleted it itself deletes nothing more here.
        drop(AwsCli::new(&STACK).text(&["cloudformation", "delete-stack", "--stack-name", &self.name]));
    }
}

/// Waits until nothing is being done about a stack. `None` when there is none of this name.
///
/// The CLI's own `wait` looks again only after half a minute.
fn ended(name: &str) -> Option<Value> {
    let began = Instant::now();
    loop {
        let answer = AwsCli::new(&STACK).json(&["cloudformation", "describe-stacks", "--stack-name", name]);
        let stack = answer.ok()?["Stacks"][0].take();
        if !stack["StackStatus"].as_str().unwrap().ends_with("_IN_PROGRESS") {
            return Some(stack);
        }
        assert!(began.elapsed() < Duration::from_secs(60), "waited a minute in vain: {stack}");
    }
}

/// Runs a command of the AWS CLI and returns what it answered.
fn aws(args: &[&str]) -> Value {
    AwsCli::new(&STACK).json(args).unwrap()
}

#[test]
fn network_with_endpoints_is_made_and_removed_by_cloudformation() {
    let network = Stack::create("network.yaml", parameters([("Cache", "valkey")]));
    let vpc = network.id("Vpc");
    let filter = format!("Name=vpc-id,Values={vpc}");

    let subnets = aws(&["ec2", "describe-subnets", "--filters", &filter]);
    let mut blocks: Vec<(&str, &str)> =
        subnets["Subnets"].as_array().unwrap().iter().map(block_and_zone).collect();
    blocks.sort_unstable();
    let (a, b) = ("us-east-1a", "us-east-1b");
    let expected = [("10.20.0.0/24", a), ("10.20.1.0/24", b), ("10.20.2.0/24", a), ("10.20.3.0/24", b)];
    assert_eq!(blocks, expected);

    let private = network.id("PrivateRouteTable");
    let tables = aws(&["ec2", "describe-route-tables", "--route-table-ids", &private]);
    let table = &tables["RouteTables"][0];
    let leads_out =
        table["Routes"].as_array().unwrap().iter().any(|route| route["DestinationCidrBlock"] == "0.0.0.0/0");
    assert!(!leads_out, "with endpoints no private route leads to the internet: {table}");
    assert_eq!(table["Associations"].as_array().unwrap().len(), 2, "{table}");

    // MiniStack lists the endpoints of every network, whatever the filter.
    let endpoints = aws(&["ec2", "describe-vpc-endpoints", "--filters", &filter]);
    let endpoints = endpoints["VpcEndpoints"].as_array().unwrap().iter();
    let own: Vec<&Value> = endpoints.filter(|endpoint| endpoint["VpcId"] == vpc.as_str()).collect();
    assert_eq!(own.len(), 5, "{own:?}");

    network.delete().unwrap();
    let left = aws(&["ec2", "describe-vpcs", "--filters", &filter]);
    assert_eq!(left["Vpcs"].as_array().unwrap().len(), 0, "{left}");
}

fn block_and_zone(subnet: &Value) -> (&str, &str) {
    (subnet["CidrBlock"].as_str().unwrap(), subnet["AvailabilityZone"].as_str().unwrap())
}

#[test]
fn valkey_on_a_node_is_made_in_the_network_and_its_outputs_fit_the_worker() {
    let network = Stack::create("network.yaml", parameters([("Cache", "valkey")]));
    let cache = Stack::create("cache.yaml", parameters([("Kind", "nodes"), ("NetworkStack", &network.name)]));
    let nodes = cache.id("Nodes");
    let answer = aws(&["elasticache", "describe-replication-groups", "--replication-group-id", &nodes]);
    let group = &answer["ReplicationGroups"][0];
    assert_eq!((&group["Engine"], &group["TransitEncryptionMode"]), (&"valkey".into(), &"required".into()));
    assert_eq!(group["UserGroupIds"][0], cache.id("Users").as_str());
    // The name is part of each token, in lower case.
    assert_eq!(nodes, nodes.to_lowercase());
    assert_eq!(cache.id("WorkerUser"), cache.id("WorkerUser").to_lowercase());
    assert_eq!(cache.outputs["CacheArn"], group["ARN"].as_str().unwrap());
    assert!(cache.outputs["CacheUrl"].ends_with(&format!("/{nodes}")), "{:?}", cache.outputs);
    fits_the_worker(&network, &cache);

    let refused = network.delete().unwrap_err();
    assert!(refused.contains("is imported by"), "the cache would lose its network: {refused}");
    cache.delete().unwrap();
    network.delete().unwrap();
}

#[test]
fn memcached_is_made_in_the_network_and_its_outputs_fit_the_worker() {
    let network = Stack::create("network.yaml", parameters([("Cache", "memcached")]));
    let cache =
        Stack::create("cache.yaml", parameters([("Kind", "memcached"), ("NetworkStack", &network.name)]));
    let answer =
        aws(&["elasticache", "describe-cache-clusters", "--cache-cluster-id", &cache.id("Memcached")]);
    let cluster = &answer["CacheClusters"][0];
    assert_eq!((&cluster["Engine"], &cluster["NumCacheNodes"]), (&"memcached".into(), &2.into()));
    assert_eq!(cluster["CacheSubnetGroupName"], cache.id("SubnetGroup").as_str());
    fits_the_worker(&network, &cache);
    cache.delete().unwrap();
    network.delete().unwrap();
}

#[test]
fn ledger_table_is_made_used_and_kept_when_its_stack_is_deleted() {
    let ledger = Stack::create("ledger.yaml", parameters([]));
    let table = ledger.outputs["TableName"].clone();
    assert_eq!(table, ledger.id("Table"));
    let key = r#"{"pk": {"S": "probe"}}"#;
    aws(&["dynamodb", "put-item", "--table-name", &table, "--item", key]);
    let got = aws(&["dynamodb", "get-item", "--consistent-read", "--table-name", &table, "--key", key]);
    assert_eq!(got["Item"]["pk"]["S"], "probe");
    let mut values = parameters([("LedgerTable", &table)]);
    values.extend(REQUIRED.map(|(name, value)| (name, value.to_owned())));
    Expansion::of("template.yaml", values);

    ledger.delete().unwrap();
    // Jobs must not go with a stack. Removing them takes two steps by hand.
    let delete = ["dynamodb", "delete-table", "--table-name", &table];
    let refused = AwsCli::new(&STACK).text(&delete).unwrap_err().to_string();
    assert!(refused.contains("protect"), "{refused}");
    aws(&["dynamodb", "update-table", "--table-name", &table, "--no-deletion-protection-enabled"]);
    aws(&delete);
}

/// The parameters of the worker's template that have no default.
const REQUIRED: [(&str, &str); 3] = [
    ("CodeBucket", "code"),
    ("CodeKey", "downpipe-1.zip"),
    ("DatabaseSecretArn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:database-AbCdEf"),
];

/// Checks that the worker's template takes the outputs of network and cache as they are.
fn fits_the_worker(network: &Stack, cache: &Stack) {
    let mut values = parameters([
        ("SubnetIds", &network.outputs["PrivateSubnetIds"]),
        ("SecurityGroupIds", &network.outputs["WorkerSecurityGroupId"]),
        ("SigningSecretArn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:signing-AbCdEf"),
    ]);
    values.extend(REQUIRED.map(|(name, value)| (name, value.to_owned())));
    let own = ["CacheUrl", "CacheArn", "CacheUserArn"];
    values.extend(own.into_iter().filter_map(|name| Some((name, cache.outputs.get(name)?.clone()))));
    Expansion::of("template.yaml", values);
}

/// The commands of a section of the page, step by step.
struct ByHand {
    /// All that is made.
    make: String,
    /// The last step, which removes it again.
    remove: String,
}

impl ByHand {
    fn section(heading: &str) -> Self {
        let section = PAGE.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("{heading}"));
        let section = section.split("\n## ").next().unwrap();
        let (make, remove) = section.split_once("\n### Removing").unwrap();
        Self { make: commands(make), remove: commands(remove) }
    }

    /// Runs the commands with `sh`, with another name for what they make, and stops at the first that fails. Between making and removing
    /// it runs `look`; returns what that printed.
    fn run(&self, variables: &[(&str, &str)], look: &str) -> String {
        let folder = TempDir::new().unwrap();
        let bootstrap = folder.path().join("bootstrap");
        std::fs::write(&bootstrap, "#!/bin/sh\n").unwrap();
        let zip = folder.path().join("downpipe.zip");
        let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("exports");
        package(&bootstrap, &exports, &zip, Effort::Fast).unwrap();
        let make = self.make.replace("target/package/downpipe.zip", &zip.to_string_lossy());
        let (begin, rest) = make.split_once('\n').unwrap();
        assert!(begin.starts_with("NAME="), "the first command names what the others make: {begin}");
        // The commands' own answers go to standard error, so that only what `look` prints is left.
        let script = format!(
            "set -eu\nNAME={}\n{{\n{rest}}} >&2\n{look}\n{{\n{}}} >&2\n",
            unique("hand"),
            self.remove
        );
        let output = STACK
            .apply_to(Command::new("sh").args(["-c", &script]))
            .envs(variables.iter().copied())
            .env("PATH", path_with_aws())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Returns the commands in the console blocks of a text.
fn commands(text: &str) -> String {
    let blocks = text.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).map(|line| line.strip_prefix("$ ").unwrap_or(line));
    lines.map(|line| format!("{line}\n")).collect()
}

fn path_with_aws() -> String {
    format!("{}:{}", STACK.bin.display(), std::env::var("PATH").unwrap())
}

#[test]
fn commands_for_memcached_and_dynamodb_run_in_the_pages_order_and_leave_nothing() {
    let look = "aws elasticache describe-cache-clusters --cache-cluster-id $NAME --output text \
        --query 'CacheClusters[0].[CacheClusterStatus,NumCacheNodes]'
        aws dynamodb put-item --table-name $NAME --item '{\"id\": {\"S\": \"a\"}}'
        aws dynamodb get-item --table-name $NAME --key '{\"id\": {\"S\": \"a\"}}' --query Item.id.S --output text
        aws lambda get-function-configuration --function-name $NAME --query 'VpcConfig.SubnetIds' --output text";
    let printed = ByHand::section("By hand: Memcached inside, DynamoDB outside").run(&[], look);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[..2], ["available\t2", "a"]);
    assert_eq!(lines[2].split('\t').count(), 2, "{printed}");
}

#[test]
fn commands_for_serverless_valkey_run_in_the_pages_order_and_leave_nothing() {
    let network = Stack::create("network.yaml", parameters([("Cache", "valkey")]));
    let subnets = network.outputs["PrivateSubnetIds"].replace(',', " ");
    let variables = [
        ("SUBNETS", subnets.as_str()),
        ("CACHE", &network.outputs["CacheSecurityGroupId"]),
        ("WORKER", &network.outputs["WorkerSecurityGroupId"]),
    ];
    let look = "aws elasticache describe-serverless-caches --serverless-cache-name $NAME --output text \
        --query 'ServerlessCaches[0].[Engine,UserGroupId]' | sed \"s/$NAME/NAME/\"
        aws elasticache describe-user-groups --user-group-id $NAME --output text --query 'UserGroups[0].UserIds' \
            | sed \"s/$NAME/NAME/g\"
        aws iam get-role-policy --role-name $NAME --policy-name cache \
            --query 'PolicyDocument.Statement[0].Resource' --output text | sed \"s/$NAME/NAME/g\"";
    let printed = ByHand::section("By hand: serverless Valkey with IAM").run(&variables, look);
    insta::assert_snapshot!(printed, @r"
    valkey	NAME
    NAME-default	NAME
    arn:aws:elasticache:us-east-1:000000000000:serverlesscache:NAME	arn:aws:elasticache:us-east-1:000000000000:user:NAME
    ");
    network.delete().unwrap();
}

#[test]
fn commands_of_the_page_give_users_the_same_rights_as_the_template() {
    let cache = Expansion::of("cache.yaml", parameters([("NetworkStack", "network")]));
    for user in ["DefaultUser", "WorkerUser"] {
        let rights = cache.properties(user)["AccessString"].as_str().unwrap();
        assert!(PAGE.contains(&format!("--access-string '{rights}'")), "{user}: {rights}");
    }
}
