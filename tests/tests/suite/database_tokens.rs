//! Tests the tokens with which a worker logs in to RDS: they equal those of botocore, and each
//! connection has its own.

use std::process::Command;

use aws_sdk_secretsmanager::config::Credentials;
use downpipe_aws::{IamLogin, database_token};
use downpipe_core::login::{Account, Freshness, LoginSource as _};
use downpipe_tests::database::account;
use downpipe_tests::tokens::{signed_at, sorted};
use downpipe_tests::{STACK, aws, eventually};

/// A worker lives for hours, a token for 15 minutes.
#[tokio::test]
async fn token_of_each_connection_is_new() {
    let iam = IamLogin::of_account(&aws::localstack().await, account("export")).unwrap();
    let first = iam.login(Freshness::Any).await.unwrap();
    let another = async || (iam.login(Freshness::Any).await.unwrap() != first).then_some(());
    eventually("a token of another second", another).await;
}

#[test]
fn token_for_the_same_input_equals_that_of_botocore() {
    let host = "shop.cluster-c1a2b3.eu-central-1.rds.amazonaws.com";
    for (user, session) in [("export", None), ("export", Some("to/ken+with=signs")), ("o'brien @/+é", None)]
    {
        let theirs = token_of_botocore(host, user, session);
        let now = signed_at(&theirs);
        let credentials =
            Credentials::new("AKIDEXAMPLE", "a secret", session.map(str::to_owned), None, "test");
        let account =
            Account { host: host.to_owned(), port: 3306, username: user.to_owned(), database: None };
        let ours = database_token(&account, credentials, "eu-central-1", now).unwrap();
        // The parameters differ in order only. The signature covers the sorted ones.
        assert_eq!(sorted(&ours), sorted(&theirs));
        assert_eq!(ours.len(), theirs.len());
    }
}

/// Creates a token with the AWS CLI, which calls botocore's `generate_db_auth_token`.
fn token_of_botocore(host: &str, user: &str, session: Option<&str>) -> String {
    let mut aws = Command::new(STACK.aws_cli());
    STACK.apply_to(&mut aws).env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "a secret");
    aws.envs(session.map(|session| ("AWS_SESSION_TOKEN", session)));
    aws.args(["rds", "generate-db-auth-token", "--region", "eu-central-1", "--port", "3306"]);
    let output = aws.args(["--hostname", host, "--username", user]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
