//! The ledger's table in DynamoDB, in the time of the simulation.
//!
//! The adapter and the server are real; only their clocks are the simulation's. Each answer has the simulation's time as its date,
//! and each worker is a machine of its own, whose clock is wrong by minutes. A request takes none of that time: the simulation
//! stands still until the answer is there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use downpipe_app::config::LEDGER_RETENTION;
use downpipe_aws::{
    DynamoJobTable, DynamoLedgerConfig, LocalTime, SdkConfig, TABLE_INDEXES, TABLE_KEY, TableIndex,
};
use downpipe_core::job::{Job, JobId, Receipt};
use downpipe_core::ledger::{
    Entry, Fingerprint, Inserted, JobFilter, JobQueries as _, JobStatus, JobTable, LedgerError, Replaced,
    StaleFilter, Stored,
};
use downpipe_core::testing::MemoryJobTable;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Runs the clients, in real time. The simulation's own runtime would skip the time of a request.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
});

/// By how many seconds the clock of a machine may be wrong.
const MAX_SKEW: u64 = 600;

/// A table of its own at the stack's MiniStack. Dropping it deletes the table.
pub(crate) struct DynamoDb {
    config: SdkConfig,
    ledger: DynamoLedgerConfig,
    time: Arc<SimTime>,
    /// The adapter of each worker, which has a clock.
    adapters: Mutex<BTreeMap<usize, DynamoJobTable>>,
}

/// The time that has passed since the beginning, in microseconds.
#[derive(Debug, Default)]
struct SimTime(AtomicU64);

impl SimTime {
    fn passed(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    /// Returns the right time.
    fn now(&self) -> Timestamp {
        MemoryJobTable::BEGINNING + self.passed()
    }

    /// Returns what the clocks of a worker's machine show.
    fn at_machine(&self, worker: usize) -> LocalTime {
        let mut rng = fastrand::Rng::with_seed(worker as u64);
        let since_1970 = u64::try_from(MemoryJobTable::BEGINNING.as_second()).unwrap();
        let wrong = Duration::from_secs(since_1970 - MAX_SKEW + rng.u64(0..=2 * MAX_SKEW));
        let uptime = Duration::from_millis(rng.u64(0..1_000_000));
        LocalTime { monotonic: uptime + self.passed(), wall: wrong + self.passed() }
    }
}

impl DynamoDb {
    /// Makes a table.
    pub(crate) fn new() -> Self {
        let time = Arc::new(SimTime::default());
        let config = wait(async { downpipe_aws::load_config().await });
        let inner = config.http_client().unwrap();
        let http = DatedClient { inner, time: Arc::clone(&time) };
        let config = config.into_builder().http_client(http).build();
        let table = format!("simulation-{:016x}", fastrand::u64(..));
        request("CreateTable", &definition(&table));
        let ledger = DynamoLedgerConfig {
            bucket: table.clone(),
            table,
            prefix: "files".to_owned(),
            retention: LEDGER_RETENTION,
        };
        Self { config, ledger, time, adapters: Mutex::default() }
    }

    /// Returns the table as the worker of this number reaches it.
    pub(crate) fn of(&self, worker: usize) -> BlockingTable {
        let mut adapters = self.adapters.lock().unwrap();
        let adapter = adapters.entry(worker).or_insert_with(|| {
            let time = Arc::clone(&self.time);
            DynamoJobTable::with_clock(&self.config, &self.ledger, Arc::new(move || time.at_machine(worker)))
        });
        BlockingTable(adapter.clone())
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, time: Duration) {
        self.time.0.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

impl Drop for DynamoDb {
    fn drop(&mut self) {
        request("DeleteTable", &json!({ "TableName": self.ledger.table }));
    }
}

/// Returns a request for the table, as `infra/ledger.yaml` makes it.
fn definition(table: &str) -> Value {
    let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    let attribute = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    let ranges = TABLE_INDEXES.iter().map(|index| attribute(index.range, "N"));
    let hashes = TABLE_INDEXES.iter().map(|index| attribute(index.hash, "S"));
    let attributes: BTreeMap<_, _> = ranges.chain(hashes).chain([attribute(TABLE_KEY, "S")]).collect();
    let attributes: Vec<_> = attributes
        .into_iter()
        .map(|(name, kind)| json!({ "AttributeName": name, "AttributeType": kind }))
        .collect();
    let index = |TableIndex { name, hash, range }: &TableIndex| {
        json!({
            "IndexName": name,
            "KeySchema": [key(hash, "HASH"), key(range, "RANGE")],
            "Projection": { "ProjectionType": "KEYS_ONLY" },
        })
    };
    let indexes: Vec<_> = TABLE_INDEXES.iter().map(index).collect();
    json!({
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [key(TABLE_KEY, "HASH")],
        "AttributeDefinitions": attributes,
        "GlobalSecondaryIndexes": indexes,
    })
}

/// Sends a request that the adapter has no use for.
fn request(operation: &str, body: &Value) {
    let endpoint = std::env::var("AWS_ENDPOINT_URL")
        .expect("a simulation on DynamoDB needs the stack: `cargo xtask stack up`, `. target/stack/env`");
    let credential = "AWS4-HMAC-SHA256 Credential=test/20260102/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=host, Signature=none";
    ureq::post(endpoint)
        .header("X-Amz-Target", format!("DynamoDB_20120810.{operation}"))
        .header("Authorization", credential)
        .content_type("application/x-amz-json-1.0")
        .send_json(body)
        .unwrap();
}

/// Waits for what runs in real time.
fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, receiver) = channel();
    RUNTIME.spawn(async move { drop(sender.send(future.await)) });
    receiver.recv().unwrap()
}

/// A client whose answers have the simulation's time as their date.
#[derive(Debug)]
struct DatedClient {
    inner: SharedHttpClient,
    time: Arc<SimTime>,
}

#[derive(Debug)]
struct DatedConnector {
    inner: SharedHttpConnector,
    time: Arc<SimTime>,
}

impl HttpClient for DatedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(DatedConnector { inner, time: Arc::clone(&self.time) })
    }
}

impl HttpConnector for DatedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, now) = (self.inner.call(request), self.time.now());
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            answer.headers_mut().insert("date", now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
            Ok(answer)
        })
    }
}

/// The adapter of one worker. Its methods return when the answer is there, and take no time of the simulation.
pub(crate) struct BlockingTable(DynamoJobTable);

impl fmt::Debug for BlockingTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingTable").finish_non_exhaustive()
    }
}

impl BlockingTable {
    /// Returns all jobs, the newest first.
    pub(crate) fn all(&self) -> Result<Vec<Job>, LedgerError> {
        self.ask(|table| async move { table.jobs_of(&JobFilter::default(), None, u32::MAX).await })
    }

    fn ask<T, F>(&self, question: impl FnOnce(DynamoJobTable) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        wait(question(self.0.clone()))
    }
}

impl JobTable for BlockingTable {
    async fn insert(&self, entry: &Entry) -> Result<Inserted, LedgerError> {
        let entry = entry.clone();
        self.ask(|table| async move { table.insert(&entry).await })
    }

    async fn get(&self, id: &JobId) -> Result<Option<Stored>, LedgerError> {
        let id = id.clone();
        self.ask(|table| async move { table.get(&id).await })
    }

    async fn replace(&self, read: &Stored, entry: &Entry) -> Result<Replaced, LedgerError> {
        let (read, entry) = (read.clone(), entry.clone());
        self.ask(|table| async move { table.replace(&read, &entry).await })
    }

    async fn delete(&self, read: &Stored) -> Result<bool, LedgerError> {
        let read = read.clone();
        self.ask(|table| async move { table.delete(&read).await })
    }

    async fn status(&self, id: &JobId) -> Result<Option<JobStatus>, LedgerError> {
        let id = id.clone();
        self.ask(|table| async move { table.status(&id).await })
    }

    async fn reusable_receipt(
        &self,
        fingerprint: Fingerprint<'_>,
        max_age: Duration,
    ) -> Result<Option<Receipt>, LedgerError> {
        let (text, is_shared) = match fingerprint {
            Fingerprint::OfRequester(text) => (text.to_owned(), false),
            Fingerprint::Shared(text) => (text.to_owned(), true),
        };
        self.ask(|table| async move {
            let fingerprint =
                if is_shared { Fingerprint::Shared(&text) } else { Fingerprint::OfRequester(&text) };
            table.reusable_receipt(fingerprint, max_age).await
        })
    }

    async fn last_led(&self, shared_fingerprint: &str, since: Timestamp) -> Result<Option<Job>, LedgerError> {
        let shared_fingerprint = shared_fingerprint.to_owned();
        self.ask(|table| async move { table.last_led(&shared_fingerprint, since).await })
    }

    async fn followers(&self, shared_fingerprint: &str, limit: u32) -> Result<Vec<JobId>, LedgerError> {
        let shared_fingerprint = shared_fingerprint.to_owned();
        self.ask(|table| async move { table.followers(&shared_fingerprint, limit).await })
    }

    async fn stale(&self, filter: StaleFilter, limit: u32) -> Result<Vec<Job>, LedgerError> {
        self.ask(|table| async move { table.stale(filter, limit).await })
    }

    async fn forget_access(&self, limit: u32) -> Result<u64, LedgerError> {
        self.ask(|table| async move { table.forget_access(limit).await })
    }
}
