//! The role of the template held against the code: the worker may do what its code calls on AWS, and nothing else.
//!
//! All source files of the product are read, so a call in a new file is found without naming the file here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{resource, section};

/// The crates that end up in the worker or in the command.
const CRATES: [&str; 8] = [
    "downpipe-app",
    "downpipe-aws",
    "downpipe-cli",
    "downpipe-core",
    "downpipe-format",
    "downpipe-lambda",
    "downpipe-mysql",
    "downpipe-portal",
];

/// Files by what their paths begin with, and the statements of the role that allow what they call.
const STATEMENTS: [(&[&str], &[&str]); 7] = [
    (&["downpipe-aws/src/catalog.rs"], &["ReadDefinitions", "ListDefinitions"]),
    // The second has the long documents of a ledger in DynamoDB, below the same prefix.
    (
        &["downpipe-aws/src/s3/", "downpipe-aws/src/dynamodb/documents.rs"],
        &["Objects", "ListAndTellAbsentFromForbidden", "ListUploads"],
    ),
    (&["downpipe-aws/src/dynamodb/table.rs", "downpipe-aws/src/dynamodb/writes.rs"], &["Jobs", "FindJobs"]),
    (&["downpipe-aws/src/secrets.rs"], &["DatabaseSecret", "SigningSecret", "LinkSecret"]),
    (&["downpipe-aws/src/ses/"], &["Mail"]),
    (&["downpipe-aws/src/sns.rs"], &["Notice"]),
    (&["downpipe-aws/src/sqs.rs"], &["Queue"]),
];

/// What each operation needs, by the names that the SDK and IAM have for them. Operations without an action are the operator's,
/// who has permissions of their own.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
const ACTIONS: [(&str, &[&str]); 31] = [
    // Without ListBucket an absent object is a forbidden one.
    ("head_object", &["s3:GetObject", "s3:ListBucket"]),
    ("get_object", &["s3:GetObject"]),
    // Each carries tags.
    ("put_object", &["s3:PutObject", "s3:PutObjectTagging"]),
    ("create_multipart_upload", &["s3:PutObject", "s3:PutObjectTagging"]),
    ("upload_part", &["s3:PutObject"]),
    // It takes no tags along: the upload it is for has its own.
    ("upload_part_copy", &["s3:GetObject", "s3:PutObject"]),
    ("complete_multipart_upload", &["s3:PutObject"]),
    ("abort_multipart_upload", &["s3:AbortMultipartUpload"]),
    ("list_parts", &["s3:ListMultipartUploadParts"]),
    ("list_multipart_uploads", &["s3:ListBucketMultipartUploads"]),
    // By its entity tag, which S3 compares only for those who may read the object.
    ("delete_object", &["s3:DeleteObject", "s3:GetObject"]),
    ("list_objects_v2", &["s3:ListBucket"]),
    ("get_queue_attributes", &["sqs:GetQueueAttributes"]),
    ("receive_message", &["sqs:ReceiveMessage"]),
    ("delete_message", &["sqs:DeleteMessage"]),
    ("change_message_visibility", &["sqs:ChangeMessageVisibility"]),
    ("send_message", &["sqs:SendMessage"]),
    // A batch has no action of its own.
    ("send_message_batch", &["sqs:SendMessage"]),
    // `downpipe redrive` looks for the dead letters.
    ("get_queue_url", &[]),
    ("publish", &["sns:Publish"]),
    ("send_email", &["ses:SendEmail"]),
    // `downpipe subscribe`.
    ("subscribe", &[]),
    ("get_secret_value", &["secretsmanager:GetSecretValue"]),
    ("get_item", &["dynamodb:GetItem"]),
    ("batch_get_item", &["dynamodb:BatchGetItem"]),
    ("put_item", &["dynamodb:PutItem"]),
    ("update_item", &["dynamodb:UpdateItem"]),
    ("delete_item", &["dynamodb:DeleteItem"]),
    ("query", &["dynamodb:Query"]),
    // A transaction has no action of its own.
    (
        "transact_write_items",
        &["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"],
    ),
    ("describe_table", &["dynamodb:DescribeTable"]),
];

/// A source file: its path below `crates/`, and its text without tests and comments.
struct Source {
    path: String,
    code: String,
}

/// Reads all source files of the product.
fn sources() -> Vec<Source> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut found = Vec::new();
    for name in CRATES {
        read_folder(&crates, &crates.join(name).join("src"), &mut found);
    }
    found
}

fn read_folder(crates: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_folder(crates, &path, found);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = product.lines().filter(|line| !line.trim_start().starts_with("//"));
            let path = path.strip_prefix(crates).unwrap().to_str().unwrap().to_owned();
            found.push(Source { path, code: code.collect::<Vec<_>>().join("\n") });
        }
    }
}

/// Returns the operations that code calls on a client.
fn operations(code: &str) -> BTreeSet<String> {
    let code: String = code.split_whitespace().collect();
    let calls = code.split("client.").skip(1).chain(code.split("Client::new(config).").skip(1));
    let called = calls.filter_map(|call| call.split_once("()")).map(|(name, _)| name);
    let is_name =
        |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte));
    called.filter(is_name).filter(|name| *name != "clone").map(str::to_owned).collect()
}

/// Returns the actions that operations need.
fn needed(operations: &BTreeSet<String>) -> BTreeSet<&'static str> {
    let actions = |operation: &String| {
        let known = ACTIONS.iter().find(|(name, _)| name == operation);
        known.unwrap_or_else(|| panic!("expected {operation} in ACTIONS, with the actions it needs")).1
    };
    operations.iter().flat_map(actions).copied().collect()
}

/// Returns the actions that a part of the template allows.
fn allowed(policy: &str) -> BTreeSet<&str> {
    let words = policy.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    // `s3:prefix` and `ses:FromAddress:` are a condition's, and `s3:::` begins a bucket's ARN.
    let is_action = |word: &&str| {
        word.split_once(':').is_some_and(|(service, action)| {
            ["dynamodb", "s3", "secretsmanager", "ses", "sns", "sqs"].contains(&service)
                && action.starts_with(|c: char| c.is_ascii_uppercase())
                && !action.ends_with(':')
        })
    };
    words.filter(is_action).collect()
}

#[test]
fn file_that_calls_aws_has_statements() {
    for Source { path, code } in sources() {
        let has_client = code.contains("client::s3(") || code.contains("Client::new(config)");
        let operations = operations(&code);
        if has_client || !operations.is_empty() {
            let mut known = STATEMENTS.iter().flat_map(|(paths, _)| *paths);
            let has_statements = known.any(|begin| path.starts_with(begin));
            assert!(has_statements, "expected {path} in STATEMENTS, as it calls {operations:?}");
        }
        let is_adapter = path.starts_with("downpipe-aws/");
        assert!(is_adapter || !code.contains("aws_sdk_"), "expected no SDK outside downpipe-aws, got {path}");
    }
}

#[test]
fn role_allows_what_the_code_calls_and_nothing_else() {
    let (role, sources) = (resource("Role"), sources());
    for (paths, sids) in STATEMENTS {
        let begins_so = |source: &&Source| paths.iter().any(|begin| source.path.starts_with(begin));
        let files = sources.iter().filter(begins_so);
        let operations: BTreeSet<String> = files.flat_map(|source| operations(&source.code)).collect();
        assert!(!operations.is_empty(), "{paths:?} call nothing");
        let statements: String = sids.iter().map(|sid| section(&role, &format!("- Sid: {sid}"))).collect();
        assert_eq!(allowed(&statements), needed(&operations), "{paths:?}");
    }
    let objects = section(&role, "- Sid: Objects");
    assert!(objects.contains("Resource: !Sub ${Bucket.Arn}/${Prefix}/*"), "{objects}");
}
