//! The link of a notice: the secret with its keys, and the URL.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use downpipe_core::job::Job;
use downpipe_core::link::{LinkKey, LinkKeys};
use serde::Deserialize;

use crate::kept_secret::{KeptSecret, SecretForm};

/// What makes the links of notices.
#[derive(Debug)]
pub struct Links {
    /// Where the portal is, without a slash at its end.
    pub portal_url: String,
    /// The keys that sign them.
    pub keys: KeptSecret<LinkKeys>,
}

impl Links {
    /// Returns the URL of a job's page that needs no login of its own. `None` for a job that has not ended.
    pub async fn url_of(&self, job: &Job) -> Option<String> {
        let token = self.keys.current().await.token_of(job)?;
        Some(format!("{}/l/{token}", self.portal_url))
    }
}

/// What is wrong with the secret of links. It quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected JSON {{ \"keys\": [{{ \"id\": 0 to 255, \"key\": \"32 bytes in base64\" }}] }}, each id once, got {0}"
)]
pub struct InvalidLinkKeys(&'static str);

#[derive(Deserialize)]
struct LinkSecret {
    keys: Vec<RawKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    id: u8,
    key: String,
}

impl SecretForm for LinkKeys {
    const VARIABLE: &'static str = "DOWNPIPE_LINK_SECRET";
    type Invalid = InvalidLinkKeys;

    fn parse(text: &str) -> Result<Self, InvalidLinkKeys> {
        let secret: LinkSecret = serde_json::from_str(text).map_err(|_| InvalidLinkKeys("something else"))?;
        let mut keys = secret.keys.into_iter().map(key).collect::<Result<Vec<_>, _>>()?.into_iter();
        let first = keys.next().ok_or(InvalidLinkKeys("no key"))?;
        LinkKeys::new(first, keys.collect()).ok_or(InvalidLinkKeys("two keys of one id"))
    }
}

fn key(raw: RawKey) -> Result<LinkKey, InvalidLinkKeys> {
    let bytes = BASE64_STANDARD.decode(raw.key).map_err(|_| InvalidLinkKeys("a key that is no base64"))?;
    let key = bytes.try_into().map_err(|_| InvalidLinkKeys("a key of another length"))?;
    Ok(LinkKey { id: raw.id, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_key_of_the_secret_signs_and_every_one_verifies() {
        let [one, two] = [[1; 32], [2; 32]].map(|key| BASE64_STANDARD.encode(key));
        let text = format!(r#"{{"keys":[{{"id":2,"key":"{two}"}},{{"id":1,"key":"{one}"}}]}}"#);
        let key = |id: u8| LinkKey { id, key: [id; 32] };
        assert_eq!(LinkKeys::parse(&text), Ok(LinkKeys::new(key(2), vec![key(1)]).unwrap()));
    }

    #[test]
    fn secret_of_links_that_is_wrong_is_refused_without_a_word_of_it() {
        let good = BASE64_STANDARD.encode([1; 32]);
        let short = BASE64_STANDARD.encode([1; 31]);
        for (text, expected) in [
            ("hunter2", "something else"),
            (r#"{"keys":"hunter2"}"#, "something else"),
            (r#"{"keys":[{"id":256,"key":"hunter2"}]}"#, "something else"),
            (r#"{"keys":[]}"#, "no key"),
            (r#"{"keys":[{"id":1,"key":"hunter2!"}]}"#, "a key that is no base64"),
            (&format!(r#"{{"keys":[{{"id":1,"key":"{short}"}}]}}"#), "a key of another length"),
            (
                &format!(r#"{{"keys":[{{"id":1,"key":"{good}"}},{{"id":1,"key":"{good}"}}]}}"#),
                "two keys of one id",
            ),
        ] {
            let error = LinkKeys::parse(text).unwrap_err();
            assert_eq!(error, InvalidLinkKeys(expected), "{text}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
