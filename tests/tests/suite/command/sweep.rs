//! Tests `downpipe sweep` on real parts. The tests of `downpipe-app` cover which jobs it repairs,
//! and when.

use downpipe_core::job::{JobState, NewJob};
use downpipe_core::message::Message;
use downpipe_tests::aws;
use downpipe_tests::test_stack::TestStack;
use serde_json::Value;

use super::worker::{DEFINITIONS, LONG, NUMBERS};

#[tokio::test]
async fn sweep_after_lost_messages_repairs_every_job() {
    let test_stack = TestStack::new(NUMBERS, &DEFINITIONS).await;
    let body = |name: &str| {
        format!(r#"{{"export":"short","requested_by":"{name}@example.com","request_id":"{name}"}}"#)
    };
    let old = test_stack.send(&body("old")).await;
    let mut worker = test_stack.worker(&["--until-empty"]);
    assert_eq!(worker.exit_code().await, Some(0));
    let left = test_stack.send(LONG).await;
    let mut worker = test_stack.worker(&["--lease", "1"]);
    let ledger = test_stack.ledger();
    downpipe_tests::eventually("a checkpoint", async || ledger.find(&left).await.unwrap()?.checkpoint).await;
    worker.kill();
    let forgotten = body("forgotten");
    let new = NewJob::of(&Message::parse(&forgotten), "m", &forgotten).unwrap();
    let forgotten = ledger.accept(&new).await.unwrap();
    let unnotified = NewJob::of(&Message::parse("test"), "m", "test").unwrap();
    let unnotified = ledger.accept(&unnotified).await.unwrap();
    ledger.cancel(&unnotified).await.unwrap();
    // Simulates that time has passed and the queue has lost its messages.
    let client = aws_sdk_sqs::Client::new(&test_stack.config);
    client.purge_queue().queue_url(&test_stack.queue).send().await.unwrap();
    test_stack.mails().await;
    test_stack.database
        .execute("UPDATE downpipe_jobs SET updated_at = updated_at - INTERVAL 3 HOUR, lease_until = lease_until - INTERVAL 3 HOUR, expires_at = expires_at - INTERVAL 8 DAY")
        .await;

    let sweep = |args: &[&str]| {
        let output = test_stack.command(&["sweep", "--json"]).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let all = |outcome: &str| {
        let finding = |kind: &str, job: &downpipe_core::job::JobId| serde_json::json!({ "kind": kind, "job": job, "outcome": outcome });
        serde_json::json!({
            "findings": [
                finding("unnotified", &unnotified),
                finding("lease_expired", &left),
                finding("idle", &forgotten),
                finding("past_retention", &old),
            ],
            "unknown_uploads": 0,
            "not_looked_for": [],
        })
    };
    assert_eq!(sweep(&["--dry-run"]), all("not_tried"));
    assert_eq!(test_stack.keys().await.len(), 2);
    assert_eq!(sweep(&[]), all("done"));
    assert_eq!(test_stack.keys().await, [""; 0]);
    assert_eq!(aws::messages_in(&test_stack.config, &test_stack.queue).await, 2);
    let printed = test_stack.command(&["sweep"]).output().unwrap();
    assert!(printed.status.success());

    let mut worker = test_stack.worker(&["--until-empty"]);
    assert_eq!(worker.exit_code().await, Some(0), "{}", worker.log());
    let state = async |id| ledger.find(id).await.unwrap().unwrap().state;
    let states = [state(&old).await, state(&left).await, state(&forgotten).await, state(&unnotified).await];
    assert_eq!(states, [JobState::Expired, JobState::Ready, JobState::Ready, JobState::Cancelled]);
    let mails = test_stack.mails().await;
    assert_eq!((mails.len(), test_stack.open_uploads().await), (3, 0), "{mails:?}");
    let table = String::from_utf8(printed.stdout).unwrap();
    // The job's lease stays expired until a worker claims the job.
    assert_eq!(
        table,
        format!("JOB                       FOUND               DONE\n{left}  lost by its worker  done\n")
    );
}
