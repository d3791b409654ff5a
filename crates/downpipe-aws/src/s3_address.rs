//! Addresses such as `s3://BUCKET/PREFIX`.

/// A bucket, and what the keys in it begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Address {
    /// The bucket.
    pub bucket: String,
    /// The prefix, without slashes at its ends.
    pub prefix: String,
}

/// An address that names no bucket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected s3://BUCKET/PREFIX, got {0:?}")]
pub struct InvalidS3Address(String);

impl S3Address {
    const SCHEME: &str = "s3://";

    /// Reads an address. Returns `None` for a text that is none, such as a folder.
    ///
    /// # Errors
    /// When the address names no bucket.
    #[must_use]
    pub fn parse(text: &str) -> Option<Result<Self, InvalidS3Address>> {
        let address = text.strip_prefix(Self::SCHEME)?;
        let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
        if bucket.is_empty() {
            return Some(Err(InvalidS3Address(text.to_owned())));
        }
        Some(Ok(Self { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_a_bucket_and_a_prefix() {
        for (text, bucket, prefix) in
            [("s3://b", "b", ""), ("s3://b/", "b", ""), ("s3://b/p", "b", "p"), ("s3://b/p/q/", "b", "p/q")]
        {
            let address = S3Address { bucket: bucket.to_owned(), prefix: prefix.to_owned() };
            assert_eq!(S3Address::parse(text), Some(Ok(address)), "{text}");
        }
    }

    #[test]
    fn address_without_a_bucket_is_refused() {
        for text in ["s3://", "s3:///p"] {
            let error = S3Address::parse(text).unwrap().unwrap_err().to_string();
            assert_eq!(error, format!("expected s3://BUCKET/PREFIX, got {text:?}"));
        }
    }

    #[test]
    fn folder_is_no_address() {
        assert_eq!(S3Address::parse("exports"), None);
    }
}
