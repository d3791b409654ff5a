//! Tests e-mail through SES (MiniStack), and the jobs that programs get by a topic.

use downpipe_aws::{SesMailer, SnsTopic};
use downpipe_core::error_chain::error_chain;
use downpipe_core::notice::{Notice, Notifier as _, NotifyError};
use downpipe_core::requester::Requester;
use downpipe_core::testing::contracts::notifier_contract;
use downpipe_core::testing::sample_notices;
use downpipe_tests::aws;
use downpipe_tests::inbox::Inbox;
use downpipe_tests::mailbox::{mails_to, verified};
use downpipe_tests::{eventually, unique};

fn notice(requester: &Requester, name: &str) -> Notice {
    let mut notices = sample_notices(requester).into_iter();
    notices.find(|(known, _)| known == name).unwrap().1
}

#[tokio::test]
async fn mailer_keeps_the_contract_with_one_address_a_mail() {
    let config = aws::ministack().await;
    let [from, alice, operator, second] =
        ["from", "alice", "operator", "second"].map(|name| verified(&config, name));
    let (from, alice, operator, second) = (from.await, alice.await, operator.await, second.await);
    let sender = format!("Exports <{from}>");
    let mailer = SesMailer::new(&config, &sender, vec![operator.clone(), second.clone()], None);
    notifier_contract(&mailer, &alice).await;
    let mails = mails_to(&alice).await;
    assert_eq!(mails.len(), 12, "three kinds in two languages, each in full and in short");
    for operator in [operator, second] {
        assert_eq!(mails_to(&operator).await.len(), 4, "one mail each");
    }
    let ready = mails.iter().find(|mail| mail["Subject"] == "「注文一覧」の準備ができました").unwrap();
    assert_eq!(
        (&ready["Source"], &ready["CC"], &ready["BCC"]),
        (&sender.into(), &[0; 0].into(), &[0; 0].into())
    );
    let notice = notice(&alice, "ready_ja");
    assert_eq!(ready["BodyText"], notice.body);
    let html = ready["BodyHtml"].as_str().unwrap();
    assert!(html.contains("lang=\"ja\"") && html.contains(&notice.letter.action.unwrap().url), "{html}");
}

#[tokio::test]
async fn mailer_with_a_topic_gives_programs_each_job_once() {
    let config = aws::ministack().await;
    let [from, alice] = ["from", "alice"].map(|name| verified(&config, name));
    let (from, alice) = (from.await, alice.await);
    let arn = aws::topic(&config).await;
    let inbox = Inbox::of(&config, &arn).await;
    let operator = verified(&config, "operator").await;
    let topic = || Some(SnsTopic::new(&config, &arn));
    let mailer = SesMailer::new(&config, from.as_str(), vec![operator.clone()], topic());
    mailer.publish(&notice(&alice, "operator_en")).await.unwrap();
    mailer.publish(&notice(&alice, "failed_en")).await.unwrap();
    let seen = inbox.take().await;
    assert_eq!(seen.len(), 1, "the operator's notice besides is no end of a job: {seen:?}");
    assert_eq!(seen[0].event, notice(&alice, "failed_en").event);
    assert_eq!((mails_to(&alice).await.len(), mails_to(&operator).await.len()), (1, 1));

    // Without operators' addresses the topic is theirs.
    let mailer = SesMailer::new(&config, from.as_str(), Vec::new(), topic());
    mailer.publish(&notice(&alice, "operator_en")).await.unwrap();
    let seen = inbox.take().await;
    assert_eq!((seen.len(), seen[0].attributes[0].as_str()), (1, "operator"));
}

#[tokio::test]
async fn program_on_a_topic_gets_the_job_and_no_link() {
    for config in [aws::ministack().await, aws::localstack().await] {
        let arn = aws::topic(&config).await;
        let (inbox, topic) = (Inbox::of(&config, &arn).await, SnsTopic::new(&config, &arn));
        let alice: Requester = "alice@example.com".parse().unwrap();
        topic.publish(&notice(&alice, "ready_ja")).await.unwrap();
        // LocalStack answers before it delivers.
        let seen = eventually("the topic delivers the job", async || {
            Some(inbox.take().await).filter(|seen| !seen.is_empty())
        });
        let seen = seen.await;
        assert_eq!((seen.len(), seen[0].subject.as_str()), (1, "Export orders is ready"));
        let event = &seen[0].event;
        assert_eq!((&event["event"], &event["job"]["state"]), (&"job.ready".into(), &"ready".into()));
        assert_eq!(event["job"]["files"][0]["file_name"], "注文一覧-2026-11-01.csv");
        assert!(!event.to_string().contains("https:"), "{event}");
    }
}

#[tokio::test]
async fn topic_keeps_the_contract_of_notifiers() {
    let config = aws::localstack().await;
    let topic = SnsTopic::new(&config, aws::topic(&config).await);
    notifier_contract(&topic, &"alice@example.com".parse().unwrap()).await;
}

/// An account that may write to verified addresses only is the operator's to mend: the mail is tried again.
#[tokio::test]
async fn mail_from_an_address_that_is_not_verified_is_tried_again() {
    let config = aws::ministack().await;
    let alice = verified(&config, "alice").await;
    let operators = vec![alice.clone()];
    let mailer = SesMailer::new(&config, format!("{}@example.org", unique("nobody")), operators, None);
    let error = mailer.publish(&notice(&alice, "ready_en")).await.unwrap_err();
    assert!(matches!(error, NotifyError::Unavailable(_)), "{error:?}");
    assert!(!error_chain(&error).contains(alice.as_str()), "no address is in a log: {error:?}");
}
