//! What an object carries in headers, and their notations.

use std::collections::HashMap;

use downpipe_core::store::{NewObject, WriteToken};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const JOB: &str = "downpipe-job";
const ATTEMPT: &str = "downpipe-attempt";
const RETENTION_TAG: &str = "downpipe-retention";

/// What RFC 8187 lets stand in a header's encoded value.
const HEADER_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same with slashes.
const PATH: &AsciiSet = &HEADER_VALUE.remove(b'/');

pub(super) fn tagging(object: &NewObject) -> String {
    format!("{RETENTION_TAG}={}", object.retention.as_str())
}

/// The user metadata of an object.
pub(super) fn metadata(object: &NewObject) -> HashMap<String, String> {
    let told = object.metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    // The token comes last: nothing else may stand under its names.
    told.chain(marks(&object.token)).collect()
}

/// What marks an object as ours.
pub(super) fn marks(token: &WriteToken) -> HashMap<String, String> {
    let WriteToken { job, attempt } = token;
    HashMap::from([(JOB.to_owned(), job.to_string()), (ATTEMPT.to_owned(), attempt.to_string())])
}

/// Who wrote the object with this metadata, if that was one of us.
pub(super) fn token(metadata: Option<&HashMap<String, String>>) -> Option<WriteToken> {
    let metadata = metadata?;
    Some(WriteToken { job: metadata.get(JOB)?.parse().ok()?, attempt: metadata.get(ATTEMPT)?.parse().ok()? })
}

/// Where a copy comes from. The SDK sends the value as it is, and S3 takes it for URL-encoded: unencoded, a plus sign is a
/// space and Japanese no header at all. The slashes stay, as S3 needs the first one.
pub(super) fn copy_source(bucket: &str, key: &str) -> String {
    format!("{bucket}/{}", utf8_percent_encode(key, PATH))
}

/// RFC 6266: a plain name for old clients, and the real one in UTF-8.
pub(super) fn content_disposition(file_name: &str) -> String {
    let plain: String = file_name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
        .collect();
    format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        utf8_percent_encode(file_name, HEADER_VALUE)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use downpipe_core::definition::Retention;
    use downpipe_core::job::JobId;

    use super::*;

    #[test]
    fn a_japanese_file_name_survives_the_header() {
        assert_eq!(
            content_disposition("注文 \"1\".csv"),
            "attachment; filename=\"____1_.csv\"; filename*=UTF-8''%E6%B3%A8%E6%96%87%20%221%22.csv"
        );
    }

    #[test]
    fn the_source_of_a_copy_is_url_encoded() {
        assert_eq!(copy_source("bucket", "a/注文+1 %.csv"), "bucket/a/%E6%B3%A8%E6%96%87%2B1%20%25.csv");
    }

    #[test]
    fn nothing_told_of_an_object_takes_the_place_of_its_token() {
        let token_of = WriteToken { job: JobId::of_unreadable("key", "body"), attempt: 2 };
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
