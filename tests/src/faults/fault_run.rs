//! Holds what all injections share: a table on a real MySQL, LocalStack, and what each export
//! writes without a fault.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::{StreamExt as _, stream};
use tokio::sync::OnceCell;
use xtask::demo::LedgerChoice;
use xtask::faults::Outcome;

use super::scene::{Ended, Run, Scene};
use super::workers::harness::WorkerHarness;
use crate::aws;
use crate::database::TestDatabase;

/// The length of timeouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// The timeouts of production.
    Real,
    /// Shorter timeouts, for the tests.
    Quick,
}

impl Timing {
    /// Returns how long a stalled store stalls: longer than any client waits for one answer.
    #[must_use]
    pub fn stall(self) -> Duration {
        match self {
            Self::Real => Duration::from_secs(90),
            Self::Quick => Duration::from_secs(30),
        }
    }

    /// Returns the longest that an operation on S3 may take, retries included.
    #[must_use]
    pub fn s3_operation(self) -> Duration {
        match self {
            // Includes the time that a part of 8 MiB takes on a slow link.
            Self::Real => Duration::from_secs(308),
            Self::Quick => Duration::from_secs(28),
        }
    }

    /// Returns the time limit of an export whose database is silent.
    #[must_use]
    pub fn silence(self) -> Duration {
        match self {
            Self::Real => Duration::from_secs(60),
            Self::Quick => Duration::from_secs(10),
        }
    }

    /// Returns the time limit of any other export.
    #[must_use]
    pub fn export(self) -> Duration {
        match self {
            Self::Real => Duration::from_secs(870),
            Self::Quick => Duration::from_secs(120),
        }
    }
}

/// How often to inject a fault, with which seed and timeouts.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The number of injections.
    pub times: u32,
    /// The seed of random places.
    pub seed: u64,
    /// The timeouts.
    pub timing: Timing,
}

/// The size of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// One request stores the file, which a copy within S3 then renames.
    Renamed,
    /// One request stores the file.
    Tiny,
    /// The file has two parts.
    Small,
    /// The file has [`LARGE_PARTS`] parts.
    Large,
}

/// The number of parts of a large export.
pub const LARGE_PARTS: u32 = 4;

impl Size {
    pub(super) fn profile(self) -> &'static str {
        if self == Self::Renamed { "excel" } else { "plain" }
    }

    pub(super) fn rows(self) -> u32 {
        match self {
            Self::Tiny | Self::Renamed => 100,
            Self::Small => 4_500,
            Self::Large => 12_500,
        }
    }
}

/// The table that is exported, and its undisturbed exports.
#[derive(Debug)]
pub struct FaultRun {
    /// The database with the table.
    pub database: TestDatabase,
    /// AWS settings for LocalStack, without a proxy.
    pub config: SdkConfig,
    pub(super) undisturbed: BTreeMap<Size, Undisturbed>,
    timing: Timing,
    ledger: LedgerChoice,
    harness: OnceCell<WorkerHarness>,
}

/// An export without a fault.
#[derive(Debug, Clone)]
pub struct Undisturbed {
    /// The SHA-256 of the file.
    pub sha256: String,
    /// The number of bytes that MySQL answered.
    pub answered: u64,
    /// The number of requests to S3.
    pub requests: u32,
}

impl FaultRun {
    /// Fills the table and exports it once in every size.
    ///
    /// The ledger is that of workers, unless a fault needs another.
    pub async fn open(timing: Timing, ledger: LedgerChoice) -> Self {
        let database = TestDatabase::create().await;
        let rows = Size::Large.rows();
        database
            .execute(&format!(
                "CREATE TABLE orders (id INT PRIMARY KEY, name VARCHAR(100) NOT NULL, notes TEXT NOT NULL); \
                 SET cte_max_recursion_depth = {rows}; INSERT INTO orders WITH RECURSIVE n AS \
                 (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < {rows}) \
                 SELECT a, CONCAT('注文 ', a, ', \"', SHA2(a, 224), '\"'), REPEAT(SHA2(a, 256), 34) FROM n"
            ))
            .await;
        let mut config = aws::localstack().await;
        if timing == Timing::Quick {
            let timeouts = config.timeout_config().unwrap().to_builder();
            let quick = timeouts
                .operation_attempt_timeout(Duration::from_secs(4))
                .operation_timeout(Duration::from_secs(20));
            let retries =
                config.retry_config().unwrap().clone().with_initial_backoff(Duration::from_millis(10));
            config = config.into_builder().timeout_config(quick.build()).retry_config(retries).build();
        }
        let (undisturbed, harness) = (BTreeMap::new(), OnceCell::new());
        let mut fault_run = Self { database, config, undisturbed, timing, ledger, harness };
        for size in [Size::Renamed, Size::Tiny, Size::Small, Size::Large] {
            let scene = Scene::new(&fault_run, size).await;
            let receipt = scene.attempt(1).await.unwrap();
            let undisturbed = Undisturbed {
                sha256: receipt.files[0].sha256.clone(),
                answered: scene.mysql.answered()[0],
                requests: u32::try_from(scene.s3.requests().len()).unwrap(),
            };
            let run = scene.inspect(Ended::Ready(1), 1).await;
            assert!(run.wrong.is_empty(), "{run:?}");
            fault_run.undisturbed.insert(size, undisturbed);
        }
        fault_run
    }

    /// Returns what an export of this size is without a fault.
    pub fn undisturbed(&self, size: Size) -> &Undisturbed {
        &self.undisturbed[&size]
    }

    /// Returns the timeouts.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Returns where the workers' ledger is.
    pub fn ledger(&self) -> LedgerChoice {
        self.ledger
    }

    /// Returns the harness for worker processes, which the first call creates.
    pub async fn harness(&self) -> &WorkerHarness {
        self.harness.get_or_init(|| WorkerHarness::open(self.timing, self.ledger)).await
    }

    /// Injects a fault so many times, some concurrently, and sums up. The closure gets the
    /// injection's number, from 0.
    pub async fn inject(
        &self,
        fault: &str,
        times: u32,
        concurrency: usize,
        one: impl AsyncFn(u32) -> Run,
    ) -> Outcome {
        let runs: Vec<Run> =
            stream::iter(0..times).map(|k| one(k)).buffer_unordered(concurrency).collect().await;
        summary(fault, runs)
    }
}

fn summary(fault: &str, runs: Vec<Run>) -> Outcome {
    let mut outcome = Outcome { fault: fault.to_owned(), ..Outcome::default() };
    let mut ends = BTreeMap::<String, u32>::new();
    for run in runs {
        outcome.injected += run.injected;
        outcome.objects += run.objects;
        if let Some(emails) = run.emails {
            *outcome.emails.get_or_insert(0) += emails;
        }
        outcome.orphans += run.orphans;
        outcome.queries_left += run.queries_left;
        outcome.wrong.extend(run.wrong);
        let end = match run.ended {
            Ended::Ready(1) => "whole at the first attempt".to_owned(),
            Ended::Ready(attempt) => format!("whole at attempt {attempt}"),
            Ended::Failed(code) => format!("failed clearly ({code})"),
        };
        *ends.entry(end).or_default() += 1;
    }
    let ends: Vec<_> = ends.into_iter().map(|(end, times)| format!("{times} {end}")).collect();
    outcome.outcome = ends.join(", ");
    outcome
}
