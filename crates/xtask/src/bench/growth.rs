//! `cargo xtask bench growth`: how time and CPU grow with rows and with columns. Both should be straight lines.

use anyhow::{Context, Result};

use super::lab::{Lab, Query};
use super::plot::{self, Series};
use super::programs::{self, FLOOR, OURS};
use super::report::{Report, Table};
use super::results::{self, Figure, Results, Sample};
use super::statistics::Line;
use crate::number::grouped;

const NAME: &str = "growth";
const ROWS: [u64; 7] = [1_000, 10_000, 100_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000];
const COLUMNS: [u64; 7] = [1, 3, 10, 30, 100, 300, 1_000];
/// More rows than the table has are the table so many times over, at most.
const MAX_TIMES: u64 = 10;
/// The columns of `numbers` that are repeated.
const KINDS: [&str; 12] = ["id", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];

/// Measures and keeps the figures.
pub(super) fn run(lab: &Lab, rounds: u32) -> Result<()> {
    let mut results = Results::new(lab.machine()?, lab.orders);
    let rows = ROWS.into_iter().filter(|rows| *rows <= lab.orders * MAX_TIMES);
    let queries = rows.map(|rows| of_rows(rows, lab.orders));
    for query in queries.chain(COLUMNS.map(|columns| of_columns(columns, columns_rows(lab.orders)))) {
        let programs = [programs::floor(), programs::ours_to_file(OURS, "csv", false, &[])];
        let contenders = programs::ready(lab, &query, programs, rounds, &mut results);
        lab.rounds(&query, contenders, rounds, &mut results)?;
    }
    results::save(NAME, &results)
}

/// Returns a query of the first orders, or of all orders several times over.
fn of_rows(rows: u64, orders: u64) -> Query {
    let times = rows.div_ceil(orders);
    let each = rows / times;
    let sql = if times == 1 {
        format!("SELECT * FROM orders WHERE id <= {each}")
    } else {
        format!("SELECT o.* FROM thousand t STRAIGHT_JOIN orders o WHERE t.n < {times} AND o.id <= {each}")
    };
    Query { name: format!("rows-{rows}"), table: None, sql, rows: each * times }
}

/// So many columns, of all kinds of numbers and times.
fn of_columns(columns: u64, rows: u64) -> Query {
    let names = (1..=columns).zip(KINDS.iter().cycle());
    let names: Vec<String> = names.map(|(number, kind)| format!("{kind} AS c{number}")).collect();
    let sql = format!("SELECT {} FROM numbers WHERE id <= {rows}", names.join(", "));
    Query { name: format!("columns-{columns}"), table: None, sql, rows }
}

/// So many that a thousand columns come to about as many bytes as all orders.
fn columns_rows(orders: u64) -> u64 {
    orders / 60
}

/// Returns the report; none when it was never measured.
pub(super) fn report() -> Result<Option<Report>> {
    results::load(NAME)?.map(|results| write(&results)).transpose()
}

fn write(results: &Results) -> Result<Report> {
    let mut report = Report::new(NAME, &results.machine, results.orders);
    let mut text = String::new();
    for (prefix, what, title) in [
        ("rows-", "rows", "Seconds for so many orders".to_owned()),
        (
            "columns-",
            "columns",
            format!("Seconds for so many columns of {} rows", grouped(columns_rows(results.orders))),
        ),
    ] {
        let sizes = sizes(results, prefix);
        let mut table = Table::new([what, "wall s", "client CPU s", "wall / floor", "peak MiB"]);
        for size in &sizes {
            let query = format!("{prefix}{size}");
            let median = |figure: Figure| {
                results.spread(&query, OURS, figure).map(|spread| spread.median).unwrap_or_default()
            };
            let ratio = results.ratio(&query, OURS, FLOOR, Sample::wall);
            table.row([
                grouped(*size),
                format!("{:.3}", median(Sample::wall)),
                format!("{:.3}", median(Sample::cpu)),
                ratio.map_or_else(|| "-".to_owned(), |ratio| ratio.to_string()),
                format!("{:.1}", median(Sample::peak_mib)),
            ]);
        }
        let curve = |program: &str, figure: Figure| -> Vec<(f64, f64)> {
            let point = |size: &u64| {
                let spread = results.spread(&format!("{prefix}{size}"), program, figure)?;
                Some((*size as f64, spread.median))
            };
            sizes.iter().filter_map(point).collect()
        };
        let wall = curve(OURS, Sample::wall);
        let cpu = curve(OURS, Sample::cpu);
        let floor = curve(FLOOR, Sample::wall);
        let fits = format!("{}{}", fit("wall", what, &wall)?, fit("client CPU", what, &cpu)?);
        let series = [
            Series { name: "Downpipe, wall".into(), points: wall },
            Series { name: "Downpipe, CPU".into(), points: cpu },
            Series { name: "floor, wall".into(), points: floor },
        ];
        let plot_name = format!("growth-{what}");
        report.plot(&plot_name, plot::curves(&title, what, "s", &series));
        text.push_str(&format!(
            "![{title}](performance/{plot_name}.svg)\n\n{}\n{fits}\n",
            table.to_markdown()
        ));
        report.show(&format!("{title}\n{fits}"), &table);
    }
    report.section("growth", text);
    Ok(report)
}

/// Returns what was measured of one kind, the smallest first.
fn sizes(results: &Results, prefix: &str) -> Vec<u64> {
    let names = results.samples.iter().filter_map(|sample| sample.query.strip_prefix(prefix));
    let mut sizes: Vec<u64> = names.filter_map(|size| size.parse().ok()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// Returns a line of text about the straight line through the points.
fn fit(figure: &str, what: &str, points: &[(f64, f64)]) -> Result<String> {
    let Line { intercept, slope, r_squared, furthest: ((at, _), deviation) } =
        Line::through(points).context("too few sizes were measured for a line: more --rows")?;
    let (microseconds, percent) = (slope * 1e6, deviation * 100.0);
    Ok(format!(
        "- {figure}: {intercept:.3} s for none and {microseconds:.2} µs for each of the {what}, R² = {r_squared:.4}; \
         the furthest from the line are {at} {what}, by {percent:+.0} %\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::{super::results::tests::results, *};

    #[test]
    fn query_of_more_rows_than_there_are_repeats_them() {
        let query = of_rows(1_000, 3_000_000);
        assert_eq!(query.sql, "SELECT * FROM orders WHERE id <= 1000");
        let query = of_rows(30_000_000, 3_000_000);
        assert!(query.sql.ends_with("t.n < 10 AND o.id <= 3000000") && query.rows == 30_000_000);
        // Nearly as many as asked for, when it does not come out even; the query says how many.
        assert_eq!(of_rows(10_000_000, 3_000_000).rows, 10_000_000);
        assert_eq!(of_rows(1_000_000, 300_001).rows, 1_000_000);
    }

    #[test]
    fn columns_of_a_query_have_different_names() {
        let query = of_columns(14, 50);
        assert!(
            query.sql.starts_with("SELECT id AS c1, a AS c2")
                && query.sql.contains("id AS c13, a AS c14 FROM")
        );
    }

    #[test]
    fn report_of_growth_has_each_size_and_the_fit() {
        let mut runs = Vec::new();
        for (query, seconds) in [
            ("rows-1000", 0.1),
            ("rows-10000", 0.2),
            ("rows-100000", 1.2),
            ("columns-1", 0.1),
            ("columns-10", 1.0),
        ] {
            runs.extend([(query, OURS, 1, seconds), (query, FLOOR, 1, seconds)]);
        }
        let report = write(&results(&runs)).unwrap();
        let (_, text) = &report.sections[0];
        assert!(text.contains("| 100,000 | 1.200 | 0.600 | 1.00 | 10.0 |"), "{text}");
        assert!(
            text.contains("- wall: 0.089 s for none and 11.11 µs for each of the rows, R² = 1.0000"),
            "{text}"
        );
        assert_eq!(report.plots.len(), 2);
    }
}
