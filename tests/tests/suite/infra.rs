//! The template held against the code: numbers and names that stand in both must be the same.
//!
//! The template is read as the text it is. cfn-lint sees to its grammar; here its lines are looked up by their keys.

use std::collections::BTreeSet;
use std::time::Duration;

use downpipe_core::definition::Retention;
use downpipe_worker::handle::{MAX_ATTEMPTS, MAX_RECEIVES, MAX_RUNS};
use downpipe_worker::sweep::{LONGEST, UPLOAD_OPEN_FOR};

const TEMPLATE: &str = include_str!("../../../infra/template.yaml");
const CONFIG: &str = include_str!("../../../crates/downpipe-worker/src/config.rs");
const LOGGING: &str = include_str!("../../../crates/downpipe-worker/src/logging.rs");
const HANDLE: &str = include_str!("../../../crates/downpipe-worker/src/handle.rs");
const LAMBDA: &str = include_str!("../../../crates/downpipe-worker/src/lambda.rs");
const SWEEP: &str = include_str!("../../../crates/downpipe-worker/src/sweep.rs");
const STORE: [&str; 4] = [
    include_str!("../../../crates/downpipe-aws/src/s3/mod.rs"),
    include_str!("../../../crates/downpipe-aws/src/s3/upload.rs"),
    include_str!("../../../crates/downpipe-aws/src/s3/open.rs"),
    include_str!("../../../crates/downpipe-aws/src/s3/rename.rs"),
];
const HEADERS: &str = include_str!("../../../crates/downpipe-aws/src/s3/headers.rs");
const CATALOG: [&str; 1] = [include_str!("../../../crates/downpipe-aws/src/catalog.rs")];

/// What the operations of S3's API need, by the names that the SDK and IAM have for them.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
const S3_ACTIONS: [(&str, &[&str]); 12] = [
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
    ("delete_object", &["s3:DeleteObject"]),
    ("list_objects_v2", &["s3:ListBucket"]),
];

/// The lines below a line, as far as they are indented deeper.
fn section(text: &str, header: &str) -> String {
    let mut lines = text.lines().skip_while(|line| line.trim() != header);
    let first = lines.next().unwrap_or_else(|| panic!("the template has no line {header:?}"));
    let deeper = |line: &&str| line.trim().is_empty() || indent(line) > indent(first);
    lines.take_while(deeper).map(|line| format!("{line}\n")).collect()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The number behind a key that occurs once.
fn number(text: &str, key: &str) -> u64 {
    let values: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": ")).collect();
    let [value] = values[..] else { panic!("expected one {key} in the template, got {values:?}") };
    let digits = value.split('#').next().unwrap_or_default().trim();
    digits.parse().unwrap_or_else(|_| panic!("{key}: expected a number, got {value}"))
}

/// A resource of the template.
fn resource(name: &str) -> String {
    section(TEMPLATE, &format!("{name}:"))
}

/// The operations that code calls on its client.
fn operations(code: &str) -> BTreeSet<String> {
    let code: String = code.split("#[cfg(test)]").next().unwrap_or_default().split_whitespace().collect();
    let calls = code.split("client.").skip(1);
    let named = calls.filter_map(|call| call.split_once("()")).map(|(name, _)| name);
    let is_name =
        |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte));
    named.filter(is_name).map(str::to_owned).collect()
}

/// The actions that the code of a bucket's user needs.
fn needed(code: &[&str]) -> BTreeSet<&'static str> {
    let operations: BTreeSet<String> = code.iter().flat_map(|code| operations(code)).collect();
    assert!(!operations.is_empty(), "the code calls nothing");
    let actions = |operation: &String| {
        let known = S3_ACTIONS.iter().find(|(name, _)| name == operation);
        known.unwrap_or_else(|| panic!("which actions does {operation} need? Say so in S3_ACTIONS")).1
    };
    operations.iter().flat_map(actions).copied().collect()
}

/// The actions of S3 that a part of the template allows.
fn allowed(policy: &str) -> BTreeSet<&str> {
    let words = policy.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    // `s3:prefix` is a condition's, and `s3:::` begins a bucket's ARN.
    let is_action = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase());
    words.filter(|word| word.strip_prefix("s3:").is_some_and(is_action)).collect()
}

#[test]
fn a_message_stays_hidden_for_six_times_the_functions_timeout() {
    let timeout = number(&resource("Function"), "Timeout");
    assert_eq!(number(&resource("Queue"), "VisibilityTimeout"), 6 * timeout);
}

#[test]
fn a_job_ends_in_the_ledger_before_its_message_ends_in_the_dead_letter_queue() {
    let receives = number(&resource("Queue"), "maxReceiveCount");
    assert_eq!(receives, u64::from(MAX_RECEIVES));
    const { assert!(MAX_RECEIVES > MAX_ATTEMPTS) };
}

#[test]
fn the_queue_may_use_fewer_workers_than_there_are() {
    let function = resource("Function");
    let [queue, all] =
        ["MaximumConcurrency", "ReservedConcurrentExecutions"].map(|key| number(&function, key));
    assert_eq!((queue, all), (2, 3));
}

#[test]
fn a_message_comes_alone_and_its_outcome_is_its_own() {
    let source = section(&resource("Function"), "Events:");
    assert_eq!(number(&source, "BatchSize"), 1);
    assert!(source.contains("FunctionResponseTypes: [ReportBatchItemFailures]"), "{source}");
    assert!(!source.lines().any(|line| line.trim().starts_with("FilterCriteria:")), "{source}");
}

#[test]
fn every_retention_has_its_lifecycle_rule_and_no_other_has() {
    let rules = section(&resource("Bucket"), "LifecycleConfiguration:");
    assert!(HEADERS.contains(r#"const RETENTION_TAG: &str = "downpipe-retention";"#));
    for retention in Retention::ALL {
        let name = retention.as_str();
        let rule = section(&rules, &format!("- Id: keep-{name}"));
        assert!(rule.contains("Status: Enabled"), "keep-{name}:\n{rule}");
        let tag = format!("TagFilters: [{{Key: downpipe-retention, Value: {name}}}]");
        assert!(rule.contains(&tag), "keep-{name}: expected {tag}, got\n{rule}");
        assert_eq!(
            number(&rule, "ExpirationInDays"),
            u64::try_from(retention.days()).unwrap(),
            "keep-{name}"
        );
    }
    assert_eq!(rules.matches("ExpirationInDays:").count(), Retention::ALL.len(), "{rules}");
}

#[test]
fn abandoned_parts_outlive_the_longest_live_upload_and_not_for_ever() {
    const DAY: u64 = 24 * 3600;
    let rules = section(&resource("Bucket"), "LifecycleConfiguration:");
    assert!(rules.contains("AbortIncompleteMultipartUpload: {DaysAfterInitiation: 7}"), "{rules}");
    let runs = u64::from(MAX_RUNS) * number(&resource("Function"), "Timeout");
    let waits = number(&resource("Queue"), "MessageRetentionPeriod");
    assert!(runs + waits < 7 * DAY);
    // And the sweep, which knows better, is before it.
    assert!(UPLOAD_OPEN_FOR < Duration::from_secs(7 * DAY));
}

#[test]
fn the_worker_and_not_lambda_ends_a_job_that_goes_on_for_ever() {
    assert!(resource("Function").contains("RecursiveLoop: Allow"));
    assert!(TEMPLATE.contains(&format!("MAX_RUNS, {MAX_RUNS} runs")));
    const { assert!(MAX_RUNS > 16) };
}

#[test]
fn the_sweep_is_asked_for_as_the_worker_understands_it_and_is_over_before_the_next() {
    let schedule = section(&resource("Function"), "Sweep:");
    assert!(schedule.contains("Schedule: rate(5 minutes)"), "{schedule}");
    assert!(LONGEST < Duration::from_secs(300));
    let input = r#"{"sweep":{}}"#;
    assert!(schedule.contains(&format!("Input: '{input}'")), "{schedule}");
    assert!(LAMBDA.contains(&format!("/// `{input}`, as the template's schedule says it.")));
    let role = section(&resource("Role"), "- Sid: Queue");
    assert!(role.contains("sqs:SendMessage"), "what is forgotten is sent again: {role}");
}

#[test]
fn the_lines_that_alarms_count_are_lines_of_the_workers_log() {
    let filters = format!("{}{}", resource("FailedJobs"), resource("Unrecorded"));
    let messages: Vec<&str> =
        filters.split("$.message = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(messages.len(), 3, "{filters}");
    for message in messages {
        let begins = format!("\"{}", message.trim_end_matches('*'));
        assert!(HANDLE.contains(&begins) || SWEEP.contains(&begins), "nobody logs {message:?}");
    }
    for (alarm, metric) in [
        ("FailedJobsAlarm", "MetricName: FailedJobs"),
        ("UnrecordedAlarm", "MetricName: Unrecorded"),
        ("ThrottlesAlarm", "MetricName: Throttles"),
        ("DeadLettersAlarm", "MetricName: ApproximateNumberOfMessagesVisible"),
    ] {
        let alarm = resource(alarm);
        assert!(alarm.contains(metric) && number(&alarm, "Threshold") == 0, "{alarm}");
        assert!(alarm.contains("[HasAlarmTopic, [!Ref AlarmTopicArn]"), "{alarm}");
    }
}

#[test]
fn every_variable_of_the_template_is_read_and_described() {
    let variables = section(&resource("Function"), "Variables:");
    let names: Vec<&str> =
        variables.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    assert!(names.contains(&"DOWNPIPE_BUCKET"), "{names:?}");
    let code = CONFIG.split("#[cfg(test)]").next().unwrap_or_default();
    for name in names {
        let read = format!("\"{name}\"");
        assert!(code.contains(&read) || LOGGING.contains(&read), "nobody reads {name}");
        assert!(
            code.contains(&format!("//! | `{name}` |")),
            "the table in config.rs does not describe {name}"
        );
    }
}

/// Another user's data is no business of the worker's, and with a password it has no business with tokens.
#[test]
fn the_worker_may_log_in_with_a_token_as_one_user_and_only_when_told_to() {
    let role = resource("Role");
    let statement = section(&role, "- Sid: DatabaseUser");
    assert!(statement.contains("Action: rds-db:connect\n"), "{statement}");
    assert!(statement.contains("Resource: !Ref DatabaseUserArn\n"), "{statement}");
    assert_eq!(TEMPLATE.matches("rds-db:connect").count(), 1);
    assert!(
        role.contains("- LogsInWithToken\n                - Sid: DatabaseUser\n"),
        "it must be asked for"
    );
    assert!(TEMPLATE.contains("LogsInWithToken: !Not [!Equals [!Ref DatabaseUserArn, \"\"]]\n"));
    for (rule, condition, other) in [
        ("IamNeedsUser:", "!Equals [!Ref DatabaseAuth, iam]", "!Not [!Equals [!Ref DatabaseUserArn, \"\"]]"),
        ("UserNeedsIam:", "!Not [!Equals [!Ref DatabaseUserArn, \"\"]]", "!Equals [!Ref DatabaseAuth, iam]"),
    ] {
        let rule = section(TEMPLATE, rule);
        assert!(rule.contains(&format!("RuleCondition: {condition}\n")), "{rule}");
        assert!(rule.contains(&format!("- Assert: {other}\n")), "{rule}");
    }
    let auth = section(TEMPLATE, "DatabaseAuth:");
    assert!(auth.contains("AllowedValues: [password, iam]"), "{auth}");
    for choice in ["password", "iam"] {
        assert!(CONFIG.contains(&format!("\"{choice}\"")), "{choice} is not read");
    }
}

#[test]
fn every_variable_that_must_be_set_is_set() {
    let variables = section(&resource("Function"), "Variables:");
    for name in [
        "DOWNPIPE_DATABASE_SECRET",
        "DOWNPIPE_CATALOG",
        "DOWNPIPE_BUCKET",
        "DOWNPIPE_QUEUE_URL",
        "DOWNPIPE_TOPIC_ARN",
    ] {
        assert!(variables.contains(&format!("{name}: ")), "{name} is missing in\n{variables}");
    }
}

#[test]
fn the_worker_may_do_to_its_bucket_what_its_store_does_and_nothing_else() {
    let role = resource("Role");
    let objects = section(&role, "- Sid: Objects");
    let list = section(&role, "- Sid: ListAndTellAbsentFromForbidden");
    let uploads = section(&role, "- Sid: ListUploads");
    let statements = format!("{objects}{list}{uploads}");
    assert_eq!(allowed(&statements), needed(&STORE));
    assert!(objects.contains("Resource: !Sub ${Bucket.Arn}/${Prefix}/*"), "{objects}");
}

#[test]
fn the_worker_may_do_to_its_catalog_what_fetching_does_and_nothing_else() {
    let role = resource("Role");
    let statements =
        format!("{}{}", section(&role, "- Sid: ReadDefinitions"), section(&role, "- Sid: ListDefinitions"));
    assert_eq!(allowed(&statements), needed(&CATALOG));
}
