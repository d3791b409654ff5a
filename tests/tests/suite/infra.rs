//! Compares the template with the code: numbers and names that stand in both must be equal.
//!
//! The tests read the template as text and find lines by their keys. cfn-lint checks its grammar.

mod cache;
mod deployed;
mod expansion;
mod network;
mod permissions;
mod portal;
mod switches;

use std::fs;
use std::time::Duration;

use downpipe_app::config::WorkerConfig;
use downpipe_app::sweep::{MAX_DURATION, UPLOAD_OPEN_FOR};
use downpipe_app::worker::{MAX_ATTEMPTS, MAX_RUNS};
use downpipe_core::store::Retention;
use xtask::workspace;

const TEMPLATE: &str = include_str!("../../../infra/template.yaml");
const CONFIG: [&str; 4] = [
    include_str!("../../../crates/downpipe-app/src/config/environment.rs"),
    include_str!("../../../crates/downpipe-app/src/config/mod.rs"),
    include_str!("../../../crates/downpipe-app/src/config/notices.rs"),
    include_str!("../../../crates/downpipe-app/src/config/portal.rs"),
];
const LOGGING: &str = include_str!("../../../crates/downpipe-app/src/logging.rs");
const HANDLE: &str = concat!(
    include_str!("../../../crates/downpipe-app/src/handle.rs"),
    include_str!("../../../crates/downpipe-app/src/record.rs"),
);
const LAMBDA_EVENT: &str = include_str!("../../../crates/downpipe-lambda/src/event.rs");
const SWEEP: &str = include_str!("../../../crates/downpipe-app/src/sweep.rs");
const HEADERS: &str = include_str!("../../../crates/downpipe-aws/src/s3/headers.rs");

/// Returns the lines below a line that are indented deeper.
fn section(text: &str, header: &str) -> String {
    let mut lines = text.lines().skip_while(|line| line.trim() != header);
    let first = lines.next().unwrap_or_else(|| panic!("the template has no line {header:?}"));
    let deeper = |line: &&str| line.trim().is_empty() || indent(line) > indent(first);
    lines.take_while(deeper).map(|line| format!("{line}\n")).collect()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Returns the number of a key that occurs once.
fn number(text: &str, key: &str) -> u64 {
    let values: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": ")).collect();
    let [value] = values[..] else { panic!("expected one {key} in the template, got {values:?}") };
    let digits = value.split('#').next().unwrap_or_default().trim();
    digits.parse().unwrap_or_else(|_| panic!("{key}: expected a number, got {value}"))
}

/// Returns a resource of the template.
fn resource(name: &str) -> String {
    section(TEMPLATE, &format!("{name}:"))
}

#[test]
fn queue_visibility_is_six_times_the_functions_timeout() {
    let timeout = number(&resource("Function"), "Timeout");
    assert_eq!(number(&resource("Queue"), "VisibilityTimeout"), 6 * timeout);
}

#[test]
fn queue_allows_one_receive_more_than_attempts() {
    let receives = number(&resource("Queue"), "maxReceiveCount");
    assert_eq!(receives, u64::from(MAX_ATTEMPTS) + 1);
}

#[test]
fn ledger_retention_of_the_template_is_accepted_by_the_worker() {
    let parameter = section(TEMPLATE, "LedgerRetention:");
    assert!(parameter.contains("Default: 90d"), "{parameter}");
    let error = |days: &str| {
        let variable = |name: &str| (name == "DOWNPIPE_LEDGER_RETENTION").then(|| days.to_owned());
        WorkerConfig::read(&variable).unwrap_err().to_string()
    };
    for (days, is_taken) in [("29d", false), ("30d", true), ("90d", true), ("3599d", true)] {
        assert_eq!(!error(days).contains("DOWNPIPE_LEDGER_RETENTION"), is_taken, "{days}");
    }
    assert!(parameter.contains("from 30d to 3599d"), "{parameter}");
}

#[test]
fn queue_concurrency_is_below_reserved_concurrency() {
    let function = resource("Function");
    let [queue, all] =
        ["MaximumConcurrency", "ReservedConcurrentExecutions"].map(|key| number(&function, key));
    assert_eq!((queue, all), (2, 3));
}

#[test]
fn event_source_delivers_one_message_and_reports_its_failure() {
    let source = section(&resource("Function"), "Events:");
    assert_eq!(number(&source, "BatchSize"), 1);
    assert!(source.contains("FunctionResponseTypes: [ReportBatchItemFailures]"), "{source}");
    assert!(!source.lines().any(|line| line.trim().starts_with("FilterCriteria:")), "{source}");
}

#[test]
fn every_retention_has_exactly_one_lifecycle_rule() {
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
fn abandoned_parts_expire_after_the_longest_live_upload() {
    const DAY: u64 = 24 * 3600;
    let rules = section(&resource("Bucket"), "LifecycleConfiguration:");
    assert!(rules.contains("AbortIncompleteMultipartUpload: {DaysAfterInitiation: 7}"), "{rules}");
    let runs = u64::from(MAX_RUNS) * number(&resource("Function"), "Timeout");
    let waits = number(&resource("Queue"), "MessageRetentionPeriod");
    assert!(runs + waits < 7 * DAY);
    // The sweep, which knows live uploads, comes first.
    assert!(UPLOAD_OPEN_FOR < Duration::from_secs(7 * DAY));
}

#[test]
fn endless_job_is_ended_by_the_worker_and_not_by_lambda() {
    assert!(resource("Function").contains("RecursiveLoop: Allow"));
    assert!(TEMPLATE.contains(&format!("MAX_RUNS, {MAX_RUNS} runs")));
    const { assert!(MAX_RUNS > 16) };
}

#[test]
fn sweep_schedule_sends_the_workers_event_and_leaves_time_to_end() {
    let schedule = section(&resource("Function"), "Sweep:");
    assert!(schedule.contains("Schedule: rate(5 minutes)"), "{schedule}");
    assert!(MAX_DURATION < Duration::from_secs(300));
    let input = r#"{"sweep":{}}"#;
    assert!(schedule.contains(&format!("Input: '{input}'")), "{schedule}");
    assert!(LAMBDA_EVENT.contains(&format!("/// `{input}`, as the template's schedule sends it:")));
    let role = section(&resource("Role"), "- Sid: Queue");
    assert!(role.contains("sqs:SendMessage"), "the sweep sends messages: {role}");
}

#[test]
fn alarm_filters_match_lines_of_the_workers_log() {
    let filters = format!("{}{}", resource("FailedJobs"), resource("Unrecorded"));
    let messages: Vec<&str> =
        filters.split("$.message = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(messages.len(), 3, "{filters}");
    for message in messages {
        let begins = format!("\"{}", message.trim_end_matches('*'));
        assert!(HANDLE.contains(&begins) || SWEEP.contains(&begins), "no code logs {message:?}");
    }
    let faults = resource("CacheFaults");
    let message = "\"the cache did not answer\"";
    assert!(faults.contains(&format!("{{ $.message = {message} }}")), "{faults}");
    let guard = workspace::path("crates/downpipe-core/src/cache/guarded.rs");
    assert!(fs::read_to_string(guard).unwrap().contains(message), "no code logs {message}");
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
fn template_variables_are_read_and_described() {
    let variables = section(&resource("Function"), "Variables:");
    let names: Vec<&str> =
        variables.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    assert!(names.contains(&"DOWNPIPE_BUCKET"), "{names:?}");
    let code = CONFIG.map(|file| file.split("#[cfg(test)]").next().unwrap_or_default()).concat();
    for name in names {
        let read = format!("\"{name}\"");
        assert!(code.contains(&read) || LOGGING.contains(&read), "no code reads {name}");
        assert!(
            code.contains(&format!("//! | `{name}` |")),
            "the table in config/mod.rs does not describe {name}"
        );
    }
}

/// The worker must not read another user's data, and needs no token where it has a password.
#[test]
fn role_allows_token_login_only_where_configured_and_as_one_user() {
    let role = resource("Role");
    let statement = section(&role, "- Sid: DatabaseUser");
    assert!(statement.contains("Action: rds-db:connect\n"), "{statement}");
    assert!(statement.contains("Resource: !Ref DatabaseUserArn\n"), "{statement}");
    assert_eq!(TEMPLATE.matches("rds-db:connect").count(), 1);
    assert!(
        role.contains("- LogsInWithToken\n                - Sid: DatabaseUser\n"),
        "the condition is missing"
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
        assert!(CONFIG.concat().contains(&format!("\"{choice}\"")), "{choice} is not read");
    }
}

/// Only a worker that needs the key may read it.
#[test]
fn signing_secret_is_readable_only_where_configured() {
    let role = resource("Role");
    let statement = section(&role, "- Sid: SigningSecret");
    assert!(statement.contains("Action: secretsmanager:GetSecretValue\n"), "{statement}");
    assert!(statement.contains("Resource: !Ref SigningSecretArn\n"), "{statement}");
    assert!(role.contains("- HasSigningSecret\n                - Sid: SigningSecret\n"), "{role}");
    assert!(TEMPLATE.contains("HasSigningSecret: !Not [!Equals [!Ref SigningSecretArn, \"\"]]\n"));
    assert_eq!(TEMPLATE.matches("!Ref SigningSecretArn").count(), 4, "rule, condition, variable, statement");
}

#[test]
fn link_secret_is_readable_only_where_configured() {
    let role = resource("Role");
    let statement = section(&role, "- Sid: LinkSecret");
    assert!(statement.contains("Action: secretsmanager:GetSecretValue\n"), "{statement}");
    assert!(statement.contains("Resource: !Ref LinkSecretArn\n"), "{statement}");
    assert!(role.contains("- HasLinkSecret\n                - Sid: LinkSecret\n"), "{role}");
    assert_eq!(TEMPLATE.matches("!Ref LinkSecretArn").count(), 4, "rule, condition, variable, statement");
}

#[test]
fn required_variables_are_set_in_the_template() {
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
