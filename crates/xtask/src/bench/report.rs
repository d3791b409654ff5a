//! `cargo xtask bench report`: what was measured, on the terminal and in `docs/performance.md`.
//!
//! In the document each measurement has places between two comments, which are written anew; the words around them stay.

use std::{fmt::Write as _, fs};

use anyhow::{Context, Result};

use super::{
    budget::{self, Verdict},
    checkpoints, formats, growth, memory, peers,
    results::{Machine, Results, Sample},
    start,
};
pub(super) use crate::document::Table;
use crate::{document::replaced, number::grouped, workspace};

const DOCUMENT: &str = "docs/performance.md";
const PLOTS: &str = "docs/performance";

/// Those who have something to say, in the document's order.
const REPORTERS: [fn() -> Result<Option<Report>>; 6] =
    [peers::report, formats::report, growth::report, memory::report, checkpoints::report, start::report];

/// What one measurement says.
#[derive(Debug)]
pub(super) struct Report {
    /// The measurement.
    name: &'static str,
    machine: String,
    /// For the terminal.
    shown: String,
    /// Places in the document, with their text.
    pub(super) sections: Vec<(&'static str, String)>,
    /// Pictures, by the file's name.
    pub(super) plots: Vec<(String, String)>,
    pub(super) verdicts: Vec<Verdict>,
}

impl Report {
    /// Nothing yet, of these figures.
    pub(super) fn new(name: &'static str, machine: &Machine, orders: u64) -> Self {
        let Machine { cores, processor, kernel, mysql, day } = machine;
        let orders = grouped(orders);
        let machine =
            format!("{orders} orders; {processor}, {cores} cores; Linux {kernel}; MySQL {mysql}; {day}");
        Self {
            name,
            machine,
            shown: String::new(),
            sections: Vec::new(),
            plots: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// All of it, for the terminal.
    pub(super) fn shown(&self) -> String {
        format!("{}\n{}", self.shown, self.machine)
    }

    /// Text for a place in the document; the machine is said below it.
    pub(super) fn section(&mut self, place: &'static str, text: String) {
        self.sections.push((place, format!("{}\n\n{}.\n", text.trim_end(), self.machine)));
    }

    pub(super) fn plot(&mut self, name: &str, svg: String) {
        self.plots.push((format!("{name}.svg"), svg));
    }

    /// A table for the terminal.
    pub(super) fn show(&mut self, title: &str, table: &Table) {
        // Writing into a string cannot fail.
        let _ = write!(self.shown, "\n{}\n\n{table}", title.trim_end());
    }
}

/// Writes the document and its pictures from everything that was ever measured, and prints what is wanted of it: one
/// measurement, or all.
pub(super) fn write(wanted: Option<&str>) -> Result<()> {
    let path = workspace::path(DOCUMENT);
    let mut document =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let plots = workspace::path(PLOTS);
    fs::create_dir_all(&plots).with_context(|| format!("cannot make {}", plots.display()))?;
    let mut verdicts = Vec::new();
    for reporter in REPORTERS {
        let Some(report) = reporter()? else { continue };
        if wanted.is_none_or(|wanted| wanted == report.name) {
            println!("{}", report.shown());
        }
        for (place, text) in &report.sections {
            document = replaced(DOCUMENT, &document, place, text)?;
        }
        for (name, svg) in &report.plots {
            fs::write(plots.join(name), svg).with_context(|| format!("cannot write {name}"))?;
        }
        verdicts.extend(report.verdicts);
    }
    let table = budget::table(&verdicts);
    println!("\n{}", budget::lines(&verdicts));
    document = replaced(DOCUMENT, &document, "budget", &table.to_markdown())?;
    fs::write(&path, document).with_context(|| format!("cannot write {}", path.display()))
}

/// What the programs cost that ran on a query, beside one of them.
pub(super) fn cost_table(results: &Results, query: &str, base: &str) -> Table {
    let against = if base.starts_with("floor") { "wall / floor" } else { "wall / csv" };
    let mut table =
        Table::new(["program", "wall s", against, "client CPU s", "server CPU s", "peak MiB", "written MB"]);
    for program in results.programs(query) {
        let median = |figure: &dyn Fn(&Sample) -> f64, decimals: usize| {
            let spread = results.spread(query, program, figure);
            spread.map_or_else(|| "-".to_owned(), |spread| format!("{:.decimals$}", spread.median))
        };
        let ratio = results.ratio(query, program, base, Sample::wall);
        let server = results.of(query, program).all(|sample| sample.server_cpu_seconds.is_some());
        table.row([
            program.to_owned(),
            median(&Sample::wall, 2),
            ratio.map_or_else(|| "-".to_owned(), |ratio| ratio.to_string()),
            median(&Sample::cpu, 2),
            if server {
                median(&|sample| sample.server_cpu_seconds.unwrap_or_default(), 2)
            } else {
                "-".into()
            },
            median(&Sample::peak_mib, 1),
            median(&|sample| if program == super::programs::FLOOR { 0.0 } else { sample.megabytes() }, 0),
        ]);
    }
    table
}

/// Who is missing from the table, and why.
pub(super) fn not_there(results: &Results, query: &str) -> String {
    let absent = results.absent.iter().filter(|absent| absent.query == query);
    let lines: String = absent.map(|absent| format!("- {}: {}\n", absent.program, absent.why)).collect();
    if lines.is_empty() { lines } else { format!("\nNot measured:\n\n{lines}") }
}

#[cfg(test)]
mod tests {
    use super::{super::results::tests::results, *};

    #[test]
    fn costs_are_medians_and_ratios_those_of_rounds() {
        let results = results(&[
            ("q", "a", 1, 2.0),
            ("q", "floor", 1, 1.0),
            ("q", "a", 2, 40.0),
            ("q", "floor", 2, 10.0),
        ]);
        let markdown = cost_table(&results, "q", "floor").to_markdown();
        assert!(
            markdown.contains("| a | 21.00 | 3.00 (2.00 to 4.00) | 10.50 | - | 10.0 | 600 |"),
            "{markdown}"
        );
    }
}
