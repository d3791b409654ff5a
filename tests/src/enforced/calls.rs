//! Calls that the role does not allow: each must be refused, as the worker's own credentials must be good for nothing else.

use aws_config::SdkConfig;
use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_s3::error::ProvideErrorMetadata;
use xtask::aws_cli::{AwsCli, Session};
use xtask::enforce::{Finding, Trial};

use super::site::Site;
use crate::unique;

/// What AWS's services say to a caller who has no permission.
const REFUSALS: [&str; 3] = ["AccessDenied", "AuthorizationError", "UnauthorizedOperation"];

/// Names and addresses of what is not the worker's.
struct Others {
    bucket: String,
    queue: String,
    topic: String,
    secret: String,
    table: String,
}

impl Others {
    /// Creates them, as the account's root user.
    fn create(aws: AwsCli<'_>) -> Self {
        let name = unique("others");
        let text = |args: &[&str]| aws.text(args).unwrap().trim().to_owned();
        text(&["s3api", "create-bucket", "--bucket", &name]);
        let attributes = "AttributeName=pk,AttributeType=S";
        let table = ["dynamodb", "create-table", "--table-name", &name, "--billing-mode", "PAY_PER_REQUEST"];
        let keys = ["--attribute-definitions", attributes, "--key-schema", "AttributeName=pk,KeyType=HASH"];
        text(&[&table[..], &keys].concat());
        let output = ["--output", "text", "--query"];
        let queue = ["sqs", "create-queue", "--queue-name", &name];
        let topic = ["sns", "create-topic", "--name", &name];
        let secret = ["secretsmanager", "create-secret", "--name", &name, "--secret-string", "other"];
        Self {
            queue: text(&[&queue[..], &output, &["QueueUrl"]].concat()),
            topic: text(&[&topic[..], &output, &["TopicArn"]].concat()),
            secret: text(&[&secret[..], &output, &["ARN"]].concat()),
            table: name.clone(),
            bucket: name,
        }
    }
}

/// Tries every call as the worker's role, after one that the role allows.
pub(super) async fn try_all(site: &Site<'_>) -> Vec<Finding> {
    let root = site.place.aws();
    let (session, others) = (site.role.session(root), Others::create(root));
    let aws = root.with_session(&session);
    let allowed = ["s3api", "list-objects-v2", "--bucket", &site.bucket];
    aws.text(&allowed).expect("the role may list its bucket");
    let calls = calls(site, &others);
    let mut findings: Vec<Finding> = calls.iter().map(|(what, args)| try_one(aws, what, args)).collect();
    findings.extend(without_tls(site, &session).await);
    findings
}

/// Tries calls that the role allows, but without TLS. The policies of bucket, queue and topic refuse them.
///
/// The MiniStack speaks TLS only. It takes a request for one without TLS when a proxy before it says so.
async fn without_tls(site: &Site<'_>, session: &Session) -> [Finding; 3] {
    fn forwarded(request: &mut HttpRequest) {
        request.headers_mut().insert("x-forwarded-proto", "http");
    }
    let config = as_role(&site.place.config, session);
    let list = crate::aws::s3(&config).list_objects_v2().bucket(&site.bucket);
    let list = list.customize().mutate_request(forwarded).send().await;
    let queue = aws_sdk_sqs::Client::new(&config).send_message().queue_url(site.output("QueueUrl"));
    let queue = queue.message_body("a").customize().mutate_request(forwarded).send().await;
    let topic = aws_sdk_sns::Client::new(&config).publish().topic_arn(site.output("TopicArn"));
    let topic = topic.message("a").customize().mutate_request(forwarded).send().await;
    [
        of_answer("`s3 ListObjectsV2`: its bucket, without TLS", list),
        of_answer("`sqs SendMessage`: its queue, without TLS", queue),
        of_answer("`sns Publish`: its topic, without TLS", topic),
    ]
}

fn as_role(config: &SdkConfig, session: &Session) -> SdkConfig {
    let [id, key, token] = session.credentials();
    let credentials = Credentials::new(id, key, Some(token.to_owned()), None, "role");
    config.to_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build()
}

fn of_answer<T>(subject: &str, answer: Result<T, impl ProvideErrorMetadata>) -> Finding {
    let code = answer.err().map(|error| error.code().unwrap_or("no code").to_owned());
    Finding {
        trial: Trial::Call,
        subject: subject.to_owned(),
        is_well: code.as_ref().is_some_and(|code| REFUSALS.iter().any(|refusal| code.contains(refusal))),
        outcome: code.map_or("allowed".to_owned(), |code| format!("`{code}`")),
    }
}

fn try_one(aws: AwsCli<'_>, what: &str, args: &[String]) -> Finding {
    let (outcome, is_well) = match aws.text(args) {
        Ok(_) => ("allowed".to_owned(), false),
        Err(error) => {
            let words = error.to_string();
            match REFUSALS.iter().find(|refusal| words.contains(**refusal)) {
                Some(refusal) => (format!("`{refusal}`"), true),
                None => (words, false),
            }
        }
    };
    let subject = format!("`aws {} {}`: {what}", args[0], args[1]);
    Finding { trial: Trial::Call, subject, outcome, is_well }
}

/// Returns what each call is about, and its arguments for the AWS CLI.
fn calls(site: &Site<'_>, others: &Others) -> Vec<(&'static str, Vec<String>)> {
    let (bucket, other) = (&site.bucket, &others.bucket);
    let (queue, dead_letters) = (site.output("QueueUrl"), site.output("DeadLetterQueueUrl"));
    let (topic, function, secret) = (site.output("TopicArn"), site.output("FunctionName"), site.secret());
    let table = site.table.as_deref().unwrap_or_default();
    let role = &site.role.name;
    let key = "pk={S=a}";
    let lines = [
        ("another bucket", format!("s3api put-object --bucket {other} --key files/a")),
        ("another bucket", format!("s3api list-objects-v2 --bucket {other}")),
        ("another prefix", format!("s3api put-object --bucket {bucket} --key other/a")),
        ("another prefix", format!("s3api delete-object --bucket {bucket} --key other/a")),
        ("its bucket's policy", format!("s3api delete-bucket-policy --bucket {bucket}")),
        ("its bucket", format!("s3api delete-bucket --bucket {bucket}")),
        ("another queue", format!("sqs send-message --queue-url {} --message-body a", others.queue)),
        ("the dead letters", format!("sqs receive-message --queue-url {dead_letters}")),
        ("its queue", format!("sqs purge-queue --queue-url {queue}")),
        ("another topic", format!("sns publish --topic-arn {} --message a", others.topic)),
        (
            "its topic",
            format!("sns subscribe --topic-arn {topic} --protocol email --notification-endpoint e@x.org"),
        ),
        ("another secret", format!("secretsmanager get-secret-value --secret-id {}", others.secret)),
        ("its secret", format!("secretsmanager put-secret-value --secret-id {secret} --secret-string a")),
        ("another table", format!("dynamodb get-item --table-name {} --key {key}", others.table)),
        ("its table, whole", format!("dynamodb scan --table-name {table}")),
        ("its table", format!("dynamodb delete-table --table-name {table}")),
        ("its own role", format!("iam delete-role-policy --role-name {role} --policy-name worker")),
        ("a new user", "iam create-user --user-name a".to_owned()),
        (
            "its own role",
            format!(
                "sts assume-role --role-arn arn:aws:iam::000000000000:role/{role} --role-session-name again"
            ),
        ),
        ("its function", format!("lambda invoke --function-name {function} /dev/null")),
        ("its function", format!("lambda delete-function --function-name {function}")),
        ("a new log group", "logs create-log-group --log-group-name a".to_owned()),
        ("its stack", "cloudformation list-stacks".to_owned()),
        ("a cache", "elasticache describe-cache-clusters".to_owned()),
    ];
    lines.map(|(what, line)| (what, line.split(' ').map(str::to_owned).collect())).into()
}
