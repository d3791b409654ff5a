//! Tests queue, topic, secret and catalog on LocalStack.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use downpipe_aws::{SecretLogin, SnsTopic, SqsQueue, fetch_catalog};
use downpipe_core::catalog::Catalog;
use downpipe_core::login::{Credential, Freshness, LoginError, LoginSource as _};
use downpipe_core::notice::{Notice, Notifier as _, NotifyError};
use downpipe_core::queue::Queue as _;
use downpipe_core::requester::Requester;
use downpipe_core::testing::sample_notices;
use downpipe_tests::{aws, eventually, unique};

#[tokio::test]
async fn message_with_shortened_visibility_is_redelivered() {
    let config = aws::localstack().await;
    let url = aws::queue(&config).await;
    let queue = SqsQueue::new(&config, &url);
    let id = queue.send(r#"{"export":"注文"}"#).await.unwrap();
    let client = aws_sdk_sqs::Client::new(&config);
    let receive = async || {
        let received = client
            .receive_message()
            .queue_url(&url)
            .visibility_timeout(600)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        received.send().await.unwrap().messages.unwrap_or_default().into_iter().next()
    };
    let first = eventually("the message", receive).await;
    assert_eq!(first.message_id(), Some(id.as_str()));
    assert_eq!(first.body(), Some(r#"{"export":"注文"}"#));
    assert!(receive().await.is_none(), "it is hidden now");
    queue.change_visibility(first.receipt_handle().unwrap(), Duration::from_millis(1)).await.unwrap();
    let again = eventually("the message again, long before its 600 s are over", receive).await;
    assert_eq!(again.message_id(), Some(id.as_str()));
}

/// Takes every message of a queue.
async fn taken(queue: &SqsQueue) -> BTreeSet<String> {
    let mut bodies = BTreeSet::new();
    while let Some(delivery) = queue.receive(Duration::ZERO, Duration::from_secs(600)).await.unwrap() {
        queue.delete(&delivery.receipt_handle).await.unwrap();
        bodies.insert(delivery.body);
    }
    bodies
}

#[tokio::test]
async fn batch_larger_than_a_call_is_sent_whole() {
    let config = aws::localstack().await;
    let queue = SqsQueue::new(&config, aws::queue(&config).await);
    let bodies: Vec<String> = (1..=23).map(|number| format!(r#"{{"continue":"{number}"}}"#)).collect();
    queue.send_batch(&bodies).await.unwrap();
    assert_eq!(queue.count().await.unwrap(), 23);
    assert_eq!(taken(&queue).await, bodies.into_iter().collect());
    queue.send_batch(&[]).await.unwrap();
}

#[tokio::test]
async fn batch_with_messages_that_sqs_refuses_is_sent_without_them() {
    let config = aws::localstack().await;
    let queue = SqsQueue::new(&config, aws::queue(&config).await);
    // SQS takes no character that XML has not.
    let bodies = ["first", "\u{1}", "last"].map(str::to_owned);
    let error = queue.send_batch(&bodies).await.unwrap_err();
    assert_eq!(error.unsent, 1, "{error:?}");
    let words = downpipe_core::error_chain::error_chain(&error);
    assert!(words.starts_with("1 messages were not sent: sending messages: "), "{words}");
    assert_eq!(taken(&queue).await, ["first", "last"].map(str::to_owned).into());
    let gone = SqsQueue::new(&config, "http://127.0.0.1:1/000000000000/gone");
    assert_eq!(gone.send_batch(&bodies).await.unwrap_err().unsent, 3);
}

#[tokio::test]
async fn subscriber_receives_only_their_own_email() {
    let config = aws::localstack().await;
    let topic = SnsTopic::new(&config, aws::topic(&config).await);
    let alice = format!("{}@example.com", unique("alice"));
    let bob = format!("{}@example.com", unique("bob"));
    // People write addresses in any case.
    let requester = |address: &str| address.parse::<Requester>().unwrap();
    topic.subscribe(&requester(&alice), &requester(&alice.to_uppercase())).await.unwrap();
    topic.subscribe(&requester(&bob), &requester(&bob)).await.unwrap();
    let notice = |recipient: &str, body: &str| {
        let (_, notice) = sample_notices(&requester(recipient)).into_iter().next().unwrap();
        Notice { body: body.to_owned(), ..notice }
    };
    topic.publish(&notice(&alice, "Alice's \"注文\" are ready.\n")).await.unwrap();
    topic.publish(&notice(&bob, "Bob's are ready.\n")).await.unwrap();
    assert_eq!(aws::email_to(&alice).await, "Alice's \"注文\" are ready.\n");
    assert_eq!(aws::email_to(&bob).await, "Bob's are ready.\n");
    // Bob's e-mail came after Alice's, so no other e-mail to Alice is under way.
    assert_eq!(aws::emails_to(&alice).await.len(), 1);
    assert_eq!(aws::emails_to(&bob).await.len(), 1);
}

#[tokio::test]
async fn rotated_secret_is_seen_once_refetched() {
    let config = aws::localstack().await;
    let secret = |password: &str| {
        format!(
            r#"{{"engine":"mysql","host":"h","port":3306,"username":"u","password":"{password}","dbname":"d"}}"#
        )
    };
    let arn = aws::secret(&config, &secret("old")).await;
    let login = SecretLogin::new(&config, &arn);
    let password = async |freshness| match login.login(freshness).await.unwrap().credential {
        Credential::Password(password) => password,
        Credential::Token(_) => panic!("expected a password, got a token"),
    };
    assert_eq!(password(Freshness::Any).await, "old");
    let client = aws_sdk_secretsmanager::Client::new(&config);
    client.put_secret_value().secret_id(&arn).secret_string(secret("new")).send().await.unwrap();
    assert_eq!(password(Freshness::Any).await, "old", "not fetched for every connection");
    assert_eq!(password(Freshness::Refetched).await, "new");
    assert_eq!(password(Freshness::Any).await, "new");

    let without = aws::secret(&config, r#"{"host":"h","username":"u"}"#).await;
    let error = SecretLogin::new(&config, without).login(Freshness::Any).await.unwrap_err();
    assert_eq!(error.to_string(), "the database login cannot be used: password: expected one, got none");
    let missing = SecretLogin::new(&config, "no-such-secret").login(Freshness::Any).await.unwrap_err();
    assert!(matches!(missing, LoginError::Invalid(_)), "{missing:?}");
}

#[tokio::test]
async fn catalog_in_a_bucket_is_fetched() {
    let config = aws::localstack().await;
    let bucket = aws::bucket(&config).await;
    let put = async |key: &str, text: &str| {
        let body = aws_sdk_s3::primitives::ByteStream::from(text.as_bytes().to_vec());
        aws::s3(&config).put_object().bucket(&bucket).key(key).body(body).send().await.unwrap();
    };
    put("exports/a.toml", "title = \"A\"\nsql = \"SELECT 1\"").await;
    put("exports/b.toml", "title = \"B\"\nsql = \"SELECT 1\"").await;
    put("exports/notes.txt", "not a definition").await;
    put("exports/old/c.toml", "not a definition either").await;
    put("exports-old/d.toml", "nor this").await;
    let files = fetch_catalog(&config, &bucket, "exports").await.unwrap();
    let catalog = Catalog::parse(&files).unwrap();
    assert_eq!(catalog.names().collect::<Vec<_>>(), ["a", "b"]);
    put("exports/e.toml", "title = 1").await;
    let files = fetch_catalog(&config, &bucket, "exports/").await.unwrap();
    let error = Catalog::parse(&files).unwrap_err().to_string();
    assert!(error.starts_with(&format!("s3://{bucket}/exports/e.toml:1: ")), "{error}");
    assert!(fetch_catalog(&config, "no-such-bucket-here", "x").await.is_err());
}

/// SNS's answer decides: a notice that is too long is refused at every delivery, while a missing
/// topic may come back.
#[tokio::test]
async fn notice_refused_by_sns_differs_from_a_missing_topic() {
    let config = aws::localstack().await;
    let arn = aws::topic(&config).await;
    let topic = SnsTopic::new(&config, &arn);
    let notice = |body: String| {
        let (_, notice) = sample_notices(&Requester::operator()).into_iter().next().unwrap();
        Notice { body, ..notice }
    };
    let long = notice("x".repeat(256 * 1024 + 1));
    let error = topic.publish(&long).await.unwrap_err();
    assert!(matches!(error, NotifyError::Refused(_)), "{error:?}");
    assert!(!downpipe_core::error_chain::error_chain(&error).contains("xx"), "{error:?}");
    topic.publish(&long.shortened()).await.unwrap();
    let gone = SnsTopic::new(&config, format!("{arn}-gone"));
    let error = gone.publish(&notice("short".to_owned())).await.unwrap_err();
    assert!(matches!(error, NotifyError::Unavailable(_)), "{error:?}");
}
