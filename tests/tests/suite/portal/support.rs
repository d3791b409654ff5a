//! A portal's process, and requests to it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use downpipe_tests::eventually;
use downpipe_tests::test_stack::{TestStack, WorkerProcess};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::NamedTempFile;

pub(super) const ALICE: &str = "alice@example.com";
pub(super) const BOB: &str = "bob@example.com";

/// The shop's key: 32 bytes in base64.
pub(super) const KEY: &str = "c2hvcC1rZXktb2YtMzItYnl0ZXMtZm9yLXRlc3RzISE=";

const TABLE: &str = "
    CREATE TABLE orders (id BIGINT PRIMARY KEY, day DATE, customer VARCHAR(80));
    INSERT INTO orders VALUES (1, '2026-01-01', '山田 太郎'), (2, '2026-01-02', NULL), (3, '2026-03-03', 'a')";

const DEFINITION: &str = r#"title = "注文"
sql = "SELECT id, day, customer FROM orders WHERE day >= :from AND day < :to ORDER BY id"
params = { from = { type = "date" }, to = { type = "date" } }
access = { link = "holder" }
output = { filename = "注文-{from}" }
"#;

/// Makes a stack with orders to export.
pub(super) async fn orders() -> TestStack {
    TestStack::new(TABLE, &[("orders", DEFINITION)]).await
}

/// A portal that serves, until it is dropped.
pub(super) struct PortalProcess {
    pub(super) process: WorkerProcess,
    pub(super) url: String,
    _secrets: [NamedTempFile; 2],
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: BTreeMap<String, String>,
    pub(super) text: String,
}

/// Writes the secret of links, which worker and portal share.
pub(super) fn link_secret() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let keys = json!({ "keys": [{ "id": 1, "key": BASE64_STANDARD.encode([1; 32]) }] });
    std::fs::write(file.path(), keys.to_string()).unwrap();
    file
}

impl PortalProcess {
    pub(super) async fn start(test_stack: &TestStack) -> Self {
        Self::start_with(test_stack, &[]).await
    }

    /// Starts a portal with these variables instead of the stack's, and waits until it answers.
    pub(super) async fn start_with(test_stack: &TestStack, variables: &[(&str, &str)]) -> Self {
        let secret = NamedTempFile::new().unwrap();
        let apps = json!({ "apps": { "shop": { "origins": [], "exports": ["orders"], "keys": [
            { "kid": "2026-11", "alg": "HS256", "key": KEY }] } } });
        std::fs::write(secret.path(), apps.to_string()).unwrap();
        let links = link_secret();
        let address = free_address();
        let url = format!("http://{address}");
        let mut command = test_stack.command(&["serve", "--listen", &address]);
        command
            .env("DOWNPIPE_PORTAL_URL", &url)
            .env("DOWNPIPE_PORTAL_SECRET", format!("file:{}", secret.path().display()))
            .env("DOWNPIPE_LINK_SECRET", format!("file:{}", links.path().display()))
            .env("DOWNPIPE_LOGIN", "none")
            .envs(variables.iter().copied());
        let portal = Self { process: WorkerProcess::start(&mut command), url, _secrets: [secret, links] };
        eventually("the portal answers", async || send(Request::get(&portal.url, "/healthz")).await.ok())
            .await;
        portal
    }

    pub(super) async fn get(&self, person: &str, path: &str) -> Answer {
        self.get_with(&token(person, &self.url, KEY), path).await
    }

    pub(super) async fn get_with(&self, token: &str, path: &str) -> Answer {
        get_at(&format!("{}{path}", self.url), token).await
    }

    pub(super) async fn get_if_changed(&self, person: &str, path: &str, etag: &str) -> Answer {
        let request = Request::get(&self.url, path).bearing(&token(person, &self.url, KEY));
        send(request.with("if-none-match", etag)).await.unwrap()
    }

    pub(super) async fn post(&self, person: &str, path: &str, body: &Value) -> Answer {
        post_at(&format!("{}{path}", self.url), &token(person, &self.url, KEY), body).await
    }

    /// Checks that the log has lines, and none with any of these texts.
    pub(super) fn log_names_none_of(&self, texts: &[&str]) {
        let log = self.process.log();
        assert!(log.contains("\"route\":\"/api/v1/jobs/{id}\""), "{log}");
        for text in texts {
            assert!(!log.contains(text), "{text} is in the log:\n{log}");
        }
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// Gets a URL under this token.
pub(super) async fn get_at(url: &str, token: &str) -> Answer {
    send(Request::get(url, "").bearing(token)).await.unwrap()
}

/// Posts JSON to a URL under this token.
pub(super) async fn post_at(url: &str, token: &str, body: &Value) -> Answer {
    let request = Request::get(url, "").bearing(token).with("content-type", "application/json");
    send(Request { body: Some(body.to_string()), ..request }).await.unwrap()
}

/// Fetches a URL without a token, as a browser follows a redirect.
pub(super) async fn fetch(url: &str) -> Answer {
    send(Request::get(url, "")).await.unwrap()
}

/// Presses a button of a page's form.
pub(super) async fn press(url: &str, form: &str) -> Answer {
    let request = Request::get(url, "").with("content-type", "application/x-www-form-urlencoded");
    send(Request { body: Some(form.to_owned()), ..request }).await.unwrap()
}

/// Signs a token of the shop for this person with a key in base64.
pub(super) fn token(person: &str, audience: &str, key: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({ "iss": "shop", "aud": audience, "sub": person, "iat": now, "exp": now + 600 });
    let header = json!({ "alg": "HS256", "kid": "2026-11" });
    let message = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    let key = BASE64_STANDARD.decode(key).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", base64url(mac.finalize().into_bytes()))
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns an address on which nothing listens.
fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

struct Request {
    url: String,
    headers: Vec<(&'static str, String)>,
    /// A request with a body is a POST.
    body: Option<String>,
}

impl Request {
    fn get(url: &str, path: &str) -> Self {
        Self { url: format!("{url}{path}"), headers: Vec::new(), body: None }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn bearing(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }
}

/// Sends a request and follows no redirect.
async fn send(request: Request) -> Result<Answer, ureq::Error> {
    tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build();
        let agent = ureq::Agent::new_with_config(config);
        let mut response = match request.body {
            None => {
                let mut builder = agent.get(&request.url);
                for (name, value) in &request.headers {
                    builder = builder.header(*name, value);
                }
                builder.call()?
            }
            Some(body) => {
                let mut builder = agent.post(&request.url);
                for (name, value) in &request.headers {
                    builder = builder.header(*name, value);
                }
                builder.send(body)?
            }
        };
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        Ok(Answer {
            status: response.status().as_u16(),
            headers,
            text: response.body_mut().read_to_string()?,
        })
    })
    .await
    .unwrap()
}
