//! Tests the tokens with which a worker logs in to ElastiCache: they equal those of botocore.

use std::process::Command;

use aws_sdk_secretsmanager::config::Credentials;
use downpipe_aws::{HostPort, ValkeyAddress, cache_token};
use downpipe_tests::STACK;
use downpipe_tests::tokens::{signed_at, sorted};

/// Signs a token for each case in the JSON that it is given, as AWS's documents show it for Python.
const BOTOCORE: &str = r#"
import json, sys, urllib.parse
from botocore.credentials import Credentials
from botocore.hooks import HierarchicalEmitter
from botocore.model import ServiceId
from botocore.signers import RequestSigner

emitter = HierarchicalEmitter()
for case in json.loads(sys.argv[1]):
    credentials = Credentials("AKIDEXAMPLE", "a secret", case["session"])
    signer = RequestSigner(ServiceId("elasticache"), case["region"], "elasticache", "v4", credentials, emitter)
    query = {"Action": "connect", "User": case["user"]}
    if case["serverless"]:
        query["ResourceType"] = "ServerlessCache"
    url = f"http://{case['cache']}/?{urllib.parse.urlencode(query)}"
    request = {"method": "GET", "url": url, "body": {}, "headers": {}, "context": {}}
    token = signer.generate_presigned_url(request, "connect", expires_in=900, region_name=case["region"])
    print(token.removeprefix("http://"))
"#;

struct Case {
    address: ValkeyAddress,
    session: Option<&'static str>,
    region: &'static str,
}

#[test]
fn cache_token_for_the_same_input_equals_that_of_botocore() {
    let cases = cases();
    assert_eq!(cases.len(), 20);
    for (case, theirs) in cases.iter().zip(tokens_of_botocore(&cases)) {
        let credentials =
            Credentials::new("AKIDEXAMPLE", "a secret", case.session.map(str::to_owned), None, "test");
        let ours = cache_token(&case.address, credentials, case.region, signed_at(&theirs)).unwrap();
        assert_eq!(sorted(&ours), sorted(&theirs));
        assert_eq!(ours.len(), theirs.len());
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for user in ["downpipe", "o'brien @/+é", "a b", "u%20v~w", "ユーザー"] {
        for (session, region) in [(None, "us-east-1"), (Some("to/ken+with=signs"), "eu-central-1")] {
            for serverless in [false, true] {
                let server = HostPort { host: "unused".to_owned(), port: 6379 };
                let (user, cache) = (user.to_owned(), "Popular-Exports-1".to_owned());
                let address = ValkeyAddress { user, server, cache, serverless };
                cases.push(Case { address, session, region });
            }
        }
    }
    cases
}

fn tokens_of_botocore(cases: &[Case]) -> Vec<String> {
    let cases: Vec<_> = cases
        .iter()
        .map(|Case { address, session, region }| {
            serde_json::json!({
                "user": address.user,
                // ElastiCache keeps names in lower case.
                "cache": address.cache.to_lowercase(),
                "serverless": address.serverless,
                "session": session,
                "region": region,
            })
        })
        .collect();
    let mut python = Command::new(STACK.botocore_python());
    python.args(["-c", BOTOCORE, &serde_json::Value::from(cases).to_string()]);
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
