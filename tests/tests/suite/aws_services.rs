//! Queue, topic, secret and catalog on LocalStack.

use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use downpipe_aws::{SecretLogin, SnsTopic, SqsQueue, fetch_catalog};
use downpipe_core::catalog::Catalog;
use downpipe_core::job::JobState;
use downpipe_core::login::{Credential, Freshness, LoginError, LoginSource as _};
use downpipe_core::notice::{Notice, Notifier as _};
use downpipe_core::queue::Queue as _;
use downpipe_tests::{aws, eventually, unique};

#[tokio::test]
async fn a_message_comes_back_when_it_is_told_to() {
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
    queue.return_after(first.receipt_handle().unwrap(), Duration::from_millis(1)).await.unwrap();
    let again = eventually("the message again, long before its 600 s are over", receive).await;
    assert_eq!(again.message_id(), Some(id.as_str()));
}

#[tokio::test]
async fn everybody_gets_their_own_mail_and_nobody_elses() {
    let config = aws::localstack().await;
    let topic = SnsTopic::new(&config, aws::topic(&config).await);
    let alice = format!("{}@example.com", unique("alice"));
    let bob = format!("{}@example.com", unique("bob"));
    // People write their address as they like.
    topic.subscribe(&alice, &alice.to_uppercase()).await.unwrap();
    topic.subscribe(&bob, &bob).await.unwrap();
    let notice = |recipient: &str, body: &str| Notice {
        recipient: recipient.to_owned(),
        export: "orders".to_owned(),
        status: JobState::Ready,
        job_id: "0123456789abcdef01234567".to_owned(),
        subject: "Export orders is ready".to_owned(),
        body: body.to_owned(),
    };
    topic.publish(&notice(&alice, "Alice's \"注文\" are ready.\n")).await.unwrap();
    topic.publish(&notice(&bob, "Bob's are ready.\n")).await.unwrap();
    assert_eq!(aws::email_to(&alice).await, "Alice's \"注文\" are ready.\n");
    assert_eq!(aws::email_to(&bob).await, "Bob's are ready.\n");
    // Bob's has arrived after Alice's, so by now nothing of Alice's is on its way.
    assert_eq!(aws::emails_to(&alice).await.len(), 1);
    assert_eq!(aws::emails_to(&bob).await.len(), 1);
}

#[tokio::test]
async fn a_rotated_secret_is_seen_when_it_is_asked_for() {
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
async fn a_catalog_can_live_in_a_bucket() {
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
