//! The headers of an object, and how their values are written.

use std::collections::HashMap;

use downpipe_core::job::JobAttempt;
use downpipe_core::store::NewObject;
use percent_encoding::{AsciiSet, utf8_percent_encode};

use crate::percent::RESERVED;

const JOB: &str = "downpipe-job";
const ATTEMPT: &str = "downpipe-attempt";
const RETENTION_TAG: &str = "downpipe-retention";

/// Everything that is encoded in a path: its slashes stay.
const PATH: &AsciiSet = &RESERVED.remove(b'/');

/// Returns the tag by which the bucket's lifecycle expires the object.
pub(super) fn tagging(object: &NewObject) -> String {
    format!("{RETENTION_TAG}={}", object.retention.as_str())
}

/// Returns the user metadata of an object.
pub(super) fn metadata(object: &NewObject) -> HashMap<String, String> {
    let metadata = object.metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    // The token comes last: nothing else may stand under its names.
    metadata.chain(ownership_metadata(&object.token)).collect()
}

/// Returns the metadata that marks an object as ours.
pub(super) fn ownership_metadata(token: &JobAttempt) -> HashMap<String, String> {
    let JobAttempt { job, attempt } = token;
    HashMap::from([(JOB.to_owned(), job.to_string()), (ATTEMPT.to_owned(), attempt.to_string())])
}

/// Returns the job and attempt that wrote the object with this metadata, if it is an object of ours.
pub(super) fn token(metadata: Option<&HashMap<String, String>>) -> Option<JobAttempt> {
    let metadata = metadata?;
    Some(JobAttempt { job: metadata.get(JOB)?.parse().ok()?, attempt: metadata.get(ATTEMPT)?.parse().ok()? })
}

/// Returns the source of a copy. The SDK sends the value as it is, and S3 decodes it: unencoded, a plus sign is a space and Japanese
/// no header at all. The slashes stay, as S3 needs the first one.
pub(super) fn copy_source(bucket: &str, key: &str) -> String {
    format!("{bucket}/{}", utf8_percent_encode(key, PATH))
}

/// Returns a header of RFC 6266: a plain name for old clients, and the real one in UTF-8 (RFC 8187).
pub(super) fn content_disposition(file_name: &str) -> String {
    let plain: String = file_name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(file_name, RESERVED))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use downpipe_core::job::JobId;
    use downpipe_core::store::Retention;

    use super::*;

    #[test]
    fn japanese_file_name_in_the_header_is_encoded() {
        assert_eq!(
            content_disposition("注文 \"1\".csv"),
            "attachment; filename=\"____1_.csv\"; filename*=UTF-8''%E6%B3%A8%E6%96%87%20%221%22.csv"
        );
    }

    #[test]
    fn source_of_a_copy_is_url_encoded() {
        assert_eq!(copy_source("bucket", "a/注文+1 %.csv"), "bucket/a/%E6%B3%A8%E6%96%87%2B1%20%25.csv");
    }

    #[test]
    fn metadata_under_a_name_of_the_token_is_replaced_by_it() {
        let token_of = JobAttempt { job: JobId::of_unreadable("key", "body"), attempt: 2 };
        let object = NewObject {
            key: "key".to_owned(),
            file_name: "name".to_owned(),
            content_type: "text/csv".to_owned(),
            token: token_of.clone(),
            retention: Retention::default(),
            metadata: BTreeMap::from([(JOB, "other".to_owned()), ("downpipe-rows", "7".to_owned())]),
        };
        let metadata = metadata(&object);
        assert_eq!(token(Some(&metadata)), Some(token_of));
        assert_eq!((metadata.len(), metadata["downpipe-rows"].as_str()), (3, "7"));
    }
}
