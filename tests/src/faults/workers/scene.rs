//! One injection into whole workers: a job, the processes that work on it, and what is left afterwards.

use std::ops::RangeInclusive;
use std::process::Command;
use std::time::Duration;

use downpipe_core::job::{Job, JobId, JobState};
use downpipe_core::ledger::Ledger as _;
use downpipe_core::store::is_receipt;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::works::Works;
use crate::faults::http_proxy::HttpProxy;
use crate::faults::lab::Pace;
use crate::faults::mysql_proxy::MySqlProxy;
use crate::faults::scene::{Ended, Run};
use crate::site::{Site, WorkerProcess};
use crate::{STACK, aws, eventually, eventually_within, unique};

/// How long a job stays a worker's without a sign of life, in seconds: long enough for a machine that has much to do. Messages of workers
/// that died come back after one and a half of them.
pub const LEASE: &str = "2";

/// What a job takes at most: five deliveries, and two minutes until somebody else may tell its requester.
const MOST: Duration = Duration::from_secs(300);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// Whether another run can go on with it.
    pub resumable: bool,
    /// Compressed with gzip.
    pub gzip: bool,
    /// How many rows, of 64 KiB each.
    pub rows: u32,
    /// What each row takes the server besides, in microseconds.
    pub pause: u32,
}

impl Ask {
    /// Four parts, in about three seconds. The first checkpoint is noted when the third part is sent.
    pub const FEW_PARTS: Self = Self { resumable: true, gzip: false, rows: 420, pause: 5_000 };

    /// The same in one run or not at all.
    #[must_use]
    pub fn once(self) -> Self {
        Self { resumable: false, ..self }
    }
}

/// One injection.
#[derive(Debug)]
pub struct WorkerScene<'a> {
    works: &'a Works,
    /// Its queue, topic, bucket and ledger.
    pub site: Site,
    /// Before all of AWS.
    pub aws: HttpProxy,
    /// Before MySQL.
    pub mysql: MySqlProxy,
    ask: Ask,
    body: String,
}

impl<'a> WorkerScene<'a> {
    /// Sets the scene. Nobody is asked for anything yet.
    pub async fn set(works: &'a Works, ask: Ask) -> Self {
        let site = works.site().await;
        let Ask { resumable, gzip, rows, pause } = ask;
        let export = if resumable { "resumable" } else { "once" };
        let compression = if gzip { "gzip" } else { "none" };
        let id = unique("request");
        let pause = f64::from(pause) / 1e6;
        let body = format!(
            r#"{{"export":"{export}","params":{{"rows":{rows},"pause":"{pause}"}},"compression":"{compression}","requested_by":"{id}@example.com","request_id":"{id}"}}"#
        );
        Self {
            works,
            aws: HttpProxy::before(&STACK.localstack_endpoint_url).await,
            mysql: MySqlProxy::before(&site.database.url).await,
            site,
            ask,
            body,
        }
    }

    /// Asks for the export. Asked again, it is the same request.
    pub async fn ask(&self) -> JobId {
        self.site.send(&self.body).await
    }

    /// The command that starts a worker behind the proxies, which ends when nothing is left to do. Unencrypted, so that the proxy sees
    /// statements.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.site.command(&["worker", "--until-empty"]);
        if !args.contains(&"--lease") {
            command.args(["--lease", LEASE]);
        }
        let url = format!("{}?ssl-mode=disabled", self.mysql.url(&self.site.database.url));
        command.env("AWS_ENDPOINT_URL", self.aws.endpoint()).env("DATABASE_URL", url).args(args);
        command
    }

    /// Starts a worker.
    pub fn worker(&self, args: &[&str]) -> WorkerProcess {
        WorkerProcess::start(&mut self.command(args))
    }

    /// Waits until a worker has ended by itself, and well.
    pub async fn ended(&self, worker: &mut WorkerProcess) {
        let worker = std::cell::RefCell::new(worker);
        let status =
            eventually_within(MOST, "the worker has ended", async || worker.borrow_mut().status()).await;
        assert!(status.success(), "{status}: {}", worker.borrow().log());
    }

    /// What the ledger says of a job, if it has heard of it.
    pub async fn find(&self, job: &JobId) -> Option<Job> {
        let ledger = self.site.ledger();
        // On a machine that has much to do, a connection may fail. That is not what is looked for.
        eventually("the ledger answers", async || ledger.find(job).await.ok()).await
    }

    /// Whoever told a job's requester when they died has the right to for another minute. Lets that minute pass at once.
    pub async fn hasten_notice(&self, job: &JobId) {
        let sql = "UPDATE downpipe_jobs SET notice_until = notice_until - INTERVAL 1 MINUTE WHERE id = ";
        self.site.database.execute(&format!("{sql}'{job}'")).await;
    }

    /// Looks at what is left when all workers have ended, says what is wrong with it, and clears it away.
    pub async fn look(self, job: &JobId, injected: u32, told: RangeInclusive<u32>) -> Run {
        let found = self.find(job).await;
        let mut run = Run {
            ended: ended(found.as_ref()),
            injected,
            objects: 0,
            emails: None,
            orphans: 0,
            queries_left: 0,
            wrong: Vec::new(),
        };
        self.look_at_store(found.as_ref(), &mut run).await;
        let mails = self.site.mails().await;
        let mails = mails.iter().filter(|mail| mail.attributes[3] == job.as_str()).count();
        let mails = u32::try_from(mails).unwrap();
        run.emails = Some(mails);
        run = run.wrong_if(!told.contains(&mails), format!("expected {told:?} e-mails, got {mails}"));
        if found.is_none_or(|job| job.notified_at.is_none()) {
            run.wrong.push("the ledger does not say that the requester was told".to_owned());
        }
        for (what, queue) in [("queue", &self.site.queue), ("dead letters", &self.site.dead_letters)] {
            let messages = aws::messages_in(&self.site.config, queue).await;
            run = run.wrong_if(messages > 0, format!("{messages} messages are left in the {what}"));
        }
        run.queries_left = u32::try_from(self.queries_left(job).await).unwrap();
        if run.wrong.is_empty() && run.queries_left == 0 {
            self.works.give_back(self.site).await;
        }
        run
    }

    async fn look_at_store(&self, job: Option<&Job>, run: &mut Run) {
        let (config, bucket) = (&self.site.config, &self.site.bucket);
        let file = job.and_then(|job| job.receipt.as_ref()).map(|receipt| receipt.files[0].address.clone());
        for key in aws::keys(config, bucket).await {
            if file.as_ref() == Some(&format!("s3://{bucket}/{key}")) {
                run.objects += 1;
                // In a task of its own: some files are large, and others must not wait for this one's hash.
                let (config, bucket, key) = (config.clone(), bucket.clone(), key.clone());
                let hashed = tokio::spawn(async move {
                    let bytes = aws::object(&config, &bucket, &key).await.unwrap();
                    let hash = move || {
                        let sha256 =
                            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                        (bytes.len(), sha256)
                    };
                    tokio::task::spawn_blocking(hash).await.unwrap()
                });
                let (bytes, sha256): (usize, String) = hashed.await.unwrap();
                let right = self.right().await;
                if right.is_some_and(|right| right != sha256) {
                    run.wrong.push(format!("a file of {bytes} bytes is not what it should be"));
                }
            } else if !is_receipt(&key) || file.is_none() {
                run.wrong.push(format!("an object is left: {key}"));
                run.orphans += 1;
            }
            aws::s3(config).delete_object().bucket(bucket).key(&key).send().await.unwrap();
        }
        if matches!(run.ended, Ended::Ready(_)) && run.objects != 1 {
            run.wrong.push("it is ready, and there is no file".to_owned());
        }
        let uploads = u32::try_from(aws::open_uploads(config, bucket).await).unwrap();
        if uploads > 0 {
            run.wrong.push(format!("{uploads} uploads are left open"));
            run.orphans += uploads;
        }
    }

    /// The SHA-256 that the file must have. While that is being found out, nobody knows.
    async fn right(&self) -> Option<String> {
        self.works.sha256(self.ask).await
    }

    /// A query whose connection has gone ends when the server next looks at it.
    async fn queries_left(&self, job: &JobId) -> usize {
        let began = Instant::now();
        loop {
            let running = self.site.database.running(&format!("downpipe {job}")).await.len();
            if running == 0 || began.elapsed() > Duration::from_secs(10) {
                return running;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How patient everybody is.
    pub fn pace(&self) -> Pace {
        self.works.pace()
    }
}

fn ended(job: Option<&Job>) -> Ended {
    match job {
        Some(job) if job.state == JobState::Ready => Ended::Ready(job.attempt),
        Some(job) => Ended::Failed(
            job.failure
                .as_ref()
                .map_or_else(|| job.state.as_str().to_owned(), |failure| failure.code.clone()),
        ),
        None => Ended::Failed("unknown".to_owned()),
    }
}
