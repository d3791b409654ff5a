//! Clicks on an export whose file is reused, each with a worker process of its own that has the cache.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use downpipe_core::cache::{Cache as _, ReceiptKeys};
use downpipe_core::store::is_receipt;
use tempfile::NamedTempFile;

use super::click::{Click, Longest};
use super::server::Server;
use crate::faults::fault_run::FaultRun;
use crate::faults::scene::{Ended, Run};
use crate::faults::workers::harness::WorkerHarness;
use crate::faults::workers::scene::ExportOptions;
use crate::test_stack::{TestStack, WorkerProcess};
use crate::{aws, eventually_within, sha256, unique};

/// The export: four parts, in some three seconds, so that its worker also shows progress in the cache.
pub(super) const EXPORT: ExportOptions = ExportOptions { resumable: false, ..ExportOptions::FEW_PARTS };

/// The time limit of a click.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// How often a click is repeated for which the cache was too slow, because the machine is busy.
const MAX_REPEATS: u32 = 5;

/// The key of receipts in the signing secret, and its bytes.
const RECEIPT_KEY: &str = "abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabc=";
const RECEIPT_KEY_BYTES: [u8; 3] = [0x69, 0xb7, 0x1d];

/// Who asks, and for how many rows. Two clicks of the same one are the same request.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    name: String,
    options: ExportOptions,
}

impl Asker {
    pub(super) fn new(options: ExportOptions) -> Self {
        Self { name: unique("asker"), options }
    }
}

/// The clicks of one injection.
pub(super) struct CacheScene<'a> {
    harness: &'a WorkerHarness,
    pub(super) test_stack: TestStack,
    pub(super) server: Server,
    keys: NamedTempFile,
    clicks: Vec<Click>,
    /// Keys of objects that the fault itself has changed.
    changed: BTreeSet<String>,
    wrong: Vec<String>,
}

impl<'a> CacheScene<'a> {
    /// Sets up a stack with this cache. Nothing is asked for yet.
    pub(super) async fn new(fault_run: &'a FaultRun, server: Server) -> Self {
        let harness = fault_run.harness().await;
        harness.undisturbed(EXPORT).await;
        let keys = NamedTempFile::new().unwrap();
        std::fs::write(keys.path(), format!(r#"{{"receipts":"{RECEIPT_KEY}"}}"#)).unwrap();
        let test_stack = harness.test_stack().await;
        let (clicks, changed, wrong) = (Vec::new(), BTreeSet::new(), Vec::new());
        Self { harness, test_stack, server, keys, clicks, changed, wrong }
    }

    fn command(&self) -> Command {
        let mut command = self.test_stack.command(&["worker", "--until-empty"]);
        self.server.configure(&mut command);
        command
            .env("DOWNPIPE_SIGNING_SECRET", format!("file:{}", self.keys.path().display()))
            // Each operation of the cache is logged at this level.
            .env("RUST_LOG", "warn,downpipe=debug");
        command
    }

    /// Asks once, and waits until the worker has answered.
    pub(super) async fn click(&mut self, asker: &Asker) -> Click {
        self.click_during(asker, async |_: &Self, _: &WorkerProcess| {}).await
    }

    /// Asks once, does something while the worker works, and waits until it has answered.
    pub(super) async fn click_during(
        &mut self,
        asker: &Asker,
        meanwhile: impl AsyncFnOnce(&Self, &WorkerProcess),
    ) -> Click {
        let Asker { name, options } = asker;
        let (rows, pause, request) = (options.rows, f64::from(options.pause) / 1e6, unique("click"));
        let body = format!(
            r#"{{"export":"reused","params":{{"rows":{rows},"pause":"{pause}"}},"requested_by":"{name}@example.com","request_id":"{request}"}}"#
        );
        let id = self.test_stack.send(&body).await;
        let mut worker = WorkerProcess::start(&mut self.command());
        meanwhile(&*self, &worker).await;
        let ended = std::cell::RefCell::new(&mut worker);
        let status =
            eventually_within(TIME_LIMIT, "the worker has ended", async || ended.borrow_mut().status()).await;
        assert!(status.success(), "{status}: {}", worker.log());
        let job = self.test_stack.ledger().find(&id).await.unwrap().unwrap();
        let log = worker.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let click = Click { job, options: *options, log };
        self.clicks.push(click.clone());
        click
    }

    /// Clicks until the cache has the receipt. Returns who asked, the click, and the entry.
    pub(super) async fn cached_click(&mut self, options: ExportOptions) -> (Asker, Click, Bytes) {
        for _ in 0..MAX_REPEATS {
            let asker = Asker::new(options);
            let click = self.click(&asker).await;
            if let Some(entry) = self.entry(&click).await {
                return (asker, click, entry);
            }
        }
        panic!("the cache has not taken a receipt in {MAX_REPEATS} clicks");
    }

    /// Clicks again until the cache has answered in its time. Returns the click.
    pub(super) async fn answered_click(&mut self, asker: &Asker) -> Click {
        for _ in 0..MAX_REPEATS {
            let click = self.click(asker).await;
            if !click.found_no_answer_in_time() {
                return click;
            }
        }
        panic!("the cache has not answered in its time in {MAX_REPEATS} clicks");
    }

    /// Returns what the cache has under the key of a click's receipt.
    pub(super) async fn entry(&self, click: &Click) -> Option<Bytes> {
        self.server.cache().get(&click.key()).await.unwrap()
    }

    /// Puts something else under the key of a click's receipt.
    pub(super) async fn put_entry(&self, click: &Click, entry: Bytes) {
        self.server.cache().set(&click.key(), entry, Duration::from_secs(600)).await.unwrap();
    }

    /// Returns the keys with which workers sign receipts.
    pub(super) fn receipt_keys() -> ReceiptKeys {
        let bytes: Vec<u8> = RECEIPT_KEY_BYTES.into_iter().cycle().take(32).collect();
        ReceiptKeys::new(bytes.try_into().unwrap(), Vec::new())
    }

    /// Returns the key of a click's file, which the fault is about to change.
    pub(super) fn changes_file_of(&mut self, click: &Click) -> String {
        let key = self.key_of(click).unwrap();
        self.changed.insert(key.clone());
        key
    }

    fn key_of(&self, click: &Click) -> Option<String> {
        let prefix = format!("s3://{}/", self.test_stack.bucket);
        click.job.receipt.as_ref()?.files.first()?.address.strip_prefix(&prefix).map(str::to_owned)
    }

    /// Records a violation if the condition holds.
    pub(super) fn wrong_if(&mut self, is_wrong: bool, what: impl Into<String>) {
        if is_wrong {
            self.wrong.push(what.into());
        }
    }

    /// Records a violation unless a click's worker has logged this fault.
    pub(super) fn must_log_fault(&mut self, click: &Click, faults: &[&str]) {
        let fault = click.fault();
        let is_wrong = fault.is_none_or(|fault| !faults.contains(&fault));
        self.wrong_if(is_wrong, format!("expected a fault {faults:?} in the log, got {fault:?}"));
    }

    /// Records a violation unless the cache answered a click so.
    pub(super) fn must_be_answered(&mut self, click: &Click, expected: &str) {
        let answer = click.answer();
        self.wrong_if(
            answer != Some(expected),
            format!("expected {expected:?} of the cache, got {answer:?}"),
        );
    }

    /// Records a violation unless two clicks have the same file, or have not.
    pub(super) fn must_share_file(&mut self, one: &Click, other: &Click, shared: bool) {
        let same = self.key_of(one).is_some() && self.key_of(one) == self.key_of(other);
        self.wrong_if(same != shared, format!("the second click was given the first one's file: {same}"));
    }

    /// Inspects what is left after all clicks, and deletes it. Returns the longest operation of the cache besides.
    pub(super) async fn inspect(mut self) -> (Run, Longest) {
        let mut run = Run {
            ended: Ended::Ready(self.clicks.first().map_or(0, |click| click.job.attempt)),
            injected: 1,
            objects: 0,
            emails: Some(0),
            orphans: 0,
            queries_left: 0,
            wrong: std::mem::take(&mut self.wrong),
        };
        let mut longest = Longest::default();
        for click in &self.clicks {
            click.inspect(&mut run, &mut longest);
            let text = format!("downpipe {}", click.job.id);
            run.queries_left += u32::try_from(self.test_stack.database.queries_left(&text).await).unwrap();
        }
        self.inspect_store(&mut run).await;
        self.inspect_messages(&mut run).await;
        if !run.wrong.is_empty() {
            let logs = self.clicks.iter().map(|click| format!("{:#?}", click.log));
            run.wrong.push(logs.collect::<Vec<_>>().join("\n"));
        } else if run.queries_left == 0 {
            self.harness.return_stack(self.test_stack).await;
        }
        // The end of its processes is waited for, which must not delay the other injections.
        let server = self.server;
        tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
        (run, longest)
    }

    async fn inspect_store(&self, run: &mut Run) {
        let (config, bucket) = (&self.test_stack.config, &self.test_stack.bucket);
        for key in self.test_stack.keys().await {
            let of = self.clicks.iter().find(|click| self.key_of(click).as_ref() == Some(&key));
            if let Some(click) = of {
                let bytes = aws::object(config, bucket, &key).await.unwrap();
                let hash = move || sha256::hex(&bytes);
                let actual = tokio::task::spawn_blocking(hash).await.unwrap();
                let expected = self.harness.undisturbed(click.options).await.sha256;
                let is_changed = self.changed.contains(&key);
                run.objects += u32::from(!is_changed);
                if !is_changed && actual != expected {
                    run.wrong.push(format!("the file of job {} is not what it should be", click.job.id));
                }
            } else if !is_receipt(&key) {
                run.wrong.push(format!("an object is left: {key}"));
                run.orphans += 1;
            }
            aws::s3(config).delete_object().bucket(bucket).key(&key).send().await.unwrap();
        }
        let files: BTreeSet<_> = self.clicks.iter().filter_map(|click| self.key_of(click)).collect();
        let expected = files.difference(&self.changed).count();
        if run.objects as usize != expected {
            run.wrong.push(format!("expected {expected} files, got {}", run.objects));
        }
        let uploads = u32::try_from(self.test_stack.open_uploads().await).unwrap();
        if uploads > 0 {
            run.wrong.push(format!("{uploads} uploads are left open"));
            run.orphans += uploads;
        }
    }

    async fn inspect_messages(&self, run: &mut Run) {
        let mails = self.test_stack.mails().await;
        run.emails = Some(u32::try_from(mails.len()).unwrap());
        for Click { job, .. } in &self.clicks {
            let count = mails.iter().filter(|mail| mail.attributes[3] == job.id.as_str()).count();
            if count != 1 {
                run.wrong.push(format!("expected one e-mail about job {}, got {count}", job.id));
            }
        }
        for queue in [&self.test_stack.queue, &self.test_stack.dead_letters] {
            let messages = aws::messages_in(&self.test_stack.config, queue).await;
            if messages > 0 {
                run.wrong.push(format!("{messages} messages are left in {queue}"));
            }
        }
    }
}
