//! The portal deployed at MiniStack from `infra/portal.yaml`, beside a worker, and called through its function's URL.

use std::path::{Path, PathBuf};

use downpipe_core::job::JobState;
use downpipe_tests::deployment::{Downpipe, job_in_state};
use downpipe_tests::{STACK, unique};
use serde_json::json;
use xtask::deploy::{Deployment, Effort, PortalOptions, delete_portal, deploy_portal, package};

use super::support::{ALICE, Answer, KEY, get_at, post_at, token};

/// The audience of tokens. Here nothing answers at it.
/// 32 bytes in base64.
const KEY_OF_LINKS: &str = "bGluay1rZXktb2YtMzItYnl0ZXMtZm9yLXRlc3RzISE=";

const URL: &str = "https://exports.example.com";

const ORDERS: &str = "
    CREATE TABLE orders (id BIGINT PRIMARY KEY, created_at DATETIME, customer VARCHAR(80), total DECIMAL(12,2), note TEXT);
    INSERT INTO orders VALUES (1, '2026-01-02', 'a', 1.00, NULL)";

/// A deployed portal.
struct Portal {
    deployment: Deployment,
    url: String,
}

impl Portal {
    /// Deploys a portal beside this worker.
    async fn beside(downpipe: &Downpipe) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("portal.zip");
        let bin = std::env::var_os("DOWNPIPE_TEST_BIN_DIR").map(PathBuf::from);
        let bootstrap = bin.expect("cargo xtask test says where it is").join("portal-bootstrap");
        let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("exports");
        let (worker, database_url) = (downpipe.deployment().clone(), downpipe.database.url.clone());
        let secret = json!({ "apps": { "shop": {
            "exports": ["orders"], "keys": [{ "kid": "2026-11", "alg": "HS256", "key": KEY }] } } });
        let links = json!({ "keys": [{ "id": 1, "key": KEY_OF_LINKS }] });
        let deploying = tokio::task::spawn_blocking(move || {
            package(&bootstrap, &exports, &zip, Effort::Fast).unwrap();
            let options = PortalOptions {
                stack_name: &unique("portal"),
                package: &zip,
                worker: &worker,
                url: URL,
                secret: &secret,
                links: &links,
                database_url: &database_url,
                prefix: "files",
            };
            let deployment = deploy_portal(&STACK, &options).unwrap();
            drop(folder);
            deployment
        });
        let deployment = deploying.await.unwrap();
        // On AWS a host of its own; MiniStack has it under a path, too.
        let host = deployment.output("FunctionUrl").unwrap().split("://").nth(1).unwrap().to_owned();
        let id = host.split('.').next().unwrap();
        let url = format!("{}/_aws/lambda-url/{id}", STACK.aws_endpoint_url);
        Self { deployment, url }
    }

    async fn get(&self, path: &str) -> Answer {
        get_at(&format!("{}{path}", self.url), &token(ALICE, URL, KEY)).await
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        drop(delete_portal(&STACK, &self.deployment));
    }
}

#[tokio::test]
async fn deployed_portal_answers_at_its_url_and_its_click_becomes_a_file() {
    let downpipe = Downpipe::deploy(ORDERS).await;
    let portal = Portal::beside(&downpipe).await;
    let health = portal.get("/healthz").await;
    assert_eq!((health.status, health.text.as_str()), (200, r#"{"status":"ok"}"#), "{health:?}");
    let exports = portal.get("/api/v1/exports").await;
    assert_eq!(exports.json()["exports"][0]["name"], "orders", "{exports:?}");
    let refused = get_at(&format!("{}/api/v1/exports", portal.url), "x").await;
    assert_eq!(refused.status, 401, "{refused:?}");
    let script = portal.get("/embed/v1/downpipe-button.js").await;
    assert!(script.text.contains("customElements.define"), "{script:?}");
    let body = json!({ "params": { "from": "2026-01-01", "to": "2026-02-01" } });
    let url = format!("{}/api/v1/exports/orders/jobs", portal.url);
    let job = post_at(&url, &token(ALICE, URL, KEY), &body).await;
    assert_eq!(job.status, 202, "{job:?}");
    let ready = job_in_state(&downpipe, JobState::Ready).await;
    assert_eq!(job.json()["id"], ready.id.as_str());
}
