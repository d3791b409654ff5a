//! Tokens that are good, and every way in which they are not.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use downpipe_app::kept_secret::SecretForm as _;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;

const URL: &str = "https://exports.example.com";

/// What comes before a public key in DER (RFC 5480, RFC 8410).
const P256: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
const ED25519: &str = "302a300506032b6570032100";

/// An app's server with a key of every kind that can be made here.
struct Shop {
    hmac: [u8; 32],
    ecdsa: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    secret: PortalSecret,
}

fn pem(prefix: &str, key: &[u8]) -> String {
    let der = [hex::decode(prefix).unwrap().as_slice(), key].concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der))
}

impl Shop {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let ecdsa = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
        let key = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let ed25519 = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
        let hmac = [7; 32];
        let secret = json!({ "apps": {
            "shop": { "exports": ["orders", "refunds"], "keys": [
                { "kid": "h", "alg": "HS256", "key": BASE64_STANDARD.encode(hmac) },
                { "kid": "e", "alg": "ES256", "public_key": pem(P256, ecdsa.public_key().as_ref()) },
            ] },
            "other": { "exports": ["orders"], "keys": [
                { "kid": "d", "alg": "EdDSA", "public_key": pem(ED25519, ed25519.public_key().as_ref()) },
            ] },
        } });
        let secret = PortalSecret::parse(&secret.to_string()).unwrap();
        Self { hmac, ecdsa, ed25519, secret }
    }

    /// Signs with the key of this name. Any other name signs with that for HS256.
    fn sign(&self, key: &str, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = match key {
            "e" => self.ecdsa.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
            "d" => self.ed25519.sign(message.as_bytes()).as_ref().to_vec(),
            _ => hmac_sha256(&self.hmac, &message),
        };
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn verify(&self, token: &str) -> Result<Verified, InvalidToken> {
        verify(token, &self.secret, URL)
    }

    /// Verifies a token for HS256 whose claims differ from good ones in this.
    fn with_claims(&self, change: Value) -> Result<Verified, InvalidToken> {
        self.verify(&self.sign("h", &json!({ "alg": "HS256", "kid": "h" }), &claims(change)))
    }
}

fn hmac_sha256(key: &[u8], message: &str) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
    ring::hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
}

/// Returns good claims with a change. A claim that is null is left out.
fn claims(change: Value) -> Value {
    let now = Timestamp::now().as_second();
    let mut claims =
        json!({ "iss": "shop", "aud": URL, "sub": "Alice@example.com", "iat": now, "exp": now + 600 });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn reason(result: Result<Verified, InvalidToken>) -> &'static str {
    result.map(|verified| panic!("expected a refusal, got {verified:?}")).unwrap_err().0
}

#[test]
fn token_of_every_algorithm_is_verified() {
    let shop = Shop::new();
    for (kid, algorithm, app) in [("h", "HS256", "shop"), ("e", "ES256", "shop"), ("d", "EdDSA", "other")] {
        let token = shop.sign(
            kid,
            &json!({ "alg": algorithm, "kid": kid, "typ": "JWT" }),
            &claims(json!({ "iss": app })),
        );
        let verified = shop.verify(&token).unwrap_or_else(|reason| panic!("{algorithm}: {reason:?}"));
        assert_eq!((verified.app.as_str(), verified.requester.as_str()), (app, "alice@example.com"));
    }
}

/// Its signature was made by `openssl dgst -sha256 -sign`, with a key that is gone.
#[test]
fn signature_of_rsa_is_verified() {
    signature::install();
    let key = jsonwebtoken::DecodingKey::from_rsa_pem(include_bytes!("rsa_public.pem")).unwrap();
    let signed = include_str!("rsa_signature.txt").trim();
    let verify = |message: &[u8]| {
        jsonwebtoken::crypto::verify(signed, message, &key, jsonwebtoken::Algorithm::RS256).unwrap()
    };
    assert!(verify(b"header.claims"));
    assert!(!verify(b"header.claimz"));
}

#[test]
fn token_limits_exports_and_fixes_parameters() {
    let shop = Shop::new();
    let verified = shop.with_claims(json!({})).unwrap();
    assert_eq!((verified.exports.len(), verified.params.len()), (2, 0));
    let limited =
        json!({ "exports": ["refunds", "payroll"], "params": { "customer": 9_007_199_254_740_993_u64 } });
    let verified = shop.with_claims(limited).unwrap();
    assert_eq!(verified.exports, ["refunds"], "an app gives no more than it has");
    assert_eq!(verified.params["customer"].get(), "9007199254740993");
    assert_eq!(shop.with_claims(json!({ "exports": [] })).unwrap().exports, [""; 0]);
}

#[test]
fn token_with_wrong_claims_is_refused() {
    let shop = Shop::new();
    let now = Timestamp::now().as_second();
    for (change, expected) in [
        (json!({ "exp": now - 6, "iat": now - 60 }), "it has expired"),
        (json!({ "exp": now + 601 }), "exp is not within 600 seconds after iat"),
        (json!({ "exp": now + 50, "iat": now + 60 }), "iat is in the future"),
        (json!({ "iat": now - 1000, "exp": now + 10 }), "exp is not within 600 seconds after iat"),
        (json!({ "nbf": now + 60 }), "nbf is in the future"),
        (json!({ "aud": "https://other.example.com" }), "aud is not this portal"),
        (json!({ "aud": null }), "exp, aud or sub is missing"),
        (json!({ "exp": null }), "a claim is missing or of another type"),
        (json!({ "iat": null }), "a claim is missing or of another type"),
        (json!({ "exp": "soon" }), "a claim is missing or of another type"),
        (json!({ "sub": null }), "a claim is missing or of another type"),
        (json!({ "sub": "operator" }), "sub is no e-mail address"),
        (json!({ "sub": "alice" }), "sub is no e-mail address"),
        (json!({ "iss": null }), "iss is missing"),
        (json!({ "iss": "other" }), "iss and kid name no key that is known"),
        (json!({ "iss": "unlisted" }), "iss and kid name no key that is known"),
        (json!({ "exports": "orders" }), "a claim is missing or of another type"),
        (json!({ "params": [1] }), "a claim is missing or of another type"),
    ] {
        assert_eq!(reason(shop.with_claims(change.clone())), expected, "{change}");
    }
    shop.with_claims(json!({ "iat": now + 3, "exp": now + 600 })).unwrap();
    shop.with_claims(json!({ "aud": ["https://other.example.com", URL] })).unwrap();
}

#[test]
fn token_with_another_algorithm_or_key_is_refused() {
    let shop = Shop::new();
    let good = claims(json!({}));
    let headers = [
        (json!({ "alg": "HS256", "kid": "x" }), "iss and kid name no key that is known"),
        (json!({ "alg": "HS256" }), "iss and kid name no key that is known"),
        (json!({ "alg": "HS512", "kid": "h" }), "alg is not that of its key"),
        (json!({ "alg": "HS256", "kid": "e" }), "alg is not that of its key"),
        (json!({ "alg": "none", "kid": "h" }), "it is no JWT of a known algorithm"),
        (json!({ "alg": "HS256", "kid": "h", "crit": ["exp"] }), "its header has critical extensions"),
    ];
    for (header, expected) in headers {
        assert_eq!(reason(shop.verify(&shop.sign("h", &header, &good))), expected, "{header}");
    }
    let header = json!({ "alg": "ES256", "kid": "e" });
    assert_eq!(reason(shop.verify(&shop.sign("h", &header, &good))), "its signature is wrong");
}

#[test]
fn public_key_used_as_a_secret_is_refused() {
    let shop = Shop::new();
    let public = pem(P256, shop.ecdsa.public_key().as_ref());
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({ "alg": "HS256", "kid": "e" })), part(&claims(json!({}))));
    for key in [public.as_bytes(), shop.ecdsa.public_key().as_ref()] {
        let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256(key, &message));
        assert_eq!(reason(shop.verify(&format!("{message}.{signature}"))), "alg is not that of its key");
    }
}

#[test]
fn token_that_was_changed_or_cut_is_refused() {
    let shop = Shop::new();
    let token = shop.sign("h", &json!({ "alg": "HS256", "kid": "h" }), &claims(json!({})));
    let [header, body, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other = BASE64_URL_SAFE_NO_PAD.encode(claims(json!({ "sub": "bob@example.com" })).to_string());
    assert_eq!(reason(shop.verify(&format!("{header}.{other}.{signature}"))), "its signature is wrong");
    assert_eq!(reason(shop.verify(&format!("{header}.{body}."))), "its signature is wrong");
    for text in ["", "a", "a.b.c", &format!("{header}.{body}"), &format!("{token}.{signature}"), &token[1..]]
    {
        shop.verify(text).map(|verified| panic!("{text}: {verified:?}")).unwrap_err();
    }
}
