//! The e-mails, word for word.

use downpipe_core::job::{Failure, JobState};
use downpipe_core::notice::{Notice, grouped, size};
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
fn a_file_is_ready() {
    let notice = Notice::of(&ready(), None).unwrap();
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
        from       2026-01-01
        to         (not given)

    Get it here:
      aws s3 cp 's3://bucket/downpipe/orders/2026/01/02/0123456789abcdef01234567/it'\''s.csv' .

    Not as in the database:
      memo
        an apostrophe in front of what begins like a formula: 1,203
        numbers kept as text, so that no digit is lost: 1

    SHA-256 abababababababababababababababababababababababababababababababab
    Job     0123456789abcdef01234567
    "#);
}

#[test]
fn a_file_is_ready_in_the_portal() {
    let notice = Notice::of(&ready(), Some("https://portal.example.com/downpipe/")).unwrap();
    assert_snapshot!(shown(&notice), @r#"
    To: alice@example.com
    Subject: Export orders is ready

    Your export "注文一覧" is ready.

      File         it's.csv
      Rows         1,234,567
      Size         48.3 MB
      Data as of   2026-01-02 03:04 UTC
      Kept until   2026-01-09
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
fn an_export_failed() {
    assert_snapshot!(shown(&Notice::of(&failed(), None).unwrap()), @r#"
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
    let notice = Notice::of(&failed(), Some("https://portal.example.com")).unwrap();
    assert!(
        notice.body.contains("\n  https://portal.example.com/jobs/0123456789abcdef01234567\n"),
        "{}",
        notice.body
    );
    assert!(!notice.body.contains("secret"), "details are for operators");
}

#[test]
fn a_message_that_could_not_be_read_failed() {
    let mut job = failed();
    job.export = String::new();
    job.message = "test".to_owned();
    let notice = Notice::of(&job, None).unwrap();
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
fn the_operator_is_told_what_only_they_can_mend() {
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

    An export failed for a reason that whoever asked for it cannot mend. They are told so.

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
    job.requested_by = "Operator".to_owned();
    assert_eq!(Notice::to_operator(&job, None), None, "they are told as the requester");
    assert!(Notice::of(&job, None).is_some());
}

#[test]
fn only_an_end_is_told() {
    for (state, _) in JobState::ALL {
        let mut job = ready();
        job.failure = failed().failure;
        job.state = state;
        let told = matches!(state, JobState::Ready | JobState::Failed | JobState::Cancelled);
        assert_eq!(Notice::of(&job, None).is_some(), told, "{state:?}");
    }
    assert_eq!(Notice::of(&job(JobState::Ready), None), None, "there is nothing to tell without a receipt");
}

#[test]
fn numbers_and_sizes_are_for_people() {
    let numbers = [0, 999, 1_000, 12_345, 123_456, 1_234_567, u64::MAX];
    assert_snapshot!(numbers.map(grouped).join(" "), @"0 999 1,000 12,345 123,456 1,234,567 18,446,744,073,709,551,615");
    let sizes =
        [0, 1, 999, 1_000, 1_049, 999_949, 999_999, 1_000_000, 48_312_345, 5_497_558_138_880, u64::MAX];
    assert_snapshot!(sizes.map(size).join(", "), @"0 bytes, 1 byte, 999 bytes, 1.0 kB, 1.0 kB, 999.9 kB, 999.9 kB, 1.0 MB, 48.3 MB, 5.4 TB, 18446744.0 TB");
}

proptest! {
    #[test]
    fn a_subject_is_short_ascii_for_any_name(export in any::<String>(), long in "[a-z0-9_-]{0,200}", other in any::<bool>()) {
        let mut broken = failed();
        broken.failure.as_mut().unwrap().for_operator = true;
        for (mut job, to_operator) in [(ready(), false), (failed(), false), (broken, true)] {
            job.export = if other { long.clone() } else { export.clone() };
            let notice = if to_operator { Notice::to_operator(&job, None) } else { Notice::of(&job, None) };
            let notice = notice.unwrap();
            prop_assert!(notice.subject.len() < 100, "{}", notice.subject);
            prop_assert!(notice.subject.bytes().all(|b| (b' '..=b'~').contains(&b)), "{:?}", notice.subject);
            prop_assert!(!notice.export.is_empty());
        }
    }
}
