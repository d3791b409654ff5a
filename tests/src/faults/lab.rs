//! Where faults are injected into an export: a table to export on a real MySQL, a bucket on LocalStack, a proxy before each,
//! and somebody who looks at what is left afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::{StreamExt as _, stream};
use tokio::sync::OnceCell;
use xtask::faults::Outcome;

use super::scene::{Ended, Run, Scene};
use super::workers::works::Works;
use crate::aws;
use crate::database::TestDatabase;

/// How patient everybody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As in production.
    Real,
    /// With shorter timeouts, for the tests.
    Quick,
}

impl Pace {
    /// What a store that stalls takes: longer than anybody waits for one answer.
    #[must_use]
    pub fn stall(self) -> Duration {
        match self {
            Self::Real => Duration::from_secs(90),
            Self::Quick => Duration::from_secs(30),
        }
    }

    /// The longest that an operation on S3 may take, retries included.
    #[must_use]
    pub fn s3_operation(self) -> Duration {
        match self {
            // With the time that a part of 8 MiB may take on a slow link besides.
            Self::Real => Duration::from_secs(308),
            Self::Quick => Duration::from_secs(18),
        }
    }

    /// The time of an export that waits in vain for the database.
    #[must_use]
    pub fn silence(self) -> Duration {
        match self {
            Self::Real => Duration::from_secs(60),
            Self::Quick => Duration::from_secs(10),
        }
    }

    /// The time that an export has.
    #[must_use]
    pub fn export(self) -> Duration {
        match self {
            Self::Real => Duration::from_secs(870),
            Self::Quick => Duration::from_secs(120),
        }
    }
}

/// How often to inject a fault, where it is random at which places, and at which pace.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How often.
    pub times: u32,
    /// What random places are drawn from.
    pub seed: u64,
    /// How patient everybody is.
    pub pace: Pace,
}

/// How much is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// As little, but in a profile whose files get their names at the end, by a copy within S3.
    Renamed,
    /// One request stores it.
    Tiny,
    /// Two parts.
    Small,
    /// [`LARGE_PARTS`].
    Large,
}

/// The parts of a large export.
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

/// The table that is exported, and what its exports are when nothing disturbs them.
#[derive(Debug)]
pub struct Lab {
    /// Where the table is.
    pub database: TestDatabase,
    /// LocalStack's settings, past any proxy.
    pub config: SdkConfig,
    pub(super) undisturbed: BTreeMap<Size, Undisturbed>,
    pace: Pace,
    works: OnceCell<Works>,
}

/// An export that nothing has disturbed.
#[derive(Debug, Clone)]
pub struct Undisturbed {
    /// Of its bytes.
    pub sha256: String,
    /// The bytes of the server's answers.
    pub answered: u64,
    /// The requests to S3.
    pub requests: u32,
}

impl Lab {
    /// Fills the table and exports it once in every size.
    pub async fn open(pace: Pace) -> Self {
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
        if pace == Pace::Quick {
            let timeouts = config.timeout_config().unwrap().to_builder();
            let quick = timeouts
                .operation_attempt_timeout(Duration::from_secs(2))
                .operation_timeout(Duration::from_secs(10));
            let retries =
                config.retry_config().unwrap().clone().with_initial_backoff(Duration::from_millis(10));
            config = config.into_builder().timeout_config(quick.build()).retry_config(retries).build();
        }
        let mut lab = Self { database, config, undisturbed: BTreeMap::new(), pace, works: OnceCell::new() };
        for size in [Size::Renamed, Size::Tiny, Size::Small, Size::Large] {
            let scene = Scene::set(&lab, size).await;
            let receipt = scene.attempt(1).await.unwrap();
            let undisturbed = Undisturbed {
                sha256: receipt.files[0].sha256.clone(),
                answered: scene.mysql.answered()[0],
                requests: u32::try_from(scene.s3.passed().len()).unwrap(),
            };
            let run = scene.look(Ended::Ready(1), 1).await;
            assert!(run.wrong.is_empty(), "{run:?}");
            lab.undisturbed.insert(size, undisturbed);
        }
        lab
    }

    /// What an export of this size is when nothing disturbs it.
    pub fn undisturbed(&self, size: Size) -> &Undisturbed {
        &self.undisturbed[&size]
    }

    /// How patient everybody is.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Where whole workers work. Made when it is first asked for.
    pub async fn works(&self) -> &Works {
        self.works.get_or_init(|| Works::open(self.pace)).await
    }

    /// Injects a fault so often, some at the same time, and sums up. The injection is given its number, from 0.
    pub async fn inject(
        &self,
        fault: &str,
        times: u32,
        at_once: usize,
        one: impl AsyncFn(u32) -> Run,
    ) -> Outcome {
        let runs: Vec<Run> = stream::iter(0..times).map(|k| one(k)).buffer_unordered(at_once).collect().await;
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
