//! `infra/network.yaml`: what each switch makes, who reaches whom, and the picture of it in the documents.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::expansion::{Expansion, Parameters, combinations, parameters};

const NETWORK: &str = "network.yaml";
const PICTURE: &str = include_str!("../../../../docs/vpc.svg");

/// The network of every combination of its switches, expanded once for all tests of this process.
static NETWORKS: LazyLock<Vec<(Parameters, Expansion)>> = LazyLock::new(|| {
    let sets = combinations(&[
        ("Egress", &["endpoints", "nat"]),
        ("Cache", &["none", "valkey", "memcached"]),
        ("Fargate", &["no", "yes"]),
    ]);
    let expansions = Expansion::clean(NETWORK, &sets);
    sets.into_iter().zip(expansions).collect()
});

/// Returns the network with endpoints, Valkey and Fargate.
fn network() -> &'static Expansion {
    let set = parameters([("Egress", "endpoints"), ("Cache", "valkey"), ("Fargate", "yes")]);
    &NETWORKS.iter().find(|(known, _)| *known == set).unwrap().1
}

/// Names that are there only with some value of a switch.
fn optional(set: &Parameters) -> BTreeSet<&'static str> {
    let is = |name: &str, value: &str| set[name] == value;
    let mut names = BTreeSet::new();
    if is("Egress", "nat") {
        names.extend(["NatAddress", "NatGateway", "PrivateRouteToNat"]);
    } else {
        names.extend(["SqsEndpoint", "SnsEndpoint", "SecretsManagerEndpoint"]);
        names.extend(["EndpointSecurityGroup", "EndpointsFromWorker"]);
        if is("Fargate", "yes") {
            names.extend(["LogsEndpoint", "EcrApiEndpoint", "EcrDkrEndpoint"]);
        }
    }
    if !is("Cache", "none") {
        names.extend(["CacheSecurityGroup", "CacheFromWorker"]);
    }
    names
}

#[test]
fn network_of_every_switch_is_clean_and_has_what_the_switches_ask_for() {
    let always = [
        "Vpc",
        "PublicSubnetA",
        "PublicSubnetB",
        "PrivateSubnetA",
        "PrivateSubnetB",
        "InternetGateway",
        "InternetGatewayAttachment",
        "PublicRouteTable",
        "PublicRouteToInternet",
        "PublicSubnetARoutes",
        "PublicSubnetBRoutes",
        "PrivateRouteTable",
        "PrivateSubnetARoutes",
        "PrivateSubnetBRoutes",
        "S3Endpoint",
        "DynamoDbEndpoint",
        "WorkerSecurityGroup",
        "DatabaseSecurityGroup",
        "DatabaseFromWorker",
    ];
    for (set, expansion) in &*NETWORKS {
        let expected: BTreeSet<&str> = optional(set).into_iter().chain(always).collect();
        assert_eq!(expansion.names(), expected, "{set:?}");
        let layers = expansion.properties("S3Endpoint").to_string().contains("starport-layer-bucket");
        assert_eq!(layers, set["Fargate"] == "yes", "an image's layers come through S3: {set:?}");
    }
}

/// A port range, and where it leads: a group's name or addresses.
fn rule(rule: &Value, end: &str) -> (u64, u64, String) {
    assert_eq!(rule["IpProtocol"], "tcp", "{rule}");
    let port = |key: &str| rule[key].as_u64().unwrap();
    let group = rule[end]["Fn::GetAtt"][0].as_str();
    let place = group.or_else(|| rule["CidrIp"].as_str()).unwrap_or_else(|| panic!("{rule}"));
    (port("FromPort"), port("ToPort"), place.to_owned())
}

#[test]
fn worker_reaches_aws_database_and_cache_and_nothing_else() {
    for (set, expansion) in &*NETWORKS {
        let egress = expansion.properties("WorkerSecurityGroup")["SecurityGroupEgress"].as_array().unwrap();
        let reached: Vec<_> =
            egress.iter().map(|egress| rule(egress, "DestinationSecurityGroupId")).collect();
        let cache = match set["Cache"].as_str() {
            "valkey" => Some((6379, 6379)),
            "memcached" => Some((11211, 11211)),
            _ => None,
        };
        let mut expected =
            vec![(443, 443, "0.0.0.0/0".to_owned()), (3306, 3306, "DatabaseSecurityGroup".to_owned())];
        expected.extend(cache.map(|(from, to)| (from, to, "CacheSecurityGroup".to_owned())));
        assert_eq!(reached, expected, "{set:?}");
        assert!(expansion.properties("WorkerSecurityGroup")["SecurityGroupIngress"].is_null());

        // What the worker may reach admits it, on the same ports, and no other.
        for name in expansion.of_type("AWS::EC2::SecurityGroupIngress") {
            let ingress = expansion.properties(name);
            let (from, to, source) = rule(ingress, "SourceSecurityGroupId");
            assert_eq!(source, "WorkerSecurityGroup", "{name}");
            let group = ingress["GroupId"]["Fn::GetAtt"][0].as_str().unwrap();
            let group = if group == "EndpointSecurityGroup" { "0.0.0.0/0" } else { group };
            assert!(reached.contains(&(from, to, group.to_owned())), "{name}: {ingress}");
        }
    }
}

#[test]
fn groups_of_database_cache_and_endpoints_open_no_connection() {
    let network = network();
    for name in network.of_type("AWS::EC2::SecurityGroup") {
        let group = network.properties(name);
        assert!(group["SecurityGroupIngress"].is_null(), "{name} admits by rules of its own");
        if name != "WorkerSecurityGroup" {
            let nowhere = json!([{"Description": "Nowhere", "IpProtocol": "-1", "CidrIp": "127.0.0.1/32"}]);
            assert_eq!(group["SecurityGroupEgress"], nowhere, "{name}");
        }
    }
}

#[test]
fn endpoints_of_s3_and_dynamodb_admit_only_this_account() {
    for (_, network) in &*NETWORKS {
        for (name, action) in [("S3Endpoint", "s3:*"), ("DynamoDbEndpoint", "dynamodb:*")] {
            let endpoint = network.properties(name);
            assert_eq!(endpoint["VpcEndpointType"], "Gateway");
            assert_eq!(endpoint["RouteTableIds"], json!([{"Ref": "PrivateRouteTable"}]));
            let statement = &endpoint["PolicyDocument"]["Statement"][0];
            assert_eq!(statement["Action"], action);
            let account = json!({"Ref": "AWS::AccountId"});
            assert_eq!(statement["Condition"]["StringEquals"]["aws:PrincipalAccount"], account);
        }
        let bucket = &network.properties("S3Endpoint")["PolicyDocument"]["Statement"][0];
        assert!(!bucket["Condition"]["StringEquals"]["aws:ResourceAccount"].is_null(), "{bucket}");
        let table = &network.properties("DynamoDbEndpoint")["PolicyDocument"]["Statement"][0];
        let tables = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/*";
        assert_eq!(table["Resource"]["Fn::Sub"], tables);
    }
}

/// The texts of the picture.
fn labels() -> BTreeSet<&'static str> {
    let texts = PICTURE.split("<text ").skip(1).filter_map(|rest| rest.split_once('>')?.1.split('<').next());
    texts.collect()
}

#[test]
fn picture_of_the_network_has_the_addresses_and_ports_of_the_template() {
    let network = network();
    let labels = labels();
    let cidr = network.properties("Vpc")["CidrBlock"].as_str().unwrap();
    assert_eq!(cidr, "10.20.0.0/16");
    assert!(labels.contains(cidr), "{labels:?}");
    // The template cuts 256 addresses for each subnet.
    for (name, label) in [
        ("PublicSubnetA", "Public A"),
        ("PublicSubnetB", "Public B"),
        ("PrivateSubnetA", "Private A"),
        ("PrivateSubnetB", "Private B"),
    ] {
        let block = &network.properties(name)["CidrBlock"]["Fn::Select"];
        assert_eq!(block[1], json!({"Fn::Cidr": [cidr, 4, 8]}), "{name}");
        assert!(labels.contains(format!("10.20.{}.0/24", block[0]).as_str()), "{name}: {labels:?}");
        assert!(labels.contains(label), "{labels:?}");
    }
    for label in ["443", "3306", "6379", "or 11211", "Egress=nat", "Egress=endpoints"] {
        assert!(labels.contains(label), "{label} is missing in {labels:?}");
    }
}

#[test]
fn picture_of_the_network_names_every_service_that_has_an_endpoint() {
    let network = network();
    let labels = labels();
    let interface = "SQS · SNS · Secrets Manager";
    for name in network.of_type("AWS::EC2::VPCEndpoint") {
        let endpoint = network.properties(name);
        let service = endpoint["ServiceName"]["Fn::Sub"].as_str().unwrap();
        let (label, kind) = match service.strip_prefix("com.amazonaws.${AWS::Region}.").unwrap() {
            "s3" | "dynamodb" => ("S3 · DynamoDB", "Gateway"),
            "sqs" | "sns" | "secretsmanager" => (interface, "Interface"),
            "logs" | "ecr.api" | "ecr.dkr" => ("with Fargate also Logs and ECR", "Interface"),
            other => panic!("the picture has no label for {other}"),
        };
        assert!(labels.contains(label), "{label} is missing in {labels:?}");
        assert_eq!(endpoint["VpcEndpointType"], kind, "{name}");
    }
}
