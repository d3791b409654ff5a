//! `downpipe check`.

use downpipe_tests::aws;

use super::{DEFINITIONS, Shell};

#[test]
fn check_shows_what_there_is() {
    let shell = Shell::new();
    insta::assert_snapshot!(shell.run(&["check"]).printed(), @"
    EXPORT  TITLE   PARAMETERS
    broken  Broken
    large   Large
    orders  注文    from, to
    ");
    insta::assert_snapshot!(shell.run(&["check", "orders"]).printed(), @"
    EXPORT  TITLE  PARAMETERS
    orders  注文   from, to
    ");
    assert_eq!(shell.run(&["check", "--json"]).json(), serde_json::json!(["broken", "large", "orders"]));
}

#[tokio::test]
async fn it_may_be_in_s3() {
    let config = aws::localstack().await;
    let bucket = aws::bucket(&config).await;
    let put = aws::s3(&config).put_object().bucket(&bucket).key("defs/numbers.toml");
    put.body(DEFINITIONS[1].1.as_bytes().to_vec().into()).send().await.unwrap();
    let shell = Shell::new().with("DOWNPIPE_CATALOG", &format!("s3://{bucket}/defs"));
    assert_eq!(shell.run(&["check", "--json"]).json(), serde_json::json!(["numbers"]));
    let missing = shell.run(&["check", "--catalog", "s3://no-such-bucket-anywhere/defs"]).refused(1);
    assert!(missing.contains("could not list s3://no-such-bucket-anywhere/defs/"), "{missing}");
}
