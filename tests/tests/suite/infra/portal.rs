//! `infra/portal.yaml`: sound with each of its options. `portal::deployed` deploys it.

use serde_json::Value;

use super::expansion::{Expansion, Parameters, parameters};

const TEMPLATE: &str = "portal.yaml";
const URL: &str = "https://exports.example.com";
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:portal-AbCdEf";

fn with(more: Parameters) -> Parameters {
    let required = parameters([
        ("CodeBucket", "code"),
        ("CodeKey", "portal-1.zip"),
        ("PortalUrl", URL),
        ("PortalSecretArn", SECRET),
        ("LinkSecretArn", SECRET),
        ("FilesBucket", "files"),
        ("QueueUrl", "https://sqs.us-east-1.amazonaws.com/123456789012/requests"),
        ("QueueArn", "arn:aws:sqs:us-east-1:123456789012:requests"),
    ]);
    required.into_iter().chain(more).collect()
}

fn in_mysql() -> Parameters {
    parameters([("DatabaseSecretArn", SECRET)])
}

fn in_dynamodb() -> Parameters {
    parameters([("LedgerTable", "downpipe-ledger")])
}

/// Returns all actions that the role allows.
fn actions(expansion: &Expansion) -> Vec<String> {
    let policies = expansion.properties("Role")["Policies"].as_array().unwrap();
    let statements =
        policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap());
    let list = |action: &Value| match action {
        Value::Array(actions) => {
            actions.iter().map(|action| action.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
        action => vec![action.as_str().unwrap().to_owned()],
    };
    statements.flat_map(|statement| list(&statement["Action"])).collect()
}

#[test]
fn template_of_the_portal_is_sound_with_each_option() {
    let vpc =
        parameters([("SubnetIds", "subnet-0123456789abcdef0"), ("SecurityGroupIds", "sg-0123456789abcdef0")]);
    let options = [
        in_mysql(),
        in_dynamodb(),
        in_mysql().into_iter().chain(vpc).collect(),
        in_mysql()
            .into_iter()
            .chain(parameters([("CatalogBucket", "catalog"), ("Operators", "ops@example.com")]))
            .collect(),
        in_dynamodb()
            .into_iter()
            .chain(parameters([
                (
                    "SecretsKeyArn",
                    "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000",
                ),
                ("AlarmTopicArn", "arn:aws:sns:us-east-1:123456789012:alarms"),
            ]))
            .collect(),
    ];
    for expansion in Expansion::clean(TEMPLATE, &options.map(with)) {
        let permissions = expansion.of_type("AWS::Lambda::Permission");
        assert_eq!(permissions.len(), 2, "{permissions:?}");
        let allowed = actions(&expansion);
        for refused in
            ["dynamodb:DeleteItem", "sqs:ReceiveMessage", "sns:Publish", "s3:ListBucketMultipartUploads"]
        {
            assert!(!allowed.iter().any(|action| action == refused), "{refused}");
        }
    }
}

#[test]
fn template_of_the_portal_refuses_two_ledgers_and_none() {
    let both = in_mysql().into_iter().chain(in_dynamodb()).collect();
    for expansion in Expansion::each(TEMPLATE, &[with(both), with(Parameters::new())]) {
        assert_eq!(expansion.refused.len(), 1, "{:?}", expansion.refused);
    }
}
