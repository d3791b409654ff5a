//! Permissions that no service of MiniStack asks for: logins to a cache and to a database by token. The policy simulator of IAM tells.

use serde_json::Value;
use xtask::aws_cli::AwsCli;
use xtask::deploy::{DeployOptions, deploy, put_signing_key};
use xtask::enforce::{Finding, Trial};

use super::place::Place;
use super::role::Role;
use super::site::package_worker;
use crate::unique;

const ACCOUNT: &str = "us-east-1:000000000000";
const CACHE: &str = "serverlesscache:cache";
const CACHE_USER: &str = "user:worker";
const DATABASE_USER: &str = "dbuser:db-ABCDEFGH/worker";

/// Deploys the template with a cache and a database user, and asks the simulator what the role may be.
pub(super) fn try_all(place: &Place) -> Vec<Finding> {
    let aws = place.aws();
    let name = unique("logins");
    deploy_with_logins(place, &name);
    let role = Role::of_stack(aws, &name);
    let connect = |what, arn: &str, allowed| {
        let arn = format!("arn:aws:elasticache:{ACCOUNT}:{arn}");
        simulated(aws, &role, ("elasticache:Connect", what), &arn, allowed)
    };
    let log_in = |what, arn: &str, allowed| {
        let arn = format!("arn:aws:rds-db:{ACCOUNT}:{arn}");
        simulated(aws, &role, ("rds-db:connect", what), &arn, allowed)
    };
    vec![
        connect("its cache", CACHE, true),
        connect("its user of the cache", CACHE_USER, true),
        connect("another cache", "serverlesscache:other", false),
        connect("another user of a cache", "user:other", false),
        log_in("its user of the database", DATABASE_USER, true),
        log_in("another user of the database", "dbuser:db-ABCDEFGH/other", false),
        log_in("a user of another database", "dbuser:db-OTHER/worker", false),
    ]
}

fn deploy_with_logins(place: &Place, name: &str) {
    let aws = place.aws();
    let first = |what: &str, list: &str, id: &str| {
        let answer = aws.json(&["ec2", what]).unwrap();
        answer[list][0][id].as_str().unwrap().to_owned()
    };
    let parameters = [
        ("CacheUrl", "valkey://worker@localhost:6379/cache?serverless".to_owned()),
        ("CacheArn", format!("arn:aws:elasticache:{ACCOUNT}:{CACHE}")),
        ("CacheUserArn", format!("arn:aws:elasticache:{ACCOUNT}:{CACHE_USER}")),
        ("SigningSecretArn", put_signing_key(aws, &format!("{name}/signing")).unwrap()),
        ("SubnetIds", first("describe-subnets", "Subnets", "SubnetId")),
        ("SecurityGroupIds", first("describe-security-groups", "SecurityGroups", "GroupId")),
        ("DatabaseAuth", "iam".to_owned()),
        ("DatabaseUserArn", format!("arn:aws:rds-db:{ACCOUNT}:{DATABASE_USER}")),
    ];
    let parameters: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (_folder, zip) = package_worker();
    let database_url = "mysql://worker@localhost:3306/shop";
    let options = DeployOptions { stack_name: name, package: &zip, database_url, parameters: &parameters };
    deploy(&place.env, &options).unwrap();
}

fn simulated(
    aws: AwsCli<'_>,
    role: &Role,
    (action, what): (&str, &str),
    arn: &str,
    allowed: bool,
) -> Finding {
    let source = format!("arn:aws:iam::000000000000:role/{}", role.name);
    let args = ["iam", "simulate-principal-policy", "--policy-source-arn", &source];
    let answer: Value =
        aws.json(&[&args[..], &["--action-names", action, "--resource-arns", arn]].concat()).unwrap();
    let decision = answer["EvaluationResults"][0]["EvalDecision"].as_str().unwrap_or_default().to_owned();
    Finding {
        trial: Trial::Call,
        subject: format!("`{action}`: {what}"),
        is_well: if allowed { decision == "allowed" } else { decision == "implicitDeny" },
        outcome: format!("`{decision}`, by the simulator"),
    }
}
