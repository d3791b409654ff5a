//! `cargo xtask bench formats`: what formats, compressions and kinds of tables cost.

use std::rc::Rc;

use anyhow::Result;

use super::{
    budget::{Goal, Verdict},
    lab::{Lab, Query},
    programs::{self, FLOOR, OURS, Program, WHOLE_EXPORT},
    report::{Report, cost_table, not_there},
    results::{self, Results, Sample},
    s3::S3,
};
use crate::number::grouped;

const NAME: &str = "formats";
/// The rows that pandas can take into memory and a workbook in reasonable time.
const FEW: u64 = 200_000;
const FEW_ORDERS: &str = "some-orders";
const ORDERS: &str = "orders";

const XLSX: &str = "Downpipe, xlsx";
const PARQUET: &str = "Downpipe, parquet";
const GZIP: &str = "Downpipe, csv, gzip";
const ZSTD: &str = "Downpipe, csv, zstd";
const PANDAS_XLSX: &str = "pandas + XlsxWriter, xlsx";
const PANDAS_PARQUET: &str = "pandas + pyarrow, parquet";

/// Runs all and keeps the figures.
pub(super) fn run(lab: &Lab, rounds: u32, slow_rounds: u32) -> Result<()> {
    let mut results = Results::new(lab.machine()?, lab.orders);
    let whole = Query::of_table(ORDERS, lab.orders);
    let few = Query {
        name: FEW_ORDERS.to_owned(),
        table: None,
        sql: format!("SELECT * FROM orders WHERE id <= {FEW}"),
        rows: FEW.min(lab.orders),
    };
    let quick = S3::discarding(&lab.env, &lab.tools.join("s3-server"), 0).map(Rc::new);
    let contenders = programs::ready(lab, &whole, ours(), slow_rounds, &mut results);
    lab.rounds(&whole, contenders, rounds, &mut results)?;
    let pandas = [programs::pandas(PANDAS_XLSX, "xlsx"), programs::pandas(PANDAS_PARQUET, "parquet")];
    let programs = ours().into_iter().chain(pandas);
    let contenders = programs::ready(lab, &few, programs, slow_rounds, &mut results);
    lab.rounds(&few, contenders, rounds, &mut results)?;
    // As many rows as `tables.sql` gives them.
    for table in [
        Query::of_table("texts", lab.orders * 2 / 3),
        Query::of_table("numbers", lab.orders),
        Query::of_table("wide", lab.orders / 20),
    ] {
        let programs = [
            programs::floor(),
            programs::ours_to_file(OURS, "csv", false, &[]),
            programs::ours_to_s3(WHOLE_EXPORT, true, &quick),
            programs::mysql_client(),
        ];
        let contenders = programs::ready(lab, &table, programs, slow_rounds, &mut results);
        lab.rounds(&table, contenders, rounds, &mut results)?;
    }
    results::save(NAME, &results)
}

fn ours<'a>() -> Vec<Program<'a>> {
    vec![
        programs::ours_to_file(OURS, "csv", false, &[]),
        programs::ours_to_file(GZIP, "csv.gz", false, &["--compression", "gzip"]),
        programs::ours_to_file(ZSTD, "csv.zst", false, &["--compression", "zstd"]),
        programs::ours_to_file("Downpipe, jsonl", "jsonl", false, &["--format", "jsonl"]),
        programs::ours_to_file(XLSX, "xlsx", false, &["--format", "xlsx"]),
        programs::ours_to_file(PARQUET, "parquet", false, &["--format", "parquet"]),
    ]
}

/// Returns the report; none when it was never measured.
pub(super) fn report() -> Result<Option<Report>> {
    Ok(results::load(NAME)?.map(|results| write(&results)))
}

fn write(results: &Results) -> Report {
    let mut report = Report::new(NAME, &results.machine, results.orders);
    let [all, few] = [results.orders, FEW.min(results.orders)].map(grouped);
    for (section, base, parts) in [
        ("formats", OURS, vec![(ORDERS, format!("All {all} orders")), (FEW_ORDERS, format!("{few} orders"))]),
        (
            "tables",
            FLOOR,
            vec![
                ("texts", "Nothing but text".to_owned()),
                ("numbers", "Nothing but numbers and times".to_owned()),
                ("wide", "200 columns".to_owned()),
            ],
        ),
    ] {
        let mut text = String::new();
        for (query, title) in parts {
            let table = cost_table(results, query, base);
            text.push_str(&format!("{title}:\n\n{}{}\n", table.to_markdown(), not_there(results, query)));
            report.show(&title, &table);
        }
        report.section(section, text);
    }
    report.verdicts.extend(verdicts(results));
    report
}

fn verdicts(results: &Results) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let texts = results
        .ratio("texts", WHOLE_EXPORT, FLOOR, Sample::wall)
        .map(|ratio| (ratio, ""))
        .or_else(|| Some((results.ratio("texts", OURS, FLOOR, Sample::wall)?, ", to a file")));
    if let Some((ratio, how)) = texts {
        verdicts.push(Verdict::new(Goal::Texts, format!("{ratio} ×{how}"), ratio.median <= 1.0));
    }
    let [gzip, zstd] = [GZIP, ZSTD].map(|name| results.ratio(ORDERS, name, OURS, Sample::wall));
    if let (Some(gzip), Some(zstd)) = (gzip, zstd) {
        let measured = format!("gzip {gzip} ×, zstd {zstd} ×");
        verdicts.push(Verdict::new(Goal::Compressed, measured, gzip.median <= 1.1 && zstd.median <= 1.1));
    }
    let [xlsx, parquet] = [(PANDAS_XLSX, XLSX), (PANDAS_PARQUET, PARQUET)]
        .map(|(pandas, ours)| results.ratio(FEW_ORDERS, pandas, ours, Sample::wall));
    if let (Some(xlsx), Some(parquet)) = (xlsx, parquet) {
        let peak = |name| results.spread(ORDERS, name, Sample::peak_mib).map_or(0.0, |peak| peak.most);
        let measured = format!(
            "XLSX {:.1} × faster, Parquet {:.1} ×; peak {:.0} and {:.0} MiB for all rows",
            xlsx.median,
            parquet.median,
            peak(XLSX),
            peak(PARQUET),
        );
        verdicts.push(Verdict::new(Goal::Formats, measured, xlsx.median > 1.0 && parquet.median > 1.0));
    }
    verdicts
}
