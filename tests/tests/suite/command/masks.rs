//! Tests masks by hash, whose key is outside the catalog.

use downpipe_tests::database::TestDatabase;

use super::Shell;

/// The HMAC of `42` under 32 bytes of 7, computed with Python.
const PSEUDONYM: &str = "c375c508be09c2d7595d823c178833918c15527d00c6e4a42bbff11914d750c6";
const SECRET: &str = r#"{"masks":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="}"#;

async fn shell() -> (TestDatabase, Shell) {
    let database = TestDatabase::create().await;
    let shell = Shell::on(&database);
    let toml = "title = \"T\"\nsql = \"SELECT 42 AS customer\"\n[columns.customer]\nmask = \"hash\"\n";
    std::fs::write(shell.path("exports/masked.toml"), toml).unwrap();
    (database, shell)
}

#[tokio::test]
async fn mask_by_hash_without_a_secret_is_refused_and_the_variable_named() {
    let (_database, shell) = shell().await;
    let said = shell.run(&["run", "masked"]).refused(2);
    assert_eq!(
        said,
        "downpipe: DOWNPIPE_SIGNING_SECRET: expected a secret with the key of masks, because of columns that are masked by hash in \
         masked, got nothing\n"
    );
    let shell = shell.with("DOWNPIPE_SIGNING_SECRET", "file:nowhere.json");
    let said = shell.run(&["run", "masked"]).refused(2);
    assert!(said.contains("DOWNPIPE_SIGNING_SECRET: the file nowhere.json cannot be read"), "{said}");
    std::fs::write(shell.path("nowhere.json"), r#"{"masks":"hunter2"}"#).unwrap();
    let said = shell.run(&["run", "masked"]).refused(2);
    assert!(said.contains("DOWNPIPE_SIGNING_SECRET: expected JSON") && !said.contains("hunter2"), "{said}");
    assert_eq!(shell.run(&["check"]).code, Some(0), "a catalog is checked without keys");
}

#[tokio::test]
async fn mask_by_hash_is_an_hmac_under_a_key_from_file_or_secret() {
    let (_database, shell) = shell().await;
    std::fs::write(shell.path("keys.json"), SECRET).unwrap();
    let secret = downpipe_tests::aws::secret(&downpipe_tests::aws::localstack().await, SECRET).await;
    let shell = shell.with("DOWNPIPE_SIGNING_SECRET", "file:keys.json");
    assert_eq!(shell.run(&["run", "masked"]).printed(), format!("customer\n{PSEUDONYM}\n"));
    let shell = shell.with("DOWNPIPE_SIGNING_SECRET", &secret);
    assert_eq!(shell.run(&["run", "masked"]).printed(), format!("customer\n{PSEUDONYM}\n"));
}

#[tokio::test]
async fn worker_without_a_key_for_masks_does_not_start() {
    let definition = ("masked", "title = \"T\"\nsql = \"SELECT 42 AS c\"\n[columns.c]\nmask = \"hash\"\n");
    let test_stack = downpipe_tests::test_stack::TestStack::new("", &[definition]).await;
    let ended = test_stack.command(&["worker", "--until-empty"]).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("DOWNPIPE_SIGNING_SECRET: expected a secret with the key of masks"), "{said}");
}
