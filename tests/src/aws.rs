//! Creates buckets, queues, topics and secrets for one test, and reads what is in them.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_sqs::types::QueueAttributeName;
use downpipe_core::testing::contracts::Seen;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::{STACK, eventually, localstack_url, moto_url, unique};

/// How often an object is read whose body breaks off.
const MAX_READS: u32 = 3;

/// Returns the settings for LocalStack, which checks checksums as AWS does and delivers e-mail.
pub async fn localstack() -> SdkConfig {
    config(localstack_url()).await
}

/// Returns the settings for MiniStack, which runs functions.
pub async fn ministack() -> SdkConfig {
    config(&STACK.aws_endpoint_url).await
}

/// Returns the settings for Moto, whose DynamoDB is another than MiniStack's.
pub async fn moto() -> SdkConfig {
    config(moto_url()).await
}

/// Returns production's settings with another endpoint and test credentials.
pub async fn config(endpoint: &str) -> SdkConfig {
    let production = downpipe_aws::load_config().await;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(aws_config::Region::new("us-east-1"))
        .test_credentials()
        .endpoint_url(endpoint);
    if let Some(client) = production.http_client() {
        loader = loader.http_client(client);
    }
    if let Some(timeouts) = production.timeout_config() {
        loader = loader.timeout_config(timeouts.clone());
    }
    loader.load().await
}

/// Returns an S3 client that is independent of Downpipe's store.
pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
    aws_sdk_s3::Client::from_conf(config)
}

/// Creates an empty bucket.
pub async fn bucket(config: &SdkConfig) -> String {
    let name = unique("bucket");
    s3(config).create_bucket().bucket(&name).send().await.unwrap();
    name
}

/// Reads an object's bytes.
pub async fn object(config: &SdkConfig, bucket: &str, key: &str) -> Option<Vec<u8>> {
    Some(whole_object(config, bucket, key).await?.1)
}

/// Reads an object with its file name and metadata.
pub async fn seen(config: &SdkConfig, bucket: &str, key: &str) -> Option<Seen> {
    let (object, body) = whole_object(config, bucket, key).await?;
    let (_, name) = object.content_disposition().unwrap().split_once("filename*=UTF-8''").unwrap();
    let file_name = percent_decode_str(name).decode_utf8().unwrap().into_owned();
    let metadata = object.metadata().unwrap().clone().into_iter().collect();
    Some(Seen { body, file_name, metadata })
}

/// Reads an object and its bytes. The local S3 sometimes resets a connection in the middle of a large body, which the SDK does not
/// retry.
async fn whole_object(config: &SdkConfig, bucket: &str, key: &str) -> Option<(GetObjectOutput, Vec<u8>)> {
    for reads in 1.. {
        let mut object = s3(config).get_object().bucket(bucket).key(key).send().await.ok()?;
        match std::mem::take(&mut object.body).collect().await {
            Ok(body) => return Some((object, body.to_vec())),
            Err(error) => assert!(reads < MAX_READS, "{key} broke off {reads} times: {error}"),
        }
    }
    unreachable!("the last read returns or panics")
}

/// Lists the keys in a bucket, in order.
pub async fn keys(config: &SdkConfig, bucket: &str) -> Vec<String> {
    let listed = s3(config).list_objects_v2().bucket(bucket).send().await.unwrap();
    listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
}

/// Counts the uploads that are neither completed nor aborted.
pub async fn open_uploads(config: &SdkConfig, bucket: &str) -> usize {
    let listed = s3(config).list_multipart_uploads().bucket(bucket).send().await.unwrap();
    listed.uploads().len()
}

/// Creates a queue and returns its URL.
pub async fn queue(config: &SdkConfig) -> String {
    let made =
        aws_sdk_sqs::Client::new(config).create_queue().queue_name(unique("queue")).send().await.unwrap();
    made.queue_url().unwrap().to_owned()
}

/// Returns a queue's ARN.
pub async fn queue_arn(config: &SdkConfig, url: &str) -> String {
    let arn = QueueAttributeName::QueueArn;
    let client = aws_sdk_sqs::Client::new(config);
    let answer =
        client.get_queue_attributes().queue_url(url).attribute_names(arn.clone()).send().await.unwrap();
    answer.attributes().unwrap()[&arn].clone()
}

/// Counts the messages in a queue, visible or not.
pub async fn messages_in(config: &SdkConfig, url: &str) -> u64 {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    let client = aws_sdk_sqs::Client::new(config);
    let asked = client.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.clone().into()));
    let answer = asked.send().await.unwrap();
    let attributes = answer.attributes().unwrap();
    names.iter().map(|name| attributes[name].parse::<u64>().unwrap()).sum()
}

/// Creates a topic and returns its ARN.
pub async fn topic(config: &SdkConfig) -> String {
    let made = aws_sdk_sns::Client::new(config).create_topic().name(unique("topic")).send().await.unwrap();
    made.topic_arn().unwrap().to_owned()
}

/// Creates a secret and returns its ARN.
pub async fn secret(config: &SdkConfig, value: &str) -> String {
    let client = aws_sdk_secretsmanager::Client::new(config);
    let made = client.create_secret().name(unique("secret")).secret_string(value).send().await.unwrap();
    made.arn().unwrap().to_owned()
}

/// Returns the texts of the e-mails that LocalStack has delivered to an address. LocalStack keeps
/// no subject.
pub async fn emails_to(address: &str) -> Vec<String> {
    let url = format!("{}/_aws/ses", localstack_url());
    let read = tokio::task::spawn_blocking(move || match ureq::get(&url).call() {
        Ok(mut answer) => answer.body_mut().read_json::<Value>(),
        // The mailbox does not exist before the first e-mail.
        Err(ureq::Error::StatusCode(404)) => Ok(Value::Null),
        Err(error) => Err(error),
    });
    let all = read.await.unwrap().unwrap();
    let messages = all["messages"].as_array().cloned().unwrap_or_default();
    messages
        .iter()
        .filter(|message| {
            message["Destination"]["ToAddresses"].as_array().is_some_and(|to| to.contains(&address.into()))
        })
        .map(|message| message["Body"]["text_part"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Waits for the first e-mail to an address.
pub async fn email_to(address: &str) -> String {
    eventually(&format!("an e-mail to {address}"), async || emails_to(address).await.into_iter().next()).await
}
