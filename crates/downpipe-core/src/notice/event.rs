//! A job for programs: what subscribers of the topic get in place of a text.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::context::NoticeContext;
use crate::job::{Job, JobState, Receipt};
use crate::language::Language;
use crate::message::{Message, RawParam, cut};

/// The most bytes of a job. A message of SNS has 256 KiB for the text and four copies of this.
const MAX_EVENT: usize = 24 * 1024;

/// The most characters of a text in it.
const MAX_TEXT: usize = 2000;

/// Returns `{"event": "job.ready", "job": {…}}`: the job with the fields that the API gives it, without those that only the portal knows,
/// and without links. Of a job that is too long for SNS, the parameters are null and the files an empty list.
pub(super) fn event(job: &Job, context: &NoticeContext<'_>, language: Language) -> Value {
    let mut event = json!({ "event": name(job.state), "job": job_json(job, context, language) });
    for (too_long, short) in [("params", Value::Null), ("files", json!([]))] {
        if event.to_string().len() > MAX_EVENT {
            event["job"][too_long] = short;
        }
    }
    event
}

/// Returns an event that names nothing but the job's number and state.
pub(super) fn bare_event(job: &str, state: JobState) -> Value {
    json!({ "event": name(state), "job": { "id": job, "state": state.as_str() } })
}

fn name(state: JobState) -> String {
    format!("job.{}", state.as_str())
}

fn job_json(job: &Job, context: &NoticeContext<'_>, language: Language) -> Value {
    let receipt = job.receipt.as_ref();
    let title = receipt.map(|receipt| receipt.title.as_str()).or(context.title);
    let failure = job.failure.as_ref().filter(|_| job.state == JobState::Failed).map(|failure| {
        let words = failure.words(language);
        json!({ "code": failure.code, "message": cut(&words.message, MAX_TEXT), "advice": words.advice })
    });
    let [params, profile, format, compression] = request(job);
    let percent = (job.state == JobState::Ready).then_some(100);
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "id": job.id,
        "export": cut(&job.export, MAX_TEXT),
        "title": title,
        "state": job.state.as_str(),
        "requested_by": job.requested_by,
        "params": params,
        "profile": profile,
        "format": format,
        "compression": compression,
        "progress": { "rows": job.rows, "bytes": job.bytes, "percent": percent, "of_rows": job.expected_rows },
        "created_at": job.created_at,
        "started_at": time(job.started_at),
        "finished_at": time(job.finished_at),
        "expires_at": time(receipt.map(|receipt| receipt.expires_at)),
        "files": receipt.map(files).unwrap_or_default(),
        "failure": failure,
    })
}

fn files(receipt: &Receipt) -> Vec<Value> {
    let file = |(n, file): (usize, &crate::job::FileReceipt)| json!({ "n": n, "file_name": file.file_name, "rows": file.rows, "bytes": file.bytes, "sha256": file.sha256 });
    (1..).zip(&receipt.files).map(file).collect()
}

/// Returns parameters, profile, format and compression: from the receipt, or as the message has them.
fn request(job: &Job) -> [Value; 4] {
    if let Some(Receipt { params, profile, format, compression, .. }) = &job.receipt {
        return [json!(params), json!(profile), json!(format), json!(compression)];
    }
    let Ok(Message::Export(message)) = Message::parse(&job.message) else { return Default::default() };
    let params: serde_json::Map<String, Value> =
        message.params.iter().map(|(name, value)| (name.clone(), as_json(value))).collect();
    [params.into(), json!(message.profile), json!(message.format), json!(message.compression)]
}

/// Returns a parameter's value as it was sent. A number that JSON's readers would round is text.
pub(super) fn as_json(param: &RawParam) -> Value {
    match param {
        RawParam::Text(text) => text.as_str().into(),
        RawParam::Boolean(value) => (*value).into(),
        RawParam::Number(digits) => match digits.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => digits.as_str().into(),
        },
    }
}
