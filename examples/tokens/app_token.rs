//! Signs a token of an app: `cargo run --example app_token alice@example.com`

use std::env;
use std::error::Error;
use std::io::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::json;

fn base64url(data: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(data)
}

fn token(person: &str) -> Result<String, Box<dyn Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let header = json!({ "alg": "HS256", "kid": env::var("APP_KID")? });
    let claims = json!({
        "iss": env::var("APP")?, "aud": env::var("PORTAL")?, "sub": person, "iat": now, "exp": now + 300,
    });
    let message = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(env::var("APP_KEY")?)?);
    Ok(format!("{message}.{}", base64url(hmac::sign(&key, message.as_bytes()))))
}

fn main() -> Result<(), Box<dyn Error>> {
    let person = env::args().nth(1).ok_or("expected an address")?;
    Ok(writeln!(io::stdout(), "{}", token(&person)?)?)
}
