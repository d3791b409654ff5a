//! What all scenes with workers share: rows to export, sites to use again, and what exports are when nothing disturbs them.

use std::collections::BTreeMap;
use std::time::Duration;

use downpipe_core::job::JobState;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::scene::{Ask, WorkerScene};
use crate::database::TestDatabase;
use crate::faults::http_proxy::Passing;
use crate::faults::lab::Pace;
use crate::site::Site;

/// The bytes of a row's text. No compression makes much of them, whichever 256 of them come in a row.
const ROW_BYTES: u32 = 1 << 16;

/// Rows with different texts.
const TEXTS: u32 = 256;

/// Rows in the table: 640 MB.
const ROWS: u32 = 10_000;

/// The rows, and the sites that nobody uses now.
#[derive(Debug)]
pub struct Works {
    rows: TestDatabase,
    free: Mutex<Vec<Site>>,
    undisturbed: Mutex<BTreeMap<Ask, Undisturbed>>,
    pace: Pace,
}

/// A job that nothing has disturbed.
#[derive(Debug, Clone)]
pub struct Undisturbed {
    /// Of the file.
    pub sha256: String,
    /// The requests to AWS, from the start of the worker to its end.
    pub requests: Vec<Passing>,
    /// The statements to MySQL, likewise.
    pub statements: u32,
    /// The bytes of the server's answers, by connection: the ledger's comes first, the query's next.
    pub answered: Vec<u64>,
    /// From the start of the worker to its end.
    pub took: Duration,
}

impl Works {
    /// Fills the table.
    pub async fn open(pace: Pace) -> Self {
        let rows = TestDatabase::create().await;
        // 768 bytes are 1024 digits of Base64, without the ends of lines that MySQL puts in.
        let text = "REPLACE(TO_BASE64(RANDOM_BYTES(768)), '\\n', '')";
        let texts = vec![text; usize::try_from(ROW_BYTES / 1024).unwrap()].join(", ");
        rows.execute(&format!(
            "CREATE TABLE numbers (id INT PRIMARY KEY); SET cte_max_recursion_depth = {ROWS}; \
             INSERT INTO numbers WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < {ROWS}) \
             SELECT a FROM n; \
             CREATE TABLE texts (id INT PRIMARY KEY, filling MEDIUMTEXT NOT NULL); \
             INSERT INTO texts SELECT id - 1, CONCAT({texts}) FROM numbers WHERE id <= {TEXTS}"
        ))
        .await;
        Self { rows, free: Mutex::default(), undisturbed: Mutex::default(), pace }
    }

    /// How patient everybody is.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The database that the rows are in.
    pub(super) fn rows_in(&self) -> &str {
        &self.rows.name
    }

    /// What a job is when nothing disturbs it.
    pub async fn undisturbed(&self, ask: Ask) -> Undisturbed {
        // Held: whoever else asks waits for the same.
        let mut known = self.undisturbed.lock().await;
        if let Some(known) = known.get(&ask) {
            return known.clone();
        }
        let scene = WorkerScene::set(self, ask).await;
        let job = scene.ask().await;
        let began = Instant::now();
        let mut worker = scene.worker(&[]);
        scene.ended(&mut worker).await;
        let took = began.elapsed();
        let requests = scene.aws.passed();
        let (statements, answered) = (scene.mysql.statements(), scene.mysql.answered());
        let ready = scene.site.job_in_state(&job, JobState::Ready).await;
        let sha256 = ready.receipt.unwrap().files[0].sha256.clone();
        let undisturbed = Undisturbed { sha256, requests, statements, answered, took };
        known.insert(ask, undisturbed.clone());
        drop(known);
        let run = Box::pin(scene.look(&job, 1, 1..=1)).await;
        assert!(run.wrong.is_empty(), "{run:?}");
        undisturbed
    }

    /// The SHA-256 of the file that was asked for, if that is known: it is the same however long it takes, and in whatever runs.
    pub(super) async fn sha256(&self, ask: Ask) -> Option<String> {
        let known = self.undisturbed.lock().await;
        let same = |known: &&Ask| (known.rows, known.gzip) == (ask.rows, ask.gzip);
        known.keys().find(same).map(|same| known[same].sha256.clone())
    }

    /// A site that nobody else uses.
    pub(super) async fn site(&self) -> Site {
        let free = self.free.lock().await.pop();
        match free {
            Some(site) => site,
            None => {
                let definitions = self.definitions();
                let definitions = definitions.each_ref().map(|(name, text)| (*name, text.as_str()));
                Site::new("", &definitions).await
            }
        }
    }

    /// Gives back a site on which nothing is left.
    pub(super) async fn give_back(&self, site: Site) {
        self.free.lock().await.push(site);
    }

    /// The same rows, once with a way to go on and once without. They come as slowly as the request says.
    fn definitions(&self) -> [(&'static str, String); 2] {
        let definition = |after: &str, resume: &str| {
            let rows = &self.rows.name;
            format!(
                r#"title = "Rows"
sql = """
SELECT numbers.id, filling, SLEEP(:pause) AS slept FROM {rows}.numbers STRAIGHT_JOIN {rows}.texts ON texts.id = numbers.id % {TEXTS}
WHERE numbers.id <= :rows{after} ORDER BY numbers.id"""
{resume}
[params.rows]
type = "integer"
[params.pause]
type = "decimal"
"#
            )
        };
        let resume = "[resume]\ncolumn = \"id\"\nstart = 0";
        [("resumable", definition(" AND numbers.id > :after", resume)), ("once", definition("", ""))]
    }
}

/// The bytes of MySQL's answers that so many rows take.
pub fn bytes_of(rows: u64) -> u64 {
    rows * u64::from(ROW_BYTES)
}
