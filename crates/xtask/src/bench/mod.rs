//! `cargo xtask bench`: measures what an export costs, beside other programs.
//!
//! Most measurements are of whole processes. Each keeps its figures in `target/bench/results`, and the documents are written from
//! the figures of all; so one measurement can be repeated by itself.

mod aws_parts;
mod budget;
mod cache;
mod checkpoints;
mod contender;
mod counts;
mod documents;
mod formats;
mod growth;
mod install;
mod instructions;
mod lab;
mod measure;
mod memory;
mod peers;
mod plot;
mod programs;
mod report;
mod results;
mod s3;
mod server;
mod start;
mod statements;
mod statistics;
mod tables;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};

pub use self::cache::CacheOptions;
pub use self::instructions::InstructionsOptions;
pub use self::statements::StatementsOptions;
use self::{lab::Lab, peers::PeersOptions};

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Subcommand)]
pub enum Measurement {
    /// Downpipe beside other programs
    Peers,
    /// Formats and compressions, and tables of other kinds
    Formats,
    /// How time grows with rows and columns
    Growth,
    /// The peak of memory: many rows, slow S3, large cells, every format
    Memory,
    /// The cost of checkpoints
    Checkpoints,
    /// The Lambda's program: cold starts, and small exports after a warm one
    Start,
    /// A click that the cache answers, one that it does not, and one without a cache; needs the running stack
    Cache(CacheOptions),
    /// Instructions a row in the inner loops, beside the committed baseline; needs no quiet machine
    Instructions(InstructionsOptions),
    /// Statements that a small job costs MySQL; needs the running stack
    Statements(StatementsOptions),
    /// Write the documents from earlier measurements
    Report,
}

/// How it is measured.
#[derive(Args, Clone, Debug)]
pub struct BenchOptions {
    /// Rows in the table of orders
    #[arg(long, global = true, default_value_t = 3_000_000)]
    pub rows: u64,
    /// Rounds; in each, every program runs once
    #[arg(long, global = true, default_value_t = 5)]
    pub rounds: u32,
    /// Rounds of programs that take a minute
    #[arg(long, global = true, default_value_t = 1)]
    pub slow_rounds: u32,
    /// Only peers whose names contain one of these; their figures are shown and not kept
    #[arg(long, global = true, value_delimiter = ',')]
    pub only: Vec<String>,
}

/// Runs one measurement or all, and writes the documents. Returns whether nothing got worse, as far as one measurement tells.
pub fn run(measurement: Option<Measurement>, options: &BenchOptions) -> Result<bool> {
    if let Some(Measurement::Instructions(options)) = measurement {
        return instructions::run(options);
    }
    if let Some(Measurement::Statements(options)) = measurement {
        return statements::run(options);
    }
    if let Some(Measurement::Cache(options)) = measurement {
        cache::run(options)?;
        return if options.debug { Ok(true) } else { documents::write(Some("cache")).map(|()| true) };
    }
    let BenchOptions { rows, rounds, slow_rounds, only } = options;
    ensure!(*rows >= 1_000, "--rows: expected at least 1000, got {rows}");
    ensure!(*rounds > 0, "--rounds: expected at least 1, got 0");
    ensure!(
        only.is_empty() || measurement == Some(Measurement::Peers),
        "--only: expected with `peers`, got with something else"
    );
    let is_wanted = |one| measurement.is_none_or(|wanted| wanted == one);
    let shown = match measurement {
        None
        | Some(
            Measurement::Report
            | Measurement::Cache(_)
            | Measurement::Instructions(_)
            | Measurement::Statements(_),
        ) => None,
        Some(Measurement::Peers) => Some("peers"),
        Some(Measurement::Formats) => Some("formats"),
        Some(Measurement::Growth) => Some("growth"),
        Some(Measurement::Memory) => Some("memory"),
        Some(Measurement::Checkpoints) => Some("checkpoints"),
        Some(Measurement::Start) => Some("start"),
    };
    if measurement != Some(Measurement::Report) {
        let lab = Lab::open(*rows)?;
        if is_wanted(Measurement::Peers) {
            peers::run(&lab, &PeersOptions { rounds: *rounds, slow_rounds: *slow_rounds, only })?;
        }
        if is_wanted(Measurement::Formats) {
            formats::run(&lab, *rounds, *slow_rounds)?;
        }
        if is_wanted(Measurement::Growth) {
            growth::run(&lab, *rounds)?;
        }
        if is_wanted(Measurement::Memory) {
            memory::run(&lab)?;
        }
        if is_wanted(Measurement::Checkpoints) {
            checkpoints::run(&lab, *rounds)?;
        }
        if is_wanted(Measurement::Start) {
            start::run(&lab)?;
        }
        if measurement.is_none() {
            cache::run(CacheOptions::default())?;
        }
    }
    if !only.is_empty() {
        return Ok(true);
    }
    documents::write(shown).map(|()| true)
}
