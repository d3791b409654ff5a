//! Holds what all worker scenes share: rows to export, stacks to use again, and undisturbed
//! exports.

use std::collections::BTreeMap;
use std::time::Duration;

use downpipe_core::job::JobState;
use tokio::sync::Mutex;
use tokio::time::Instant;
use xtask::demo::LedgerChoice;

use super::scene::{ExportOptions, WorkerScene};
use crate::database::TestDatabase;
use crate::faults::fault_run::Timing;
use crate::faults::http_proxy::ProxiedRequest;
use crate::test_stack::TestStack;

/// The number of bytes of a row's text. Any 256 consecutive texts barely compress.
const ROW_BYTES: u32 = 1 << 16;

/// The number of different texts.
const TEXTS: u32 = 256;

/// The most rows that a request may ask for: 1.3 GB.
const ROWS: u32 = 20_000;

/// The rows, the free stacks and the undisturbed exports.
#[derive(Debug)]
pub struct WorkerHarness {
    rows: TestDatabase,
    free: Mutex<Vec<TestStack>>,
    undisturbed: Mutex<BTreeMap<ExportOptions, Undisturbed>>,
    timing: Timing,
    ledger: LedgerChoice,
}

/// A job without a fault.
#[derive(Debug, Clone)]
pub struct Undisturbed {
    /// The SHA-256 of the file.
    pub sha256: String,
    /// The requests to AWS, from the worker's start to its end.
    pub requests: Vec<ProxiedRequest>,
    /// The number of statements to MySQL, from the worker's start to its end.
    pub statements: u32,
    /// The number of bytes that MySQL answered, by connection: the ledger's first if it has one,
    /// then the query's.
    pub answered: Vec<u64>,
    /// The time from the worker's start to its end.
    pub took: Duration,
}

impl WorkerHarness {
    /// Fills the table.
    pub async fn open(timing: Timing, ledger: LedgerChoice) -> Self {
        let rows = TestDatabase::create().await;
        // 768 bytes are 1024 Base64 digits, without the line breaks that MySQL inserts.
        let text = "REPLACE(TO_BASE64(RANDOM_BYTES(768)), '\\n', '')";
        let texts = vec![text; usize::try_from(ROW_BYTES / 1024).unwrap()].join(", ");
        rows.execute(&format!(
            "CREATE TABLE numbers (id INT PRIMARY KEY); SET cte_max_recursion_depth = {ROWS}; \
             INSERT INTO numbers WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < {ROWS}) \
             SELECT a FROM n; \
             CREATE TABLE texts (id INT PRIMARY KEY, filling MEDIUMTEXT NOT NULL); \
             INSERT INTO texts SELECT id - 1, CONCAT({texts}) FROM numbers WHERE id <= {TEXTS}; \
             ANALYZE TABLE numbers, texts"
        ))
        .await;
        Self { rows, free: Mutex::default(), undisturbed: Mutex::default(), timing, ledger }
    }

    /// Returns the timeouts.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Returns where the ledger of the workers is.
    pub fn ledger(&self) -> LedgerChoice {
        self.ledger
    }

    /// Returns the number of the query's connection to MySQL. Before it the worker opens the ledger's, if that is there.
    pub(super) fn query_connection(&self) -> usize {
        match self.ledger {
            LedgerChoice::Mysql => 2,
            LedgerChoice::Dynamodb => 1,
        }
    }

    /// Returns the name of the database with the rows.
    pub(super) fn rows_database(&self) -> &str {
        &self.rows.name
    }

    /// Returns what a job does without a fault. The first call runs the job.
    pub async fn undisturbed(&self, options: ExportOptions) -> Undisturbed {
        // The lock is held, so that concurrent callers wait for the same job.
        let mut known = self.undisturbed.lock().await;
        if let Some(known) = known.get(&options) {
            return known.clone();
        }
        let scene = WorkerScene::new(self, options).await;
        let job = scene.send_request().await;
        let began = Instant::now();
        let mut worker = scene.worker(&[]);
        scene.wait_for_success(&mut worker).await;
        let took = began.elapsed();
        let requests = scene.aws.requests();
        let (statements, answered) = (scene.mysql.statements(), scene.mysql.answered());
        let ready = scene.test_stack.job_in_state(&job, JobState::Ready).await;
        let sha256 = ready.receipt.unwrap().files[0].sha256.clone();
        let undisturbed = Undisturbed { sha256, requests, statements, answered, took };
        known.insert(options, undisturbed.clone());
        drop(known);
        let run = Box::pin(scene.inspect(&job, 1, 1..=1)).await;
        assert!(run.wrong.is_empty(), "{run:?}");
        undisturbed
    }

    /// Returns the SHA-256 of this export's file, if known. It does not depend on time or on the
    /// number of runs.
    pub(super) async fn sha256(&self, options: ExportOptions) -> Option<String> {
        let known = self.undisturbed.lock().await;
        let same = |known: &&ExportOptions| (known.rows, known.gzip) == (options.rows, options.gzip);
        known.keys().find(same).map(|same| known[same].sha256.clone())
    }

    /// Returns a stack for one injection: a free one, or a new one.
    pub(in crate::faults) async fn test_stack(&self) -> TestStack {
        let free = self.free.lock().await.pop();
        match free {
            Some(test_stack) => test_stack,
            None => self.new_test_stack().await,
        }
    }

    async fn new_test_stack(&self) -> TestStack {
        self.new_test_stack_with(self.ledger).await
    }

    /// Returns a new stack with its ledger there.
    pub(super) async fn new_test_stack_with(&self, ledger: LedgerChoice) -> TestStack {
        let definitions = self.definitions();
        let definitions = definitions.each_ref().map(|(name, text)| (*name, text.as_str()));
        let test_stack = TestStack::new("", &definitions).await;
        match ledger {
            LedgerChoice::Mysql => test_stack,
            LedgerChoice::Dynamodb => test_stack.with_ledger_in_dynamodb().await,
        }
    }

    /// Returns a clean stack to the free ones, unless its ledger is another than theirs.
    pub(in crate::faults) async fn return_stack(&self, test_stack: TestStack) {
        if test_stack.has_ledger_in_dynamodb() == (self.ledger == LedgerChoice::Dynamodb) {
            self.free.lock().await.push(test_stack);
        }
    }

    /// Returns four definitions over the same rows: resumable, not resumable, one whose file is
    /// reused, and resumable with a throttle. The request sets the speed of the first three.
    fn definitions(&self) -> [(&'static str, String); 4] {
        let definition = |after: &str, resume: &str| {
            let rows = &self.rows.name;
            format!(
                r#"title = "Rows"
sql = '''
SELECT numbers.id, filling, SLEEP(:pause) AS slept FROM {rows}.numbers STRAIGHT_JOIN {rows}.texts ON texts.id = numbers.id % {TEXTS}
WHERE numbers.id <= :rows{after} ORDER BY numbers.id'''
{resume}
[params.rows]
type = "integer"
[params.pause]
type = "decimal"
"#
            )
        };
        let resume = "[resume]\ncolumn = \"id\"\nstart = 0";
        let throttled = format!("{resume}\n[throttle]\nbytes_per_second = 9_000_000");
        let after = " AND numbers.id > :after";
        [
            ("resumable", definition(after, resume)),
            ("once", definition("", "")),
            ("reused", definition("", "[output]\nreuse = \"10m\"")),
            ("throttled", definition(after, &throttled)),
        ]
    }
}

/// Returns the number of bytes that MySQL answers for so many rows.
pub fn bytes_of(rows: u64) -> u64 {
    rows * u64::from(ROW_BYTES)
}
