//! Parses the portal's secret, and names everything that is wrong without quoting any of it.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use url::Url;

use super::{App, AppKey, PortalSecret};

/// The fewest bytes of a key for HS256: as many as its digest has (RFC 7518, 3.2).
const MIN_HMAC_BYTES: usize = 32;

/// The most keys of an app.
const MAX_KEYS: usize = 2;

/// Everything that is wrong with the secret. It quotes nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSecret(Vec<String>);

impl std::error::Error for InvalidSecret {}

impl fmt::Display for InvalidSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// The secret's JSON. Fields of later versions, such as `sessions`, are left alone.
#[derive(Deserialize)]
struct RawSecret {
    apps: BTreeMap<String, RawApp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApp {
    #[serde(default)]
    origins: Vec<String>,
    exports: Vec<String>,
    keys: Vec<RawKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    kid: String,
    alg: String,
    key: Option<String>,
    public_key: Option<String>,
}

pub(super) fn parse(text: &str) -> Result<PortalSecret, InvalidSecret> {
    let raw: RawSecret = serde_json::from_str(text).map_err(|error| {
        // The error's own words may quote a value.
        let place = format!("line {}, column {}", error.line(), error.column());
        InvalidSecret(vec![format!(
            "expected JSON with apps, each with exports and keys (kid, alg, key or public_key); it is not so at {place}"
        )])
    })?;
    let mut wrong = Vec::new();
    let apps: BTreeMap<String, App> =
        raw.apps.into_iter().map(|(name, raw)| (name.clone(), app(&name, raw, &mut wrong))).collect();
    if wrong.is_empty() { Ok(PortalSecret { apps }) } else { Err(InvalidSecret(wrong)) }
}

fn app(name: &str, raw: RawApp, wrong: &mut Vec<String>) -> App {
    let place = format!("apps.{}", shown(name));
    if !is_name(name) {
        wrong.push(format!("{place}: expected a name of 1 to 64 characters out of a-z, 0-9, _ and -"));
    }
    for (index, origin) in raw.origins.iter().enumerate().filter(|(_, origin)| !is_origin(origin)) {
        let origin = shown(origin);
        wrong.push(format!(
            "{place}.origins[{index}]: expected an origin such as https://shop.example.com, got {origin:?}"
        ));
    }
    if raw.exports.is_empty() {
        wrong.push(format!("{place}.exports: expected the names of definitions, got none"));
    }
    if !(1..=MAX_KEYS).contains(&raw.keys.len()) {
        wrong.push(format!("{place}.keys: expected one or two, got {}", raw.keys.len()));
    }
    let mut keys: Vec<AppKey> = Vec::new();
    for (index, raw) in raw.keys.into_iter().enumerate() {
        match app_key(raw) {
            Ok(key) if keys.iter().any(|other| other.kid == key.kid) => {
                wrong
                    .push(format!("{place}.keys[{index}].kid: expected another than that of the key before"));
            }
            Ok(key) => keys.push(key),
            Err(reason) => wrong.push(format!("{place}.keys[{index}].{reason}")),
        }
    }
    App { origins: raw.origins, exports: raw.exports, keys }
}

fn app_key(raw: RawKey) -> Result<AppKey, String> {
    if raw.kid.is_empty() || raw.kid.len() > 64 {
        return Err("kid: expected 1 to 64 characters".to_owned());
    }
    let public = |name: &str| {
        let pem = raw.public_key.as_deref().filter(|_| raw.key.is_none());
        pem.ok_or_else(|| format!("public_key: expected the public key of {name} as PEM, and no key"))
    };
    let of_pem = |name: &str, read: fn(&[u8]) -> jsonwebtoken::errors::Result<DecodingKey>| {
        let key = read(public(name)?.as_bytes());
        key.map_err(|_| format!("public_key: expected the public key of {name} as PEM, got something else"))
    };
    let (algorithm, key) = match raw.alg.as_str() {
        "HS256" => (Algorithm::HS256, hmac_key(raw.key.as_deref().filter(|_| raw.public_key.is_none()))?),
        "ES256" => (Algorithm::ES256, of_pem("ES256", DecodingKey::from_ec_pem)?),
        "EdDSA" => (Algorithm::EdDSA, of_pem("EdDSA", DecodingKey::from_ed_pem)?),
        "RS256" => (Algorithm::RS256, of_pem("RS256", DecodingKey::from_rsa_pem)?),
        _ => return Err("alg: expected HS256, ES256, EdDSA or RS256, got something else".to_owned()),
    };
    Ok(AppKey { kid: raw.kid, algorithm, key })
}

fn hmac_key(text: Option<&str>) -> Result<DecodingKey, String> {
    let text = text.ok_or("key: expected a key for HS256 in base64, and no public_key")?;
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| "key: expected base64, got something else")?;
    if bytes.len() < MIN_HMAC_BYTES {
        return Err(format!("key: expected {MIN_HMAC_BYTES} bytes or more, got {}", bytes.len()));
    }
    DecodingKey::from_secret(&bytes)
        .map_err(|_| "key: expected a key for HS256, got something else".to_owned())
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

/// Returns whether a text is an origin as browsers send it: with a scheme, a host, and a port if it is not the usual one.
fn is_origin(text: &str) -> bool {
    let origin = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    origin.is_some_and(|url| url.origin().ascii_serialization() == text)
}

/// Returns a name for an error. Names and origins are no secrets.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse(text).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn secret_with_an_app_is_read() {
        let key = BASE64_STANDARD.encode([7; 32]);
        let secret = parse(&format!(
            r#"{{"sessions":[],"apps":{{"shop":{{"origins":["https://shop.example.com","http://localhost:8081"],
                "exports":["orders"],"keys":[{{"kid":"2026-11","alg":"HS256","key":"{key}"}}]}}}}}}"#
        ))
        .unwrap();
        let app = secret.app("shop").unwrap();
        assert_eq!(app.key("2026-11").map(|key| key.algorithm), Some(Algorithm::HS256));
        assert!(app.key("2026-12").is_none() && secret.app("other").is_none());
        assert!(secret.lists_origin("https://shop.example.com"));
        assert!(!secret.lists_origin("https://shop.example.com.evil.example"));
        assert!(!format!("{secret:?}").contains("[7"), "{secret:?}");
    }

    #[test]
    fn secret_that_is_wrong_is_refused_naming_all_without_a_word_of_its_keys() {
        let short = BASE64_STANDARD.encode([7; 16]);
        let text = format!(
            r#"{{"apps":{{"Shop":{{"origins":["https://shop.example.com/"],"exports":[],"keys":[
                {{"kid":"a","alg":"HS256","key":"{short}"}},{{"kid":"b","alg":"ES256","key":"hunter2"}}]}},
                "none":{{"exports":["a"],"keys":[]}},
                "pem":{{"exports":["a"],"keys":[{{"kid":"c","alg":"RS256","public_key":"hunter2"}},
                {{"kid":"c","alg":"none"}}]}}}}}}"#
        );
        let refusal = refusal(&text);
        insta::assert_snapshot!(refusal.replace("; ", ";\n"), @r#"
        apps.Shop: expected a name of 1 to 64 characters out of a-z, 0-9, _ and -;
        apps.Shop.origins[0]: expected an origin such as https://shop.example.com, got "https://shop.example.com/";
        apps.Shop.exports: expected the names of definitions, got none;
        apps.Shop.keys[0].key: expected 32 bytes or more, got 16;
        apps.Shop.keys[1].public_key: expected the public key of ES256 as PEM, and no key;
        apps.none.keys: expected one or two, got 0;
        apps.pem.keys[0].public_key: expected the public key of RS256 as PEM, got something else;
        apps.pem.keys[1].alg: expected HS256, ES256, EdDSA or RS256, got something else
        "#);
    }

    #[test]
    fn text_that_is_no_secret_is_not_quoted() {
        for text in ["hunter2", r#"{"apps":{"shop":"hunter2"}}"#, r#"{"apps":{"shop":{"hunter2":1}}}"#] {
            let refusal = refusal(text);
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }
}
