//! Tests `downpipe send` and `downpipe subscribe`.

use downpipe_core::job::NewJob;
use downpipe_core::message::Message;
use downpipe_tests::{aws, eventually, localstack_url};
use serde_json::Value;

use super::Shell;

/// Takes the only message of a queue, and returns its id and its body.
async fn message(config: &aws_config::SdkConfig, queue: &str) -> (String, String) {
    let client = aws_sdk_sqs::Client::new(config);
    let received = eventually("a message", async || {
        client.receive_message().queue_url(queue).send().await.unwrap().messages.unwrap_or_default().pop()
    });
    let message = received.await;
    let handle = message.receipt_handle().unwrap();
    client.delete_message().queue_url(queue).receipt_handle(handle).send().await.unwrap();
    (message.message_id.unwrap(), message.body.unwrap())
}

fn job_of(body: &str, message_id: &str) -> String {
    NewJob::of(&Message::parse(body), message_id, body).unwrap().id.to_string()
}

#[tokio::test]
async fn send_puts_the_message_on_the_queue_and_prints_its_job() {
    let config = aws::localstack().await;
    let queue = aws::queue(&config).await;
    let shell = Shell::new().with("DOWNPIPE_QUEUE_URL", &queue);
    let ran = shell.run(&[
        "send",
        "orders",
        "--param",
        "from=2026-01-02",
        "--param",
        "number=7",
        "--profile",
        "excel",
        "--requested-by",
        "alice@example.com",
        "--request-id",
        "a-click",
    ]);
    let (message_id, body) = message(&config, &queue).await;
    insta::assert_snapshot!(body, @r#"{"export":"orders","params":{"from":"2026-01-02","number":"7"},"requested_by":"alice@example.com","request_id":"a-click","profile":"excel"}"#);
    let job = job_of(&body, &message_id);
    assert_eq!(ran.stderr, format!("queued; to see its state: downpipe status {job}\n"));
    assert_eq!(ran.printed(), format!("{job}\n"));
}

#[tokio::test]
async fn send_without_a_key_makes_a_new_job_each_time() {
    let config = aws::localstack().await;
    let queue = aws::queue(&config).await;
    let shell = Shell::new().with("DOWNPIPE_QUEUE_URL", &queue);
    let mut jobs = Vec::new();
    for _ in 0..2 {
        let sent = shell.run(&["send", "orders", "--json"]).json();
        let (message_id, body) = message(&config, &queue).await;
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["requested_by"], "operator");
        assert_eq!(
            sent,
            serde_json::json!({ "job_id": job_of(&body, &message_id), "message_id": message_id })
        );
        jobs.push(sent["job_id"].clone());
    }
    assert_ne!(jobs[0], jobs[1]);
}

#[tokio::test]
async fn send_of_an_invalid_request_is_refused() {
    let queue = aws::queue(&aws::localstack().await).await;
    let shell = Shell::new().with("DOWNPIPE_QUEUE_URL", &queue);
    insta::assert_snapshot!(shell.run(&["send", "orders", "--request-id", " "]).refused(2), @r#"downpipe: request_id: expected 1 to 128 characters and none of them a control character, got " ""#);
}

#[tokio::test]
async fn send_to_a_missing_queue_fails() {
    let shell =
        Shell::new().with("DOWNPIPE_QUEUE_URL", &format!("{}/000000000000/nothing", localstack_url()));
    let stderr = shell.run(&["send", "orders"]).refused(1);
    assert!(
        stderr.starts_with("downpipe: sending a message: the queue could not be reached or refused"),
        "{stderr}"
    );
}

#[tokio::test]
async fn subscribe_creates_an_email_subscription() {
    let config = aws::localstack().await;
    let topic = aws::topic(&config).await;
    let shell = Shell::new().with("DOWNPIPE_TOPIC_ARN", &topic);
    let refused = shell.run(&["subscribe", "alice"]).refused(2);
    assert!(refused.contains("invalid value 'alice' for '<EMAIL>'"), "{refused}");
    let ran = shell.run(&["subscribe", "alice@example.com"]);
    assert_eq!(ran.stderr, "alice@example.com will get an e-mail that asks to confirm the subscription\n");
    assert_eq!(ran.printed(), "");

    let sns = aws_sdk_sns::Client::new(&config);
    let listed = sns.list_subscriptions_by_topic().topic_arn(&topic).send().await.unwrap();
    let [subscription] = listed.subscriptions() else { panic!("{listed:?}") };
    assert_eq!(
        (subscription.protocol(), subscription.endpoint()),
        (Some("email"), Some("alice@example.com"))
    );
}
