//! A worker with every port in memory, and what came of its messages.

use std::marker::PhantomData;
use std::time::Duration;

use downpipe_app::config::LEDGER_RETENTION;
use downpipe_app::kept_secret::KeptSecret;
use downpipe_app::link::Links;
use downpipe_app::ports::Ports;
use downpipe_app::worker::{LEASE, Outcome, Worker};
use downpipe_core::cache::{JobCache, ReceiptKeys};
use downpipe_core::catalog::{Catalog, DefinitionFile};
use downpipe_core::job::{Job, JobState, Receipt};
use downpipe_core::language::Language;
use downpipe_core::ledger::{JobQueries, JobTable, Ledger};
use downpipe_core::link::{LinkKey, LinkKeys};
use downpipe_core::message::Message;
use downpipe_core::notice::Notifier;
use downpipe_core::queue::Delivery;
use downpipe_core::source::RowSource;
use downpipe_core::testing::{MemoryCache, MemoryJobTable, MemoryStore, RecordingNotifier, RecordingQueue};
use tokio::time::Instant;

use crate::logs;
use crate::parts::{Clock, Scripts};

/// Who asks. Stands in no log.
pub(crate) const ALICE: &str = "alice@example.com";

/// How long Lambda gives a message.
pub(crate) const RUN: Duration = Duration::from_secs(900);

/// The queue's visibility timeout: when a message comes back whose worker died.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(5400);

/// Asks for the orders of a region. Neither it nor anything in it stands in a log.
pub(crate) const ORDERS: &str = r#"{"export":"orders","params":{"region":"Trondheim"},"requested_by":"alice@example.com","request_id":"a-click"}"#;

/// The keys of the links in notices.
pub(crate) fn link_keys() -> LinkKeys {
    LinkKeys::new(LinkKey { id: 1, key: [7; 32] }, Vec::new()).unwrap()
}

const ORDERS_TOML: &str = r#"title = "Orders"
sql = "SELECT id, memo FROM orders WHERE region = :region"
params = { region = { type = "string" } }
output = { filename = "orders-{region}" }
"#;

const RESTRICTED_TOML: &str = r#"title = "Restricted"
sql = "SELECT id, memo FROM secrets"
access = { requesters = ["*@example.com"] }
"#;

const ALL_TOML: &str = r#"title = "All of it"
sql = "SELECT id, memo FROM orders WHERE id > :after ORDER BY id"
resume = { column = "id", start = 0 }
output = { reuse = "10m" }
"#;

const SHARED_TOML: &str = r#"title = "Shared"
sql = "SELECT id, memo FROM orders"
access = { requesters = ["*@example.com"], shared = true }
"#;

const POPULAR_TOML: &str = r#"title = "Popular"
sql = "SELECT id, memo FROM orders"
access = { requesters = ["*@example.com"], shared = true }
output = { reuse = "10m" }
"#;

/// Ports in memory.
pub(crate) struct TestPorts<T, R, N>(PhantomData<(T, R, N)>);

impl<T, R, N> Ports for TestPorts<T, R, N>
where
    T: JobTable + 'static,
    R: RowSource + 'static,
    N: Notifier + 'static,
{
    type Table = T;
    type Source = R;
    type Store = MemoryStore;
    type Notifier = N;
    type Queue = RecordingQueue;
    type Cache = MemoryCache;
}

/// A worker with ports in memory.
pub(crate) struct TestWorker<T = MemoryJobTable, R = Scripts, N = RecordingNotifier>
where
    T: JobTable + 'static,
    R: RowSource + 'static,
    N: Notifier + 'static,
{
    pub(crate) worker: Worker<TestPorts<T, R, N>>,
}

impl TestWorker {
    /// Makes a worker whose ports work, and whose database answers as scripted.
    pub(crate) fn new(scripts: Scripts) -> Self {
        Self::of(MemoryJobTable::new(), scripts, RecordingNotifier::new())
    }

    /// Makes a worker with this notifier.
    pub(crate) fn with_notifier(notifier: RecordingNotifier) -> Self {
        Self::of(MemoryJobTable::new(), Scripts::good(), notifier)
    }
}

impl<T, R, N> TestWorker<T, R, N>
where
    T: JobTable + JobQueries + Clock + 'static,
    R: RowSource + 'static,
    N: Notifier + 'static,
{
    pub(crate) fn of(table: T, source: R, notifier: N) -> Self {
        logs::capture();
        let file =
            |name: &str, text: &str| DefinitionFile { file: format!("{name}.toml"), text: text.to_owned() };
        let files = [
            file("orders", ORDERS_TOML),
            file("restricted", RESTRICTED_TOML),
            file("all", ALL_TOML),
            file("shared", SHARED_TOML),
            file("popular", POPULAR_TOML),
        ];
        let worker = Worker {
            catalog: Catalog::parse(&files).unwrap(),
            ledger: Ledger::new(table),
            source,
            store: MemoryStore::new(),
            notifier,
            queue: RecordingQueue::new(),
            cache: JobCache::new(MemoryCache::default(), Some(ReceiptKeys::new([7; 32], Vec::new()))),
            lease: LEASE,
            ledger_retention: LEDGER_RETENTION,
            prefix: "files".to_owned(),
            language: Language::En,
            links: Some(Links {
                portal_url: "https://portal.example".to_owned(),
                keys: KeptSecret::fixed(link_keys()),
            }),
        };
        Self { worker }
    }

    /// Delivers a message for the first time.
    pub(crate) async fn deliver(&self, message_id: &str, body: &str) -> Outcome {
        self.handle(&delivery(message_id, body, 1)).await
    }

    /// Handles a delivery while the ledger's clock keeps up with the test's.
    pub(crate) async fn handle(&self, delivery: &Delivery) -> Outcome {
        let deadline = Instant::now() + RUN;
        let outcome = tokio::select! {
            outcome = self.worker.handle(delivery, deadline) => outcome,
            () = self.keep_time() => unreachable!("time goes on"),
        };
        logs::assert_each_line_names_its_job_and_nothing_private();
        outcome
    }

    /// Handles a delivery with a worker that dies after a time.
    pub(crate) async fn handle_and_die(&self, delivery: &Delivery, after: Duration) {
        let handling = tokio::time::timeout(after, self.handle(delivery)).await;
        assert!(handling.is_err(), "the worker was to die before it is done");
    }

    /// Lets time pass.
    pub(crate) async fn pass(&self, time: Duration) {
        self.worker.ledger.table().pass(time);
        tokio::time::advance(time).await;
    }

    /// The only job.
    pub(crate) async fn job(&self) -> Job {
        let mut jobs = self.worker.ledger.latest(10).await.unwrap();
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.remove(0)
    }

    /// The only job's file, which is proven by its receipt and has nothing beside it but that receipt.
    pub(crate) async fn file(&self) -> String {
        let job = self.job().await;
        let receipt = job.receipt.unwrap_or_else(|| panic!("{:?}", job.failure));
        let key = receipt.files[0].address.strip_prefix("memory://").unwrap();
        assert_eq!(self.worker.store.keys(), [key, &Receipt::key_of(key)]);
        let beside = self.worker.store.get(&Receipt::key_of(key)).unwrap();
        assert_eq!(serde_json::from_slice::<Receipt>(&beside).unwrap(), receipt);
        assert_eq!(self.worker.store.token(key).unwrap().attempt, receipt.attempt);
        let file = self.worker.store.get(key).unwrap();
        assert_eq!(file.len() as u64, receipt.bytes);
        String::from_utf8(file).unwrap()
    }

    async fn keep_time(&self) {
        const TICK: Duration = Duration::from_secs(1);
        loop {
            tokio::time::sleep(TICK).await;
            self.worker.ledger.table().pass(TICK);
        }
    }
}

impl<T, R> TestWorker<T, R>
where
    T: JobTable + 'static,
    R: RowSource + 'static,
{
    /// Returns who was notified of what.
    pub(crate) fn told(&self) -> Vec<(String, JobState)> {
        let published = self.worker.notifier.published().into_iter();
        published.map(|notice| (notice.recipient.to_string(), notice.status)).collect()
    }
}

pub(crate) fn delivery(message_id: &str, body: &str, receive_count: u32) -> Delivery {
    Delivery {
        message_id: message_id.to_owned(),
        receipt_handle: format!("handle of {message_id}"),
        body: body.to_owned(),
        receive_count,
    }
}

/// A message that continues a job.
pub(crate) fn continuation(job: &Job) -> String {
    let body = format!(r#"{{"continue":"{}"}}"#, job.id);
    assert!(matches!(Message::parse(&body), Ok(Message::Continue(_))));
    body
}

pub(crate) fn retry_after(seconds: u64) -> Outcome {
    Outcome::RetryAfter(Duration::from_secs(seconds))
}

/// As they are told of what only the operator can mend.
pub(crate) fn operator_and_alice_know(status: JobState) -> Vec<(String, JobState)> {
    vec![("operator".to_owned(), status), (ALICE.to_owned(), status)]
}

pub(crate) fn alice_knows(status: JobState) -> Vec<(String, JobState)> {
    vec![(ALICE.to_owned(), status)]
}
