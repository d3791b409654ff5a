//! `cargo xtask bench memory`: the peak of memory of exports to S3 with many rows, a slow store, large cells, and every format.

use std::rc::Rc;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::budget::{Goal, Verdict};
use super::contender::Check;
use super::lab::{Lab, Query};
use super::measure::{self, Usage};
use super::report::{Report, Table};
use super::results::{self, Machine};
use super::s3::{BUCKET, S3};
use crate::number::grouped;

const NAME: &str = "memory";

/// The highest peak that is allowed, whatever the rows.
const MAX_KIB: u64 = 40 << 10;

/// How far the peak of ten times as many rows may lie from that of the table.
const SAME: f64 = 0.05;

/// Cells of 64 MiB in the query of large ones.
const LARGE_CELLS: u64 = 20;

/// All exports, and where they were measured.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Memory {
    pub(super) machine: Machine,
    /// In the table of orders.
    pub(super) orders: u64,
    pub(super) exports: Vec<Export>,
}

/// One export.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Export {
    /// What was read, by its name.
    pub(super) query: String,
    pub(super) rows: u64,
    /// `csv`, or format and compression: `csv gzip`.
    pub(super) format: String,
    /// How long the store held its answer to every part.
    pub(super) part_delay_ms: u64,
    /// In the store.
    pub(super) bytes: u64,
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) peak_kib: u64,
}

/// What is exported, and how.
struct Case {
    query: Query,
    format: &'static str,
    compression: &'static str,
    part_delay_ms: u64,
}

impl Memory {
    /// Returns the export of the whole table as CSV to a store that answers at once; all others are compared with it.
    fn base(&self) -> Option<&Export> {
        self.exports
            .iter()
            .find(|export| export.rows == self.orders && export.format == "csv" && export.part_delay_ms == 0)
    }

    /// Returns the export of ten times as many rows.
    fn tenfold(&self) -> Option<&Export> {
        self.exports.iter().find(|export| export.rows == self.orders * 10)
    }
}

/// Runs all exports and keeps the figures.
pub(super) fn run(lab: &Lab) -> Result<()> {
    let mut memory = Memory { machine: lab.machine()?, orders: lab.orders, exports: Vec::new() };
    for case in cases(lab.orders) {
        let export = export(lab, &case)?;
        let peak = export.peak_kib as f64 / 1024.0;
        lab.steps.say(&case.query.name, &format!("{} {peak:7.1} MiB", export.format));
        memory.exports.push(export);
    }
    results::save(NAME, &memory)
}

/// Returns the report of the last measurement.
pub(super) fn report() -> Result<Option<Report>> {
    Ok(results::load(NAME)?.map(|memory| write(&memory)))
}

fn cases(orders: u64) -> Vec<Case> {
    let plain = |query, part_delay_ms| Case { query, format: "csv", compression: "none", part_delay_ms };
    let table = || Query::of_table("orders", orders);
    let in_format = |format, compression| Case { query: table(), format, compression, part_delay_ms: 0 };
    let large = |compression| {
        ["large-texts", "large-bytes"].map(|name| Case {
            query: large_cells(name),
            format: "csv",
            compression,
            part_delay_ms: 0,
        })
    };
    let mut cases =
        vec![plain(table(), 0), plain(tenfold(orders), 0), plain(table(), 100), plain(table(), 1_000)];
    cases.extend([
        in_format("csv", "gzip"),
        in_format("csv", "zstd"),
        in_format("jsonl", "none"),
        in_format("xlsx", "none"),
        in_format("parquet", "none"),
    ]);
    cases.extend(large("none"));
    cases.extend(large("gzip"));
    cases
}

/// Returns a query of every order ten times: more rows from a table of the same size.
fn tenfold(orders: u64) -> Query {
    let ten: String = (1..10).map(|n| format!(" UNION ALL SELECT {n}")).collect();
    let sql = format!("SELECT o.* FROM (SELECT 0{ten}) ten STRAIGHT_JOIN orders o");
    Query { name: "orders-tenfold".to_owned(), table: None, sql, rows: orders * 10 }
}

/// Values as large as people sometimes keep in a database.
fn large_cells(name: &str) -> Query {
    let value = "REPEAT('x', 64 << 20)";
    let value = if name == "large-bytes" { format!("CAST({value} AS BINARY)") } else { value.to_owned() };
    let sql = format!("SELECT id, {value} AS value FROM orders WHERE id <= {LARGE_CELLS}");
    Query { name: name.to_owned(), table: None, sql, rows: LARGE_CELLS }
}

fn export(lab: &Lab, case: &Case) -> Result<Export> {
    let Case { query, format, compression, part_delay_ms } = case;
    let s3 = Rc::new(S3::discarding(&lab.env, &lab.tools.join("s3-server"), *part_delay_ms)?);
    let options = ["--format", format, "--compression", compression];
    let mut command = lab.downpipe(query, &format!("s3://{BUCKET}/exports"), true, &options)?;
    // It names the stack's own database, too.
    s3.apply_to(&mut command).env("DATABASE_URL", lab.database_url(true));
    let log = lab.folder.join("logs").join(format!("memory-{}-{format}-{compression}.log", query.name));
    let usage: Usage = measure::run(&lab.tools.join("measure"), &command, &log)?;
    let bytes = Check::ReceiptIn(s3).apply(&lab.tools, &log, &log, query.rows, 0)?;
    let format =
        if *compression == "none" { (*format).to_owned() } else { format!("{format} {compression}") };
    Ok(Export {
        query: query.name.clone(),
        rows: query.rows,
        format,
        part_delay_ms: *part_delay_ms,
        bytes,
        wall_seconds: usage.wall_seconds,
        cpu_seconds: usage.cpu_seconds(),
        peak_kib: usage.peak_kib,
    })
}

fn write(memory: &Memory) -> Report {
    let mut table =
        Table::new(["query", "rows", "format", "ms a part", "MB", "wall s", "client CPU s", "peak MiB"]);
    for export in &memory.exports {
        table.row([
            export.query.clone(),
            grouped(export.rows),
            export.format.clone(),
            export.part_delay_ms.to_string(),
            format!("{:.1}", export.bytes as f64 / 1e6),
            format!("{:.2}", export.wall_seconds),
            format!("{:.2}", export.cpu_seconds),
            format!("{:.1}", mib(export.peak_kib)),
        ]);
    }
    let mut report = Report::new(NAME, &memory.machine, memory.orders);
    report.show("Memory of whole exports to S3", &table);
    report.section(NAME, table.to_markdown());
    report.verdicts.extend(verdict(memory));
    report
}

fn verdict(memory: &Memory) -> Option<Verdict> {
    let (base, tenfold) = (memory.base()?, memory.tenfold()?);
    let growth = tenfold.peak_kib as f64 / base.peak_kib as f64;
    let csv = memory.exports.iter().filter(|export| export.format == "csv" && export.rows >= memory.orders);
    let slow = csv.filter(|export| export.part_delay_ms > 0).map(|export| export.peak_kib).max();
    let most = slow.unwrap_or_default().max(base.peak_kib).max(tenfold.peak_kib);
    let measured = format!(
        "{:.1} MiB, {:.1} with ten times the rows ({growth:.2} ×), {:.1} with slow S3",
        mib(base.peak_kib),
        mib(tenfold.peak_kib),
        mib(slow.unwrap_or_default()),
    );
    Some(Verdict::new(Goal::Memory, measured, most <= MAX_KIB && (growth - 1.0).abs() <= SAME))
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_compared_with_the_export_of_the_table() {
        let export = |rows, format: &str, part_delay_ms, peak_kib| Export {
            query: "orders".to_owned(),
            rows,
            format: format.to_owned(),
            part_delay_ms,
            bytes: 1,
            wall_seconds: 1.0,
            cpu_seconds: 1.0,
            peak_kib,
        };
        let memory = Memory {
            machine: results::tests::results(&[]).machine,
            orders: 3,
            exports: vec![export(3, "csv gzip", 0, 7), export(3, "csv", 0, 100), export(30, "csv", 0, 104)],
        };
        assert_eq!(memory.base().map(|export| export.peak_kib), Some(100));
        assert_eq!(memory.tenfold().map(|export| export.peak_kib), Some(104));
    }

    #[test]
    fn tenfold_query_repeats_each_order_ten_times() {
        let sql = tenfold(3).sql;
        assert_eq!(sql.matches("SELECT").count(), 11);
        assert!(sql.contains("SELECT 9) ten STRAIGHT_JOIN orders o"), "{sql}");
    }
}
