//! Tests the e-mails, word for word.

use downpipe_core::job::{Failure, Job, JobState};
use downpipe_core::language::Language;
use downpipe_core::notice::{Notice, NoticeContext, grouped, size};
use downpipe_core::requester::Requester;
use downpipe_core::testing::sample_notices;
use downpipe_core::untrusted_text::is_hidden;
use insta::assert_snapshot;
use proptest::prelude::*;

use crate::samples::{job, receipt};

const PLAIN: NoticeContext<'_> =
    NoticeContext { language: Language::En, title: None, link: None, download_command: None };

fn ready() -> Job {
    let mut job = job(JobState::Ready);
    job.receipt = Some(receipt());
    job
}

fn failed() -> Job {
    let mut job = job(JobState::Failed);
    job.failure = Some(Failure { detail: Some("SELECT secret".to_owned()), ..Failure::new("timed_out") });
    job
}

fn shown(notice: &Notice) -> String {
    let Notice { recipient, subject, letter, body, .. } = notice;
    format!("To: {recipient}\nSubject: {}\nSubject on SNS: {subject}\n\n{body}", letter.subject)
}

#[test]
fn notice_of_each_kind_in_each_language() {
    let notices = sample_notices(&"alice@example.com".parse().unwrap());
    assert_eq!(notices.len(), 8);
    for (name, notice) in notices {
        assert!(!notice.body.contains("secret"), "details are for operators, and not by e-mail");
        assert_snapshot!(name, shown(&notice));
    }
}

#[test]
fn event_of_a_job_is_what_the_api_shows_without_links() {
    let notices = sample_notices(&"alice@example.com".parse().unwrap());
    let event = |name: &str| {
        let (_, notice) = notices.iter().find(|(known, _)| known == name).unwrap();
        assert!(!notice.event.to_string().contains("https:"), "an event has no links");
        serde_json::to_string_pretty(&notice.event).unwrap()
    };
    assert_snapshot!("event_ready", event("ready_en"));
    assert_snapshot!("event_failed", event("failed_ja"));
    assert_snapshot!("event_cancelled", event("cancelled_en"));
}

#[test]
fn event_of_a_long_request_leaves_out_what_is_long() {
    let mut job = failed();
    job.message = format!(r#"{{"export":"orders","params":{{"q":"{}"}}}}"#, "あ".repeat(20_000));
    let event = Notice::of(&job, &PLAIN).unwrap().event;
    assert_eq!(event["job"]["params"], serde_json::Value::Null);
    assert_eq!(event["job"]["export"], "orders");
    let mut job = ready();
    let receipt = job.receipt.as_mut().unwrap();
    receipt.files = vec![receipt.files[0].clone(); 200];
    let event = Notice::of(&job, &PLAIN).unwrap().event;
    assert_eq!((&event["job"]["files"], &event["job"]["state"]), (&serde_json::json!([]), &"ready".into()));
    assert!(event.to_string().len() < 2_000);
}

#[test]
fn notice_without_portal_and_command_shows_the_address() {
    let ready = ready();
    let address = &ready.receipt.as_ref().unwrap().files[0].address;
    let notice = Notice::of(&ready, &PLAIN).unwrap();
    assert!(notice.body.contains(&format!("Get it here\n  {address}\n")), "{}", notice.body);
    let command = NoticeContext { download_command: Some("get 'orders' ."), ..PLAIN };
    let notice = Notice::of(&ready, &command).unwrap();
    assert_snapshot!("ready_by_command", shown(&notice));
    assert_eq!((notice.export.as_str(), notice.status, notice.job_id.len()), ("orders", JobState::Ready, 24));
}

#[test]
fn notice_of_several_files_names_each() {
    let mut job = ready();
    job.language = Some(Language::Ja);
    let receipt = job.receipt.as_mut().unwrap();
    receipt.continued = true;
    receipt.files = vec![receipt.files[0].clone(), receipt.files[0].clone()];
    let link = NoticeContext { link: Some("https://exports.example.com/jobs/1"), ..PLAIN };
    assert_snapshot!("ready_of_two_files_ja", shown(&Notice::of(&job, &link).unwrap()));
}

#[test]
fn notice_is_in_the_language_of_the_request_or_else_of_the_context() {
    let language = |job: &Job, context: Language| {
        Notice::of(job, &NoticeContext { language: context, ..PLAIN }).unwrap().language
    };
    let mut job = failed();
    assert_eq!(language(&job, Language::Ja), Language::Ja);
    job.language = Some(Language::En);
    assert_eq!(language(&job, Language::Ja), Language::En);
    job.failure.as_mut().unwrap().for_operator = true;
    let to_operator = Notice::to_operator(&job, &NoticeContext { language: Language::Ja, ..PLAIN }).unwrap();
    assert_eq!(to_operator.language, Language::Ja, "the operator's language is not the requester's");
}

#[test]
fn notice_of_an_unreadable_message_names_no_export() {
    let mut job = failed();
    job.export = String::new();
    job.message = "test".to_owned();
    let notice = Notice::of(&job, &PLAIN).unwrap();
    assert_eq!(notice.export, "unknown", "an attribute may not be empty");
    assert_snapshot!("failed_unreadable", shown(&notice));
}

#[test]
fn operator_notice_exists_only_for_failures_the_operator_can_fix() {
    let mut job = failed();
    assert_eq!(Notice::to_operator(&job, &PLAIN), None, "the person can ask for less");
    job.failure.as_mut().unwrap().for_operator = true;
    let notice = Notice::to_operator(&job, &PLAIN).unwrap();
    assert_eq!((notice.export.as_str(), notice.status), ("orders", JobState::Failed));
    assert_eq!(notice.recipient, Requester::operator());
    for state in [JobState::Queued, JobState::Running, JobState::Ready, JobState::Cancelled] {
        assert_eq!(Notice::to_operator(&Job { state, ..job.clone() }, &PLAIN), None, "{state:?}");
    }
    job.requested_by = "Operator".parse().unwrap();
    assert_eq!(Notice::to_operator(&job, &PLAIN), None, "the operator is notified as the requester");
    assert!(Notice::of(&job, &PLAIN).is_some());
}

/// SNS takes 256 KiB of characters that XML can carry, for a text and four copies of the event. A notice must not deceive its reader.
#[test]
fn notice_of_a_hostile_job_is_short_and_visible() {
    let hidden = "a\u{0}\u{ffff}\u{fffe}\u{202e}\u{2028}\u{200b}\r\nSHA-256 of the wrong file";
    let params: Vec<String> = (0..9_000).map(|number| format!("\"{number}\":0")).collect();
    let mut failed = failed();
    failed.export = hidden.to_owned();
    failed.message = format!(r#"{{"export":"orders","params":{{{}}}}}"#, params.join(","));
    let reason = format!("{hidden}{}", "x".repeat(300_000));
    let failure = Failure::new("definition").in_case("query").with("reason", reason);
    failed.failure = Some(Failure { for_operator: true, ..failure });
    let mut ready = ready();
    ready.export = hidden.to_owned();
    let receipt = ready.receipt.as_mut().unwrap();
    receipt.title = hidden.to_owned();
    receipt.params = (0..9_000).map(|number| (format!("p{number}"), hidden.into())).collect();
    let notices = [
        Notice::of(&ready, &PLAIN),
        Notice::of(&failed, &PLAIN),
        Notice::to_operator(&failed, &PLAIN),
        Notice::of_refusal(&failed, &PLAIN),
    ];
    for notice in notices.into_iter().flatten().flat_map(|notice| [notice.shortened(), notice]) {
        let sent = serde_json::json!({ "default": notice.body, "sqs": notice.event.to_string() }).to_string();
        assert!(sent.len() < 80_000, "{} bytes", sent.len());
        let texts = [&notice.export, &notice.subject, &notice.letter.subject, &notice.body.replace('\n', "")];
        assert!(!texts.iter().any(|text| text.contains(is_hidden)), "{texts:?}");
        assert!(!notice.body.contains("\nSHA-256 of the wrong file"), "{}", notice.body);
    }
    let failed = Notice::of(&failed, &PLAIN).unwrap().body;
    assert!(failed.ends_with("…\n"), "cut");
}

#[test]
fn refused_notice_is_replaced_by_a_short_one() {
    let notice = Notice::of(&ready(), &PLAIN).unwrap();
    assert_snapshot!("short_ready", shown(&notice.shortened()));
    assert_snapshot!("refusal", shown(&Notice::of_refusal(&ready(), &PLAIN).unwrap()));
    let own = Job { requested_by: Requester::operator(), ..ready() };
    assert_eq!(Notice::of_refusal(&own, &PLAIN), None, "the operator gets the short one");
}

#[test]
fn notice_exists_only_for_ended_jobs() {
    for state in JobState::ALL {
        let mut job = ready();
        job.failure = failed().failure;
        job.state = state;
        let has_notice = matches!(state, JobState::Ready | JobState::Failed | JobState::Cancelled);
        assert_eq!(Notice::of(&job, &PLAIN).is_some(), has_notice, "{state:?}");
        assert_eq!(Notice::is_due(&job), has_notice, "{state:?}");
    }
    assert_eq!(Notice::of(&job(JobState::Ready), &PLAIN), None, "without a receipt there is no notice");
    assert!(!Notice::is_due(&job(JobState::Ready)));
}

#[test]
fn numbers_and_sizes_are_grouped_and_rounded() {
    let numbers = [0, 999, 1_000, 12_345, 123_456, 1_234_567, u64::MAX];
    assert_snapshot!(numbers.map(grouped).join(" "), @"0 999 1,000 12,345 123,456 1,234,567 18,446,744,073,709,551,615");
    let sizes =
        [0, 1, 999, 1_000, 1_049, 999_949, 999_999, 1_000_000, 48_312_345, 5_497_558_138_880, u64::MAX];
    assert_snapshot!(sizes.map(size).join(", "), @"0 bytes, 1 byte, 999 bytes, 1.0 kB, 1.0 kB, 999.9 kB, 999.9 kB, 1.0 MB, 48.3 MB, 5.4 TB, 18446744.0 TB");
}

proptest! {
    #[test]
    fn subject_of_any_export_is_short_ascii(export in any::<String>(), long in "[a-z0-9_-]{0,200}", other in any::<bool>()) {
        let mut broken = failed();
        broken.failure.as_mut().unwrap().for_operator = true;
        for (mut job, to_operator) in [(ready(), false), (failed(), false), (broken, true)] {
            job.export = if other { long.clone() } else { export.clone() };
            let notice = if to_operator { Notice::to_operator(&job, &PLAIN) } else { Notice::of(&job, &PLAIN) };
            let notice = notice.unwrap();
            prop_assert!(notice.subject.len() < 100, "{}", notice.subject);
            prop_assert!(notice.subject.bytes().all(|b| (b' '..=b'~').contains(&b)), "{:?}", notice.subject);
            prop_assert!(!notice.export.is_empty());
        }
    }
}
