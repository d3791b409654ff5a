//! The example of the API's document, run as it stands there.

use std::process::Command;

use downpipe_tests::sha256::hex as sha256;
use serde_json::Value;

use super::support::{KEY, PortalProcess, orders};

const DOCUMENT: &str = include_str!("../../../../docs/api.md");

#[tokio::test]
async fn example_of_the_document_downloads_the_file() {
    let test_stack = orders().await;
    let portal = PortalProcess::start(&test_stack).await;
    let _worker = test_stack.worker(&[]);
    let script = DOCUMENT.split("```sh\n").nth(1).unwrap().split("```").next().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-eu", "-c", &script]).current_dir(folder.path()).env("PORTAL", &portal.url).env("KEY", KEY);
    let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("{\"exports\":[{\"name\":\"orders\""), "{stdout}");
    let file = std::fs::read(folder.path().join("orders.csv")).unwrap();
    assert_eq!(String::from_utf8_lossy(&file), "id,day,customer\n1,2026-01-01,山田 太郎\n2,2026-01-02,\n");
    let receipt = std::fs::read(folder.path().join("receipt.json")).unwrap();
    let receipt: Value = serde_json::from_slice(&receipt).unwrap();
    assert_eq!(receipt["files"][0]["sha256"], sha256(&file));
    assert!(stdout.contains(&sha256(&file)), "{stdout}");
}
