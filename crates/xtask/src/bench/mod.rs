//! `cargo xtask bench`: what an export costs, beside other people's programs and beside itself.
//!
//! Every command measures whole processes, keeps its figures in `target/bench/results`, and then has the documents written
//! from everything that was ever measured; so one of them can be measured again alone.

mod budget;
mod checkpoints;
mod contender;
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
mod statistics;
mod tables;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};

pub use self::instructions::InstructionsOptions;
use self::{lab::Lab, peers::PeersOptions};

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Subcommand)]
pub enum Measurement {
    /// Downpipe beside other people's programs
    Peers,
    /// Formats and compressions, and tables of other kinds
    Formats,
    /// How time grows with rows and columns
    Growth,
    /// The peak of memory: many rows, slow S3, large cells, every format
    Memory,
    /// What it costs that an export can be gone on with
    Checkpoints,
    /// The Lambda's program: its start, and a small export after it
    Start,
    /// Instructions of the inner loops, a row at a time, beside the committed baseline; needs no quiet machine
    Instructions(InstructionsOptions),
    /// Nothing anew: the documents are written from what was measured before
    Report,
}

/// How it is measured.
#[derive(Args, Clone, Debug)]
pub struct BenchOptions {
    /// Rows in the table of orders
    #[arg(long, global = true, default_value_t = 3_000_000)]
    pub rows: u64,
    /// How often everybody runs; they take turns
    #[arg(long, global = true, default_value_t = 5)]
    pub rounds: u32,
    /// The same for those that take a minute
    #[arg(long, global = true, default_value_t = 1)]
    pub slow_rounds: u32,
    /// Of the peers, only those whose names contain one of these; what they take is shown and not kept
    #[arg(long, global = true, value_delimiter = ',')]
    pub only: Vec<String>,
}

/// Measures, all of it unless something is named, and writes the documents. Returns whether nothing got worse, as far as that can
/// be told from one measurement.
pub fn run(measurement: Option<Measurement>, options: &BenchOptions) -> Result<bool> {
    if let Some(Measurement::Instructions(options)) = measurement {
        return instructions::run(options);
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
        None | Some(Measurement::Report | Measurement::Instructions(_)) => None,
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
    }
    if !only.is_empty() {
        return Ok(true);
    }
    report::write(shown).map(|()| true)
}
