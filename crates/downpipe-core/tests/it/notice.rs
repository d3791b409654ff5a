//! Tests the e-mails, word for word.

use downpipe_core::job::{Failure, JobState};
use downpipe_core::notice::{Notice, grouped, size};
use downpipe_core::requester::Requester;
use downpipe_core::untrusted_text::is_hidden;
use insta::assert_snapshot;
use proptest::prelude::*;

use crate::samples::{job, receipt};

fn ready() -> downpipe_core::job::Job {
    let mut job = job(JobState::Ready);
    job.receipt = Some(receipt());
    job
}

fn failed() -> downpipe_core::job::Job {
    let mut job = job(JobState::Failed);
    job.failure = Some(Failure {
        code: "timed_out".to_owned(),
        message: "The query took longer than it may.".to_owned(),
        advice: "Ask for less at once, for example a shorter period.".to_owned(),
        for_operator: false,
        detail: Some("SELECT secret".to_owned()),
    });
    job
}

fn shown(notice: &Notice) -> String {
    format!("To: {}\nSubject: {}\n\n{}", notice.recipient, notice.subject, notice.body)
}

#[test]
fn notice_without_portal_and_command_shows_the_address() {
    let ready = ready();
    let address = &ready.receipt.as_ref().unwrap().files[0].address;
    let notice = Notice::of(&ready, None, None).unwrap();
    assert!(notice.body.contains(&format!("Get it here:\n  {address}\n")), "{}", notice.body);
}

#[test]
fn notice_of_a_ready_job_shows_the_file() {
    let notice = Notice::of(&ready(), None, Some("get 'orders' .")).unwrap();
    assert_eq!((notice.export.as_str(), notice.status, notice.job_id.len()), ("orders", JobState::Ready, 24));
    assert_snapshot!(shown(&notice), @r#"
    To: alice@example.com
    Subject: Export orders is ready

    Your export "注文一覧" is ready.

      File         it's.csv
      Rows         1,234,567
      Size         48.3 MB
      Data as of   2026-01-02 03:04 UTC
      Kept until   2026-01-09
      Time zone    Asia/Tokyo; times in the file are UTC
        from       2026-01-01
        to         (not given)

    Get it here:
      get 'orders' .

    Not as in the database:
      memo
        an apostrophe in front of what begins like a formula: 1,203
        numbers kept as text, so that no digit is lost: 1

    SHA-256 abababababababababababababababababababababababababababababababab
    Job     0123456789abcdef01234567
    "#);
}

#[test]
fn notice_of_a_ready_job_with_a_portal_links_to_it() {
    let notice = Notice::of(&ready(), Some("https://portal.example.com/downpipe/"), None).unwrap();
    assert_snapshot!(shown(&notice), @r#"
    To: alice@example.com
    Subject: Export orders is ready

    Your export "注文一覧" is ready.

      File         it's.csv
      Rows         1,234,567
      Size         48.3 MB
      Data as of   2026-01-02 03:04 UTC
      Kept until   2026-01-09
      Time zone    Asia/Tokyo; times in the file are UTC
        from       2026-01-01
        to         (not given)

    Get it here:
      https://portal.example.com/downpipe/jobs/0123456789abcdef01234567

    Not as in the database:
      memo
        an apostrophe in front of what begins like a formula: 1,203
        numbers kept as text, so that no digit is lost: 1

    SHA-256 abababababababababababababababababababababababababababababababab
    Job     0123456789abcdef01234567
    "#);
}

#[test]
fn notice_of_a_failed_job_says_what_to_do() {
    assert_snapshot!(shown(&Notice::of(&failed(), None, None).unwrap()), @r#"
    To: alice@example.com
    Subject: Export orders could not be prepared

    Your export "orders" could not be prepared.

    What happened
      The query took longer than it may.

    What to do
      Ask for less at once, for example a shorter period.

    What was asked for
      export       orders
      from         "2026-01-01"
      limit        5

    Job     0123456789abcdef01234567
    "#);
    let notice = Notice::of(&failed(), Some("https://portal.example.com"), None).unwrap();
    assert!(
        notice.body.contains("\n  https://portal.example.com/jobs/0123456789abcdef01234567\n"),
        "{}",
        notice.body
    );
    assert!(!notice.body.contains("secret"), "details are for operators");
}

#[test]
fn notice_of_an_unreadable_message_names_no_export() {
    let mut job = failed();
    job.export = String::new();
    job.message = "test".to_owned();
    let notice = Notice::of(&job, None, None).unwrap();
    assert_eq!(notice.export, "unknown", "an attribute may not be empty");
    assert_snapshot!(shown(&notice), @"
    To: alice@example.com
    Subject: Your export could not be prepared

    Your export could not be prepared.

    What happened
      The query took longer than it may.

    What to do
      Ask for less at once, for example a shorter period.

    Job     0123456789abcdef01234567
    ");
}

#[test]
fn operator_notice_exists_only_for_failures_the_operator_can_fix() {
    let mut job = failed();
    assert_eq!(Notice::to_operator(&job, None), None, "the person can ask for less");
    let failure = job.failure.as_mut().unwrap();
    failure.code = "query_failed".to_owned();
    failure.message = "The database could not answer the query (error 1054).".to_owned();
    failure.for_operator = true;
    let notice = Notice::to_operator(&job, Some("https://portal.example.com")).unwrap();
    assert_eq!((notice.export.as_str(), notice.status), ("orders", JobState::Failed));
    assert_snapshot!(shown(&notice), @"
    To: operator
    Subject: Export orders failed and needs you

    An export failed for a reason that its requester cannot fix. The requester has been notified.

      Export       orders
      Asked for by alice@example.com
      Failure      query_failed
      Attempts     1

    What happened
      The database could not answer the query (error 1054).

    Where to look
      downpipe status 0123456789abcdef01234567    (with the database's or the store's own words)
      the worker's log, for the job's number
      https://portal.example.com/jobs/0123456789abcdef01234567

    Job     0123456789abcdef01234567
    ");
    assert!(!notice.body.contains("secret"), "details may quote the data");
    assert!(!Notice::to_operator(&job, None).unwrap().body.contains("portal"));
    for state in [JobState::Queued, JobState::Running, JobState::Ready, JobState::Cancelled] {
        assert_eq!(
            Notice::to_operator(&downpipe_core::job::Job { state, ..job.clone() }, None),
            None,
            "{state:?}"
        );
    }
    job.requested_by = "Operator".parse().unwrap();
    assert_eq!(Notice::to_operator(&job, None), None, "the operator is notified as the requester");
    assert!(Notice::of(&job, None, None).is_some());
}

/// SNS takes 256 KiB of characters that XML can carry, and a notice must not deceive its reader.
#[test]
fn notice_of_a_hostile_job_is_short_and_visible() {
    let hidden = "a\u{0}\u{ffff}\u{fffe}\u{202e}\u{2028}\u{200b}\r\nSHA-256 of the wrong file";
    let params: Vec<String> = (0..9_000).map(|number| format!("\"{number}\":0")).collect();
    let mut failed = failed();
    failed.export = hidden.to_owned();
    failed.message = format!(r#"{{"export":"orders","params":{{{}}}}}"#, params.join(","));
    let failure = failed.failure.as_mut().unwrap();
    failure.for_operator = true;
    failure.message = format!("{hidden}{}", "x".repeat(300_000));
    let mut ready = ready();
    ready.export = hidden.to_owned();
    let receipt = ready.receipt.as_mut().unwrap();
    receipt.title = hidden.to_owned();
    receipt.params = (0..9_000).map(|number| (format!("p{number}"), hidden.into())).collect();
    let notices = [
        Notice::of(&ready, None, None),
        Notice::of(&failed, None, None),
        Notice::to_operator(&failed, None),
        Notice::of_refusal(&failed),
    ];
    for notice in notices.into_iter().flatten().flat_map(|notice| [notice.shortened(), notice]) {
        assert!(notice.body.len() < 200_000, "{} bytes", notice.body.len());
        let texts = [&notice.export, &notice.subject, &notice.body.replace('\n', "")];
        assert!(!texts.iter().any(|text| text.contains(is_hidden)), "{texts:?}");
        assert!(!notice.body.contains("\nSHA-256 of the wrong file"), "{}", notice.body);
    }
    let failed = Notice::of(&failed, None, None).unwrap().body;
    assert!(failed.ends_with("…\n"), "cut");
}

#[test]
fn refused_notice_is_replaced_by_a_short_one() {
    let notice = Notice::of(&ready(), None, None).unwrap();
    assert_snapshot!(shown(&notice.shortened()), @"
    To: alice@example.com
    Subject: Your export is ready

    Your export is ready.

    The e-mail that says more could not be sent. The people who run this export can tell you more: tell them the job number.

    Job     0123456789abcdef01234567
    ");
    assert_snapshot!(shown(&Notice::of_refusal(&ready()).unwrap()), @"
    To: operator
    Subject: Export orders has an e-mail that was refused

    The e-mail about an export was refused for what is in it. A short one is sent in its place, which says how the export ended and no more.

      Export       orders
      Asked for by alice@example.com

    Where to look
      downpipe status 0123456789abcdef01234567
      the worker's log, for the job's number

    Job     0123456789abcdef01234567
    ");
    let own = downpipe_core::job::Job { requested_by: Requester::operator(), ..ready() };
    assert_eq!(Notice::of_refusal(&own), None, "the operator gets the short one");
}

#[test]
fn notice_exists_only_for_ended_jobs() {
    for state in JobState::ALL {
        let mut job = ready();
        job.failure = failed().failure;
        job.state = state;
        let has_notice = matches!(state, JobState::Ready | JobState::Failed | JobState::Cancelled);
        assert_eq!(Notice::of(&job, None, None).is_some(), has_notice, "{state:?}");
    }
    assert_eq!(Notice::of(&job(JobState::Ready), None, None), None, "without a receipt there is no notice");
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
            let notice = if to_operator { Notice::to_operator(&job, None) } else { Notice::of(&job, None, None) };
            let notice = notice.unwrap();
            prop_assert!(notice.subject.len() < 100, "{}", notice.subject);
            prop_assert!(notice.subject.bytes().all(|b| (b' '..=b'~').contains(&b)), "{:?}", notice.subject);
            prop_assert!(!notice.export.is_empty());
        }
    }
}
