//! The receipt of a file that is complete.

use downpipe_format::{Format, LOAD_DATA_SESSION, Style, zone_name};

use super::file_writer::Written;
use super::object_writer::StoredObject;
use super::output_files::WrittenFile;
use super::plan::ExportPlan;
use crate::catalog::Value;
use crate::job::{FileReceipt, JobAttempt, JobId, Receipt, changes_to_json};
use crate::source::EndOfResult;
use crate::store::{NewObject, ObjectStore};

/// Makes the receipt of a file that is complete.
pub(crate) fn receipt<S: ObjectStore>(
    store: &S,
    plan: &ExportPlan<'_>,
    end: &EndOfResult,
    written: Written,
) -> Receipt {
    let (request, definition) = (plan.request, plan.definition());
    let NewObject { token, retention, .. } = &plan.object;
    let JobAttempt { job, attempt } = token;
    let completed_at = whole_milliseconds(jiff::Timestamp::now());
    let params = request.params.iter().map(|(name, value)| (name.clone(), Value::to_json(value))).collect();
    Receipt {
        job_id: JobId::to_string(job),
        attempt: *attempt,
        export: definition.name.clone(),
        title: definition.title.clone(),
        definition_sha256: definition.sha256.clone(),
        params,
        requested_by: request.requested_by.to_string(),
        as_of: end.snapshot.as_of,
        completed_at,
        expires_at: completed_at + jiff::SignedDuration::from_hours(24 * i64::from(retention.days())),
        format: plan.style().format().as_str().to_owned(),
        profile: plan.style().profile().name.to_string(),
        compression: plan.style().compression().as_str().to_owned(),
        encoding: is_text(plan.style()).then(|| plan.style().profile().charset.name().to_owned()),
        time_zone: zone_name(&plan.style().time_zone()).to_owned(),
        sql_time_zone: zone_name(&definition.time_zone).to_owned(),
        session: end.snapshot.session.clone(),
        columns: written.columns,
        rows: written.rows,
        bytes: written.files.iter().map(|file| file.stored.total.bytes).sum(),
        files: written.files.into_iter().map(|file| file_receipt(store, file)).collect(),
        changes: changes_to_json(&written.changes),
        load_session: written.load_data.as_ref().map(|_| LOAD_DATA_SESSION.to_owned()),
        load_data: written.load_data,
        continued: false,
    }
}

fn file_receipt<S: ObjectStore>(store: &S, file: WrittenFile) -> FileReceipt {
    let WrittenFile { stored: StoredObject { object, total, sha256 }, rows } = file;
    FileReceipt {
        address: store.address(&object.key),
        file_name: object.file_name,
        rows,
        bytes: total.bytes,
        sha256,
        crc64nvme: total.crc64nvme_base64(),
    }
}

/// Whether the file is in the profile's encoding.
fn is_text(style: &Style) -> bool {
    matches!(style.format(), Format::Csv | Format::Tsv)
}

/// Cuts a time to the millisecond: people read a receipt.
fn whole_milliseconds(at: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
