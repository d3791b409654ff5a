//! Reads the signing secret. Its keys are in no catalog: a reader of definitions need not learn what masks hide.
//!
//! `{ "masks": "base64, 32 bytes", "receipts": "base64, 32 bytes" }`. To replace the key of receipts without a stop, `receipts` may be
//! a list: its first key signs, and every one verifies.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use downpipe_aws::SdkConfig;
use downpipe_core::cache::ReceiptKeys;
use downpipe_core::catalog::{Catalog, MaskKey};
use serde::Deserialize;

use crate::config::SecretLocation;
use crate::secret_text::{SecretTextError, secret_text};

/// Why there is no key for masks, or for cached receipts.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// A definition needs the key, and no secret is named.
    #[error(
        "DOWNPIPE_SIGNING_SECRET: expected a secret with the key of masks, because of columns that are masked by hash in {}, got nothing",
        .0.join(", ")
    )]
    Missing(Vec<String>),
    /// The secret cannot be read.
    #[error("DOWNPIPE_SIGNING_SECRET")]
    Unreadable(#[from] SecretTextError),
    /// The secret is not what it should be. Nothing of it is quoted.
    #[error("DOWNPIPE_SIGNING_SECRET: expected JSON {{ \"masks\": \"32 bytes in base64\" }}, got {0}")]
    Invalid(&'static str),
    /// There is a cache, and no secret is named.
    #[error(
        "DOWNPIPE_SIGNING_SECRET: expected a secret with the key of receipts, because of DOWNPIPE_CACHE, got nothing"
    )]
    NoReceiptKeys,
    /// The secret has no keys of receipts. Nothing of it is quoted.
    #[error(
        "DOWNPIPE_SIGNING_SECRET: expected JSON {{ \"receipts\": \"32 bytes in base64\" }} or a list of such keys, got {0}"
    )]
    InvalidReceiptKeys(&'static str),
}

#[derive(Deserialize)]
struct SigningSecret {
    masks: Option<String>,
    receipts: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// The catalog with the key of its masks. Where no definition masks by hash, nothing is fetched.
///
/// # Errors
/// When the key is needed and there is none.
pub async fn with_mask_key(
    catalog: Catalog,
    secret: Option<&SecretLocation>,
    aws: &SdkConfig,
) -> Result<Catalog, SigningError> {
    let in_need: Vec<String> = catalog.needing_mask_key().map(str::to_owned).collect();
    match (in_need.is_empty(), secret) {
        (true, _) => Ok(catalog),
        (false, None) => Err(SigningError::Missing(in_need)),
        (false, Some(secret)) => {
            let key = mask_key(&secret_text(secret, aws).await?).map_err(SigningError::Invalid)?;
            Ok(catalog.with_mask_key(&key))
        }
    }
}

/// Returns the keys that sign cached receipts. Only a worker with a cache needs them.
///
/// # Errors
/// When there are none.
pub async fn receipt_keys(
    secret: Option<&SecretLocation>,
    aws: &SdkConfig,
) -> Result<ReceiptKeys, SigningError> {
    let secret = secret.ok_or(SigningError::NoReceiptKeys)?;
    parse_receipt_keys(&secret_text(secret, aws).await?).map_err(SigningError::InvalidReceiptKeys)
}

fn mask_key(text: &str) -> Result<MaskKey, &'static str> {
    let secret: SigningSecret = serde_json::from_str(text).map_err(|_| "something else")?;
    let masks = secret.masks.ok_or("no \"masks\"")?;
    let bytes = BASE64_STANDARD.decode(masks).map_err(|_| "\"masks\" that is no base64")?;
    let key: [u8; 32] = bytes.try_into().map_err(|_| "\"masks\" of another length")?;
    Ok(MaskKey::new(key))
}

fn parse_receipt_keys(text: &str) -> Result<ReceiptKeys, &'static str> {
    let secret: SigningSecret = serde_json::from_str(text).map_err(|_| "something else")?;
    let texts = match secret.receipts.ok_or("no \"receipts\"")? {
        OneOrMore::One(text) => vec![text],
        OneOrMore::More(texts) => texts,
    };
    let key = |text: &String| {
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| "\"receipts\" that is no base64")?;
        <[u8; 32]>::try_from(bytes).map_err(|_| "\"receipts\" of another length")
    };
    let mut keys = texts.iter().map(key).collect::<Result<Vec<_>, _>>()?.into_iter();
    let first = keys.next().ok_or("no key in \"receipts\"")?;
    Ok(ReceiptKeys::new(first, keys.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_secret_that_is_wrong_is_refused_without_a_word_of_it() {
        let key = BASE64_STANDARD.encode([7; 32]);
        assert_eq!(mask_key(&format!(r#"{{"masks":"{key}","receipts":"x"}}"#)), Ok(MaskKey::new([7; 32])));
        let short = BASE64_STANDARD.encode([7; 31]);
        for (text, expected) in [
            ("hunter2", "something else"),
            (r#"{"receipts":"hunter2"}"#, "no \"masks\""),
            (r#"{"masks":"hunter2!"}"#, "\"masks\" that is no base64"),
            (&format!(r#"{{"masks":"{short}"}}"#), "\"masks\" of another length"),
        ] {
            assert_eq!(mask_key(text), Err(expected));
        }
    }

    #[test]
    fn receipt_keys_are_one_or_a_list_whose_first_signs() {
        let [one, two, short] =
            [[7; 32].as_slice(), &[8; 32], &[7; 31]].map(|key| BASE64_STANDARD.encode(key));
        let keys = |others| Ok(ReceiptKeys::new([7; 32], others));
        assert_eq!(parse_receipt_keys(&format!(r#"{{"receipts":"{one}"}}"#)), keys(Vec::new()));
        assert_eq!(parse_receipt_keys(&format!(r#"{{"receipts":["{one}","{two}"]}}"#)), keys(vec![[8; 32]]));
        for (text, expected) in [
            ("hunter2", "something else"),
            (r#"{"receipts":7}"#, "something else"),
            (r#"{"masks":"hunter2"}"#, "no \"receipts\""),
            (r#"{"receipts":[]}"#, "no key in \"receipts\""),
            (r#"{"receipts":["hunter2!"]}"#, "\"receipts\" that is no base64"),
            (&format!(r#"{{"receipts":["{one}","{short}"]}}"#), "\"receipts\" of another length"),
        ] {
            assert_eq!(parse_receipt_keys(text), Err(expected), "{text}");
        }
    }
}
