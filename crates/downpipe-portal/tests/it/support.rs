//! A portal on fakes, its callers, and their tokens.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use downpipe_app::kept_secret::{KeptSecret, SecretForm as _};
use downpipe_core::cache::JobCache;
use downpipe_core::catalog::{Catalog, DefinitionFile};
use downpipe_core::job::{Failure, JobId, NewJob, Receipt};
use downpipe_core::ledger::{Claim, Lease, Ledger};
use downpipe_core::link::{LinkKey, LinkKeys};
use downpipe_core::message::Message;
use downpipe_core::testing::{MemoryCache, MemoryJobTable, MemoryStore, RecordingQueue};
use downpipe_portal::router::router;
use downpipe_portal::{Histories, Portal, PortalSecret, Ports, RequestLimits, SecretStore, Watched};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// Where the portal is.
pub(crate) const URL: &str = "https://exports.example.com";

/// The origin of the shop's pages.
pub(crate) const ORIGIN: &str = "https://shop.example.com";

pub(crate) const ALICE: &str = "alice@example.com";
pub(crate) const BOB: &str = "bob@example.com";
pub(crate) const MALLORY: &str = "mallory@other.example";
pub(crate) const OPERATOR: &str = "ops@example.com";

/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(60);

const DEFINITIONS: [(&str, &str); 3] = [
    (
        "orders.toml",
        r#"title = "Orders"
description = "Every order of a period."
time_zone = "Asia/Tokyo"
sql = "SELECT id FROM orders WHERE day >= :from AND (:status IS NULL OR status = :status) AND (:customer IS NULL OR customer = :customer)"
params = { from = { type = "date", label = "From", help = "The first day." }, status = { type = "string", one_of = ["open", "closed"], required = false }, customer = { type = "integer", required = false, locked = true } }
access = { requesters = ["*@example.com"], link = "holder" }
output = { filename = "orders-{from}" }
ja = { title = "注文", params = { from = { label = "開始日" } } }
"#,
    ),
    (
        "payroll.toml",
        "title = \"Payroll\"\nsql = \"SELECT 1\"\naccess = { requesters = [\"ops@example.com\"] }\n",
    ),
    ("stock.toml", "title = \"Stock\"\nsql = \"SELECT 2\"\n"),
];

pub(crate) enum TestPorts {}

impl Ports for TestPorts {
    type Table = MemoryJobTable;
    type Queue = RecordingQueue;
    type Store = MemoryStore;
    type Cache = MemoryCache;
}

/// A portal and what it stands on.
pub(crate) struct TestPortal {
    pub(crate) portal: Arc<Portal<TestPorts>>,
    router: Router,
    hmac: [u8; 32],
    ecdsa: EcdsaKeyPair,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl TestPortal {
    /// Makes a portal that counts no requests.
    pub(crate) fn new() -> Self {
        Self::with_requests_per_second(NonZeroU32::MAX)
    }

    /// Makes a portal on which a person may make so many requests a second.
    pub(crate) fn with_requests_per_second(per_second: NonZeroU32) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let ecdsa = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
        let hmac = [7; 32];
        let portal = Arc::new(Portal::<TestPorts> {
            catalog: catalog(),
            ledger: Ledger::new(MemoryJobTable::new()),
            queue: RecordingQueue::new(),
            store: MemoryStore::new(),
            cache: JobCache::new(MemoryCache::default(), None),
            secrets: SecretStore::fixed(secret(&hmac, &ecdsa)),
            links: KeptSecret::fixed(link_keys()),
            url: URL.to_owned(),
            operators: vec![OPERATOR.parse().unwrap()],
            jobs_per_person: 3,
            download_time: Duration::from_secs(300),
            limits: RequestLimits::new(per_second),
            histories: Histories::new(),
            watched: Watched::new(),
        });
        Self { router: router(Arc::clone(&portal)), portal, hmac, ecdsa }
    }

    /// Sends a request to the portal.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// Gets a path as this person.
    pub(crate) async fn get(&self, person: &str, path: &str) -> Answer {
        self.send(self.request(Method::GET, path, person).body(Body::empty()).unwrap()).await
    }

    /// Posts JSON to a path as this person.
    pub(crate) async fn post(&self, person: &str, path: &str, body: &Value) -> Answer {
        self.send(self.json(person, path).body(Body::from(body.to_string())).unwrap()).await
    }

    /// Posts JSON to a path under this token.
    pub(crate) async fn post_with(&self, token: &str, path: &str, body: &Value) -> Answer {
        let request =
            Request::builder().method(Method::POST).uri(path).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {token}"));
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Begins a request of this person.
    pub(crate) fn request(&self, method: Method, path: &str, person: &str) -> axum::http::request::Builder {
        let token = self.token(json!({ "sub": person }));
        Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"))
    }

    /// Begins a request of this person with a body of JSON.
    pub(crate) fn json(&self, person: &str, path: &str) -> axum::http::request::Builder {
        self.request(Method::POST, path, person).header("content-type", "application/json")
    }

    /// Signs a token whose claims differ from good ones in this.
    pub(crate) fn token(&self, change: Value) -> String {
        self.sign(&json!({ "alg": "HS256", "kid": "h" }), &claims(change))
    }

    /// Signs with the key for HS256, or for ES256 if the header says so.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = if header["alg"] == "ES256" {
            self.ecdsa.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec()
        } else {
            hmac_sha256(&self.hmac, &message)
        };
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// Signs a token for HS256 with the public key for ES256, which is no secret.
    pub(crate) fn signed_with_the_public_key(&self) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "HS256", "kid": "e" });
        let message = format!("{}.{}", part(&header), part(&claims(json!({}))));
        let signature = hmac_sha256(public_pem(&self.ecdsa).as_bytes(), &message);
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// Asks for orders as this person, and returns the job's id.
    pub(crate) async fn job_of(&self, person: &str, from: &str) -> String {
        let body = json!({ "params": { "from": from } });
        let answer = self.post(person, "/api/v1/exports/orders/jobs", &body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Records a message of this person on the queue, and returns the job's id.
    pub(crate) async fn recorded_job_of(&self, person: &str) -> String {
        let body = json!({ "export": "orders", "params": { "from": "2026-01-01" }, "requested_by": person });
        let job = NewJob::of(&Message::parse(&body.to_string()), "m-1", &body.to_string()).unwrap();
        self.portal.ledger.accept(&job).await.unwrap().to_string()
    }

    /// Begins an attempt at a job, as a worker does.
    pub(crate) async fn claim(&self, id: &str) -> Lease {
        let id: JobId = id.parse().unwrap();
        match self.portal.ledger.claim(&id, "worker", LEASE).await.unwrap() {
            Claim::Granted(lease, _) => lease,
            other => panic!("expected a lease, got {other:?}"),
        }
    }

    /// Makes a job ready, with two files that are kept for a week.
    pub(crate) async fn make_ready(&self, id: &str) -> Receipt {
        let lease = self.claim(id).await;
        let receipt = receipt(id, Timestamp::now() + Duration::from_secs(7 * 24 * 3600));
        self.portal.ledger.ready(&lease, &receipt).await.unwrap();
        receipt
    }

    /// Lets a job fail.
    pub(crate) async fn make_fail(&self, id: &str) {
        let lease = self.claim(id).await;
        let failure = Failure {
            for_operator: true,
            detail: Some("SELECT secret".to_owned()),
            ..Failure::new("query_failed").with("error", 1054)
        };
        self.portal.ledger.fail(&lease, &failure).await.unwrap();
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Returns the code of a problem, and checks that it is one.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        assert_eq!(body["request_id"], self.header("x-request-id"));
        body["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned()
    }

    /// Returns the wrong fields of a problem.
    pub(crate) fn wrong_fields(&self) -> Vec<String> {
        assert_eq!(self.problem(), "wrong-values", "{self:?}");
        let errors = self.json()["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns the body without the request's number, in which alone two refusals may differ.
    pub(crate) fn without_number(&self) -> String {
        self.text.replace(self.header("x-request-id"), "NUMBER")
    }
}

/// Returns good claims with a change.
pub(crate) fn claims(change: Value) -> Value {
    let now = Timestamp::now().as_second();
    let mut claims = json!({ "iss": "shop", "aud": URL, "sub": ALICE, "iat": now, "exp": now + 600 });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// The keys of links: the first signs, and the other is being replaced.
pub(crate) fn link_keys() -> LinkKeys {
    LinkKeys::new(LinkKey { id: 2, key: [2; 32] }, vec![LinkKey { id: 1, key: [1; 32] }]).unwrap()
}

pub(crate) fn catalog() -> Catalog {
    let file = |(file, text): (&str, &str)| DefinitionFile { file: file.to_owned(), text: text.to_owned() };
    Catalog::parse(&DEFINITIONS.map(file)).unwrap()
}

fn secret(hmac: &[u8], ecdsa: &EcdsaKeyPair) -> PortalSecret {
    let secret = json!({ "apps": {
        "shop": { "origins": [ORIGIN], "exports": ["orders", "payroll"], "keys": [
            { "kid": "h", "alg": "HS256", "key": BASE64_STANDARD.encode(hmac) },
            { "kid": "e", "alg": "ES256", "public_key": public_pem(ecdsa) },
        ] },
        "warehouse": { "origins": ["https://warehouse.example.com"], "exports": ["stock"], "keys": [
            { "kid": "h", "alg": "HS256", "key": BASE64_STANDARD.encode(hmac) },
        ] },
    } });
    PortalSecret::parse(&secret.to_string()).unwrap()
}

fn public_pem(key: &EcdsaKeyPair) -> String {
    let der = [
        hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap().as_slice(),
        key.public_key().as_ref(),
    ]
    .concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der))
}

fn hmac_sha256(key: &[u8], message: &str) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
    ring::hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
}

/// Returns the receipt of a job with two files.
pub(crate) fn receipt(id: &str, expires_at: Timestamp) -> Receipt {
    let file = |n: u32| {
        json!({ "file_name": format!("注文-{n}.csv"), "address": format!("memory://files/orders/{id}/{n}.csv"),
            "rows": n, "bytes": 10 * n, "sha256": format!("{n}").repeat(64), "crc64nvme": "AAAAAAAAAAA=" })
    };
    serde_json::from_value(json!({
        "job_id": id, "attempt": 1, "export": "orders", "title": "Orders", "definition_sha256": catalog().get("orders").unwrap().sha256,
        "params": { "from": "2026-01-01", "status": null, "customer": null }, "requested_by": ALICE,
        "as_of": "2026-01-02T03:04:05Z", "completed_at": "2026-01-02T03:04:06Z", "expires_at": expires_at.to_string(),
        "format": "csv", "profile": "plain", "compression": "none", "columns": ["id"], "rows": 3, "bytes": 30,
        "files": [file(1), file(2)], "changes": {}, "continued": false,
    }))
    .unwrap()
}
