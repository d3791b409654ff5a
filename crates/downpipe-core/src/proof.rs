//! What was written becomes a receipt.

use downpipe_format::{Format, LOAD_DATA_SESSION, Style};
use jiff::tz::TimeZone;

use crate::file_writer::{Written, WrittenFile};
use crate::job::JobId;
use crate::object_writer::StoredObject;
use crate::order::Order;
use crate::params::Value;
use crate::receipt::{FileReceipt, Receipt, changes_to_json};
use crate::request::ExportRequest;
use crate::source::EndOfResult;
use crate::store::{NewObject, ObjectStore, WriteToken};

/// The receipt of a file that is complete.
pub(crate) fn receipt<S: ObjectStore>(
    store: &S,
    order: &Order,
    request: &ExportRequest<'_>,
    end: &EndOfResult,
    written: Written,
) -> Receipt {
    let definition = request.definition;
    let NewObject { token, retention, .. } = &order.object;
    let WriteToken { job, attempt } = token;
    let completed_at = whole_milliseconds(jiff::Timestamp::now());
    let params = request.params.iter().map(|(name, value)| (name.clone(), Value::to_json(value))).collect();
    Receipt {
        job_id: JobId::to_string(job),
        attempt: *attempt,
        export: definition.name.clone(),
        title: definition.title.clone(),
        definition_sha256: definition.sha256.clone(),
        params,
        requested_by: request.requested_by.clone(),
        as_of: end.as_of,
        completed_at,
        expires_at: completed_at + jiff::SignedDuration::from_hours(24 * i64::from(retention.days())),
        format: order.style.format().as_str().to_owned(),
        profile: order.style.profile().name.to_string(),
        compression: order.style.compression().as_str().to_owned(),
        encoding: is_text(&order.style).then(|| order.style.profile().charset.name().to_owned()),
        time_zone: time_zone(&order.style),
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

/// Whether the profile's encoding is the file's.
fn is_text(style: &Style) -> bool {
    matches!(style.format(), Format::Csv | Format::Tsv)
}

/// The clock that instants are shown on.
fn time_zone(style: &Style) -> String {
    let zone = style.profile().time_zone.as_ref().filter(|_| style.shows_local_time());
    zone.and_then(TimeZone::iana_name).unwrap_or("UTC").to_owned()
}

/// A receipt is read by people; nanoseconds tell them nothing.
fn whole_milliseconds(at: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
