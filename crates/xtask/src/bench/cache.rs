//! `cargo xtask bench cache`: what a click costs that the cache answers, one that it does not, and one without a cache.
//!
//! The Lambda's program handles the clicks behind `runtime-api`. It logs in to MySQL as a user of its own, whose statements the server
//! counts. It reaches AWS through a proxy that notes how long each request is under way, because the local AWS is slower than the real
//! one: the time without that is the worker's own.

mod clicks;
mod kind;
mod surroundings;
mod waits;

use std::fs;

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use self::clicks::{Clicks, Programs};
use self::kind::{Cache, Click, Kind, Ledger};
use self::surroundings::{ROWS, Surroundings};
use super::budget::{Goal, Verdict};
use super::measure;
use super::report::{Report, Table};
use super::results::{self, Machine};
use super::statistics::{Spread, percentile};
use crate::cargo::{self, PROGRAMS};
use crate::stack::{Paths, StackEnv, Steps};

const NAME: &str = "cache";

/// The most of our own time that a hit may take.
const MAX_HIT_MS: f64 = 20.0;

/// The program that is measured.
const MEASURED: [&str; 4] = ["--release", "-p", "downpipe-lambda", "--bins"];

/// How clicks are measured.
#[derive(Args, Clone, Copy, Debug, Eq, PartialEq)]
pub struct CacheOptions {
    /// Clicks of each kind
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub clicks: u32,
    /// With debug builds, to try the measurement; the figures are shown and not kept
    #[arg(long)]
    pub debug: bool,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { clicks: 200, debug: false }
    }
}

/// What was measured.
#[derive(Debug, Deserialize, Serialize)]
struct Measured {
    machine: Machine,
    kinds: Vec<Clicks>,
}

/// Measures and keeps the figures; those of debug builds are shown instead.
pub(super) fn run(options: CacheOptions) -> Result<()> {
    let measured = measure_all(options)?;
    if options.debug {
        println!("{}", write(&measured).shown());
        return Ok(());
    }
    results::save(NAME, &measured)
}

/// Returns the report of the last measurement.
pub(super) fn report() -> Result<Option<Report>> {
    Ok(results::load(NAME)?.map(|measured| write(&measured)))
}

fn measure_all(CacheOptions { clicks, debug }: CacheOptions) -> Result<Measured> {
    let steps = Steps::start();
    let env = StackEnv::load(&Paths::of_workspace())?;
    // `downpipe` only makes the tables.
    let built = cargo::build(&[&PROGRAMS[..], &["--bins"]].concat(), &steps)?;
    let measured = if debug { None } else { Some(cargo::build(&MEASURED, &steps)?) };
    let programs = Programs {
        bootstrap: measured.as_ref().unwrap_or(&built).path("bootstrap")?.to_owned(),
        runtime_api: measure::build_tools(Some("runtime-api"))?.join("runtime-api"),
    };
    let folder = cargo::target_dir()?.join("bench").join(NAME);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let around = Surroundings::create(&env, &folder, built.path("downpipe")?)?;
    let mut kinds = Vec::new();
    for kind in Kind::all() {
        let (ledger, click) = (kind.ledger_name(), kind.click_name());
        steps.say(NAME, &format!("{clicks} clicks, ledger in {ledger}: {click}"));
        kinds.push(clicks::measure(&programs, &around, kind, clicks)?);
    }
    Ok(Measured { machine: Machine::here(around.recorder.server_version()?)?, kinds })
}

fn write(measured: &Measured) -> Report {
    let mut table =
        Table::new(["ledger", "click", "our own ms", "95 %", "with AWS ms", "CPU ms", "statements in MySQL"]);
    for Clicks { kind, wall_ms, own_ms, cpu_ms, statements } in &measured.kinds {
        let [own, wall, cpu] = [own_ms, wall_ms, cpu_ms].map(|figures| format!("{:.1}", median(figures)));
        let late = format!("{:.1}", percentile(own_ms, 95));
        let [ledger, click] = [kind.ledger_name(), kind.click_name()].map(str::to_owned);
        table.row([ledger, click, own, late, wall, cpu, format!("{statements:.1}")]);
    }
    let mut report = Report::new(NAME, &measured.machine, ROWS.into());
    report.show("Clicks with a cache and without one", &table);
    report.section(NAME, table.to_markdown());
    report.verdicts.extend(verdict(&measured.kinds));
    report
}

/// Judges the hits in Valkey with either ledger.
fn verdict(kinds: &[Clicks]) -> Option<Verdict> {
    let hit = |ledger| {
        let kind = Kind { ledger, cache: Cache::Valkey, click: Click::Second };
        kinds.iter().find(|clicks| clicks.kind == kind)
    };
    let (mysql, dynamodb) = (hit(Ledger::MySql)?, hit(Ledger::DynamoDb)?);
    let [in_mysql, in_dynamodb] = [mysql, dynamodb].map(|clicks| median(&clicks.own_ms));
    let statements = dynamodb.statements;
    let measured = format!(
        "{in_mysql:.1} ms with the ledger in MySQL; {in_dynamodb:.1} ms in DynamoDB, with {statements:.0} statements"
    );
    let met = in_mysql < MAX_HIT_MS && in_dynamodb < MAX_HIT_MS && statements == 0.0;
    Some(Verdict::new(Goal::CacheHit, measured, met))
}

fn median(figures: &[f64]) -> f64 {
    Spread::of(figures.iter().copied()).map_or(f64::NAN, |spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clicks(ledger: Ledger, own: f64, statements: f64) -> Clicks {
        let kind = Kind { ledger, cache: Cache::Valkey, click: Click::Second };
        let [wall_ms, own_ms, cpu_ms] = [own + 9.0, own, own / 2.0].map(|figure| vec![figure; 3]);
        Clicks { kind, wall_ms, own_ms, cpu_ms, statements }
    }

    #[test]
    fn hit_meets_its_goal_only_if_quick_with_both_ledgers_and_without_statements() {
        let met = |mysql: f64, dynamodb: f64, statements: f64| {
            let kinds = [clicks(Ledger::MySql, mysql, 9.0), clicks(Ledger::DynamoDb, dynamodb, statements)];
            verdict(&kinds).unwrap().is_met()
        };
        assert!(met(4.0, 5.0, 0.0));
        assert!(!met(20.0, 5.0, 0.0) && !met(4.0, 20.0, 0.0) && !met(4.0, 5.0, 0.1));
        assert!(verdict(&[clicks(Ledger::MySql, 4.0, 9.0)]).is_none());
    }
}
