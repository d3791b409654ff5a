//! Keys in listings. A key may have characters that XML cannot carry, and one of them makes a whole listing unreadable. So a listing
//! asks S3 to URL-encode keys.

use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;

/// Decodes a key of a listing, if the store says that it is URL-encoded. LocalStack says so of uploads, too, and encodes none: a key
/// with a space or with other than ASCII is not encoded, whatever the store says.
pub(crate) fn decoded(key: &str, encoding: Option<&EncodingType>) -> String {
    let may_be_encoded = key.bytes().all(|byte| byte.is_ascii_graphic());
    match encoding.filter(|_| may_be_encoded) {
        // S3 writes a space as +, as forms do, and a plus as %2B.
        Some(EncodingType::Url) => {
            percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned()
        }
        _ => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_decoded_where_the_store_encoded_it() {
        let url = Some(&EncodingType::Url);
        assert_eq!(decoded("a+b%20c%2Bd%2541/%E6%B3%A8%EF%BF%BF.csv", url), "a b c+d%41/注\u{ffff}.csv");
        assert_eq!(decoded("a+b%20", None), "a+b%20");
        assert_eq!(decoded("a+b c%2B", url), "a+b c%2B", "it is not encoded");
    }
}
