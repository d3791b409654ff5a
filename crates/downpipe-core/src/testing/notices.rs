//! Notices as people get them: each kind, in each language.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::ScriptedSource;
use crate::job::{Failure, FileReceipt, Job, JobId, JobState, Receipt, Via};
use crate::language::Language;
use crate::notice::{Notice, NoticeContext};
use crate::requester::Requester;

/// 2026-12-01T01:23:45Z
const NOW: Timestamp = Timestamp::constant(1_796_088_225, 0);

/// The link in the notices.
const LINK: &str = "https://exports.example.com/l/AQGcfJ3nJ2TqVxk0cJ0mE8u7yGd2bFq4sWm1QpZr5Yt6Kw";

/// Returns a notice of each kind in each language, with a name such as `ready_en`: ready, failed, cancelled and operator.
#[must_use]
pub fn sample_notices(requester: &Requester) -> Vec<(String, Notice)> {
    let both = [Language::En, Language::Ja];
    let of = |language| {
        let (ready, failed, broken, cancelled) = (
            ready_job(requester, language),
            failed_job(requester, language),
            broken_job(requester, language),
            sample_job(requester, language, JobState::Cancelled),
        );
        let context = NoticeContext {
            language,
            title: Some(title(language)),
            link: Some(LINK),
            download_command: None,
        };
        let notices = [
            ("ready", Notice::of(&ready, &context)),
            ("failed", Notice::of(&failed, &context)),
            ("cancelled", Notice::of(&cancelled, &context)),
            ("operator", Notice::to_operator(&broken, &context)),
        ];
        notices.into_iter().filter_map(move |(kind, notice)| Some((format!("{kind}_{language}"), notice?)))
    };
    both.into_iter().flat_map(of).collect()
}

fn title(language: Language) -> &'static str {
    match language {
        Language::En => "Orders",
        Language::Ja => "注文一覧",
    }
}

fn ready_job(requester: &Requester, language: Language) -> Job {
    let mut job = sample_job(requester, language, JobState::Ready);
    let file_name = match language {
        Language::En => "orders-2026-11-01.csv",
        Language::Ja => "注文一覧-2026-11-01.csv",
    };
    let file = FileReceipt {
        file_name: file_name.to_owned(),
        address: format!("s3://bucket/orders/2026/12/01/{}/{file_name}", job.id),
        rows: 172_345,
        bytes: 18_412_345,
        sha256: "3f".repeat(32),
        crc64nvme: "AAAAAAAAAAA=".to_owned(),
    };
    (job.rows, job.bytes) = (file.rows, file.bytes);
    job.receipt = Some(Receipt {
        job_id: job.id.to_string(),
        attempt: 1,
        export: job.export.clone(),
        title: title(language).to_owned(),
        definition_sha256: "00".repeat(32),
        params: [("from".to_owned(), "2026-11-01".into()), ("to".to_owned(), "2026-12-01".into())]
            .into_iter()
            .collect(),
        requested_by: requester.to_string(),
        as_of: NOW,
        completed_at: NOW + SignedDuration::from_secs(12),
        expires_at: NOW + SignedDuration::from_hours(24 * 7),
        format: "csv".to_owned(),
        profile: "excel".to_owned(),
        compression: "none".to_owned(),
        encoding: Some("UTF-8".to_owned()),
        time_zone: "Asia/Tokyo".to_owned(),
        sql_time_zone: "Asia/Tokyo".to_owned(),
        session: ScriptedSource::snapshot().session,
        columns: ["id", "created_at", "customer", "total"].map(str::to_owned).into(),
        rows: file.rows,
        bytes: file.bytes,
        files: vec![file],
        changes: [("customer".to_owned(), json!({ "formulas_guarded": 1_203, "masked": 1 }))]
            .into_iter()
            .collect(),
        load_data: None,
        load_session: None,
        continued: false,
    });
    job
}

fn failed_job(requester: &Requester, language: Language) -> Job {
    let mut job = sample_job(requester, language, JobState::Failed);
    let failure = Failure::new("timed_out").in_case("held_back");
    let failure = failure.with("key", "throttle.rows_per_second").with("seconds", 312);
    job.failure = Some(Failure { detail: Some("SELECT secret".to_owned()), ..failure });
    job
}

fn broken_job(requester: &Requester, language: Language) -> Job {
    let mut job = sample_job(requester, language, JobState::Failed);
    let failure = Failure::new("query_failed").with("error", 1054);
    job.failure =
        Some(Failure { for_operator: true, detail: Some("Unknown column 'secret'".to_owned()), ..failure });
    job
}

/// Returns a job that has ended after one attempt, without a receipt or a failure.
#[must_use]
pub fn sample_job(requester: &Requester, language: Language, state: JobState) -> Job {
    Job {
        id: JobId::of_unreadable("samples", requester.as_str()),
        requested_by: requester.clone(),
        export: "orders".to_owned(),
        request_id: "r-1".to_owned(),
        state,
        attempt: 1,
        attempts_since_progress: 1,
        resume_count: 0,
        rows: 0,
        bytes: 0,
        failure: None,
        receipt: None,
        created_at: NOW,
        started_at: Some(NOW),
        finished_at: Some(NOW + SignedDuration::from_secs(13)),
        notified_at: None,
        language: Some(language),
        via: Via::Queue,
        app: None,
        definition_sha256: None,
        expected_rows: Some(170_000),
        sent_at: None,
        checkpoint: None,
        owner_message_id: None,
        fingerprint: None,
        message_id: "m-1".to_owned(),
        message: r#"{"export":"orders","params":{"from":"2026-11-01","to":"2026-12-01"},"format":"csv"}"#
            .to_owned(),
    }
}
