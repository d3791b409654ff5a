//! Tests what the deployed function does besides handling messages: its checks, and what it refuses.

use downpipe_tests::STACK;
use downpipe_tests::caches::caches;
use downpipe_tests::database::TestDatabase;
use downpipe_tests::deployment::Downpipe;
use downpipe_tests::dynamodb::LedgerTable;
use serde_json::Value;
use xtask::aws_cli::AwsCli;
use xtask::deploy::{cache_parameters, put_signing_key};

/// Deploys a Downpipe with its cache in Valkey at this address.
async fn with_cache(url: &str, mut parameters: Vec<(&'static str, String)>) -> Downpipe {
    let aws = AwsCli::new(&STACK);
    let secret = put_signing_key(aws, &downpipe_tests::unique("signing")).unwrap();
    parameters.extend(cache_parameters(aws, caches(), &secret).unwrap());
    parameters.retain(|(name, _)| *name != "CacheUrl");
    parameters.push(("CacheUrl", url.to_owned()));
    let database = TestDatabase::migrated().await;
    let login = database.url.clone();
    Downpipe::deploy_as(database, &login, parameters).await
}

/// Asks the function for its checks, and returns those of cache and ledger.
fn checks(downpipe: &Downpipe) -> (Value, [Value; 2]) {
    let mut answer = downpipe.invoke(r#"{"check":{}}"#).unwrap();
    let Value::Array(checks) = answer["checks"].take() else { panic!("{answer}") };
    let checks: [Value; 2] = checks.try_into().unwrap();
    assert_eq!([&checks[0]["name"], &checks[1]["name"]], ["cache", "ledger"]);
    (answer["ok"].take(), checks)
}

/// Checks the words of a success: the value that was fetched is the one that was inserted.
fn assert_success(check: &Value, from: &str) {
    let said = check["message"].as_str().unwrap();
    let values = said.strip_prefix("Success: Inserted ").and_then(|said| said.split_once(". Fetched "));
    let (inserted, rest) = values.unwrap_or_else(|| panic!("{said}"));
    assert_eq!(rest.strip_prefix(inserted), Some(from), "{said}");
    assert_eq!(check["ok"], true);
}

#[tokio::test]
async fn check_of_a_function_with_valkey_and_dynamodb_succeeds_in_the_tutorials_words() {
    let table = LedgerTable::new().await;
    let ledger = vec![("LedgerTable", table.ledger.table.clone())];
    let downpipe = with_cache(&caches().valkey_url, ledger).await;
    let (ok, [cache, ledger]) = checks(&downpipe);
    assert_eq!(ok, true, "{cache} {ledger}");
    assert_success(&cache, " from Valkey.");
    assert_success(&ledger, " from the ledger in DynamoDB");
    assert_eq!(table.items().await.len(), 0, "it leaves nothing behind");
}

#[tokio::test]
async fn check_of_a_function_whose_token_is_refused_says_so_and_checks_the_ledger() {
    let downpipe = with_cache(&caches().valkey_url.replace("/stack", "/another"), Vec::new()).await;
    let (ok, [cache, ledger]) = checks(&downpipe);
    let said = cache["message"].as_str().unwrap();
    assert!(said.starts_with("SET of a random value failed (check the user and the cache's name"), "{said}");
    assert!(said.contains("refused the user or the token") && !said.contains("X-Amz"), "{said}");
    assert_eq!((&ok, &cache["ok"]), (&false.into(), &false.into()));
    let words = "Success: Fetched the latest job from the ledger in MySQL";
    assert_eq!((&ledger["ok"], &ledger["message"]), (&true.into(), &words.into()));
}

#[tokio::test]
async fn event_that_the_function_does_not_know_is_refused_with_a_list_of_those_it_does() {
    let downpipe = Downpipe::deploy("").await;
    let (ok, [cache, _]) = checks(&downpipe);
    let words = "There is no cache to check: DOWNPIPE_CACHE is none.";
    assert_eq!((&ok, &cache["message"]), (&true.into(), &words.into()));
    let known = r#"expected messages of SQS, {"sweep":{}} or {"check":{}}, got something else"#;
    for (payload, reason) in [
        (r#"{"chek":{}}"#, "unknown variant `chek`, expected `sweep` or `check`"),
        (r#"{"check":{"verbose":true}}"#, "unknown field `verbose`"),
        ("{}", "expected map with a single key"),
    ] {
        let error = downpipe.invoke(payload).unwrap_err();
        let words = error["errorMessage"].as_str().unwrap();
        assert!(words.contains(known) && words.contains(reason), "{error}");
    }
}
