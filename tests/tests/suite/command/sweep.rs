//! `downpipe sweep`: what was lost on real parts is found. (Which things, and when, is tested with the worker.)

use downpipe_core::job::{JobState, NewJob};
use downpipe_core::ledger::Ledger as _;
use downpipe_core::message::Message;
use downpipe_tests::aws;
use downpipe_tests::site::Site;
use serde_json::Value;

use super::worker::{DEFINITIONS, LONG, NUMBERS};

#[tokio::test]
async fn everything_that_was_lost_is_made_good() {
    let site = Site::new(NUMBERS, &DEFINITIONS).await;
    let body = |name: &str| {
        format!(r#"{{"export":"short","requested_by":"{name}@example.com","request_id":"{name}"}}"#)
    };
    let old = site.send(&body("old")).await;
    let mut worker = site.worker(&["--until-empty"]);
    assert_eq!(worker.ended().await, Some(0));
    let left = site.send(LONG).await;
    let mut worker = site.worker(&["--lease", "1"]);
    let ledger = site.ledger();
    downpipe_tests::eventually("a checkpoint", async || ledger.find(&left).await.unwrap()?.checkpoint).await;
    worker.kill();
    let forgotten = body("forgotten");
    let new = NewJob::of(&Message::parse(&forgotten), "m", &forgotten).unwrap();
    let forgotten = ledger.accept(&new).await.unwrap();
    let untold = NewJob::of(&Message::parse("test"), "m", "test").unwrap();
    let untold = ledger.accept(&untold).await.unwrap();
    ledger.cancel(&untold).await.unwrap();
    // A while later: the queue's messages are lost, and the clock has gone on.
    let client = aws_sdk_sqs::Client::new(&site.config);
    client.purge_queue().queue_url(&site.queue).send().await.unwrap();
    site.mails().await;
    site.database
        .execute("UPDATE downpipe_jobs SET updated_at = updated_at - INTERVAL 3 HOUR, lease_until = lease_until - INTERVAL 3 HOUR, expires_at = expires_at - INTERVAL 8 DAY")
        .await;

    let sweep = |args: &[&str]| {
        let output = site.command(&["sweep", "--json"]).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let all = |mended: &str| {
        let finding = |neglect: &str, job: &downpipe_core::job::JobId| serde_json::json!({ "neglect": neglect, "job": job, "mended": mended });
        serde_json::json!({
            "findings": [
                finding("untold", &untold),
                finding("lease_over", &left),
                finding("idle", &forgotten),
                finding("past_retention", &old),
            ],
            "unknown_uploads": 0,
            "not_looked_for": [],
        })
    };
    assert_eq!(sweep(&["--dry-run"]), all("not_tried"));
    assert_eq!(site.keys().await.len(), 2);
    assert_eq!(sweep(&[]), all("done"));
    assert_eq!(site.keys().await, [""; 0]);
    assert_eq!(aws::messages_in(&site.config, &site.queue).await, 2);
    let printed = site.command(&["sweep"]).output().unwrap();
    assert!(printed.status.success());

    let mut worker = site.worker(&["--until-empty"]);
    assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
    let state = async |id| ledger.find(id).await.unwrap().unwrap().state;
    let states = [state(&old).await, state(&left).await, state(&forgotten).await, state(&untold).await];
    assert_eq!(states, [JobState::Expired, JobState::Ready, JobState::Ready, JobState::Cancelled]);
    let mails = site.mails().await;
    assert_eq!((mails.len(), site.open_uploads().await), (3, 0), "{mails:?}");
    let table = String::from_utf8(printed.stdout).unwrap();
    // Until a worker has taken it, its lease is still over.
    assert_eq!(
        table,
        format!("JOB                       FOUND               DONE\n{left}  left by its worker  done\n")
    );
}
