//! The report of a measurement: tables and pictures for the document, lines for the terminal.

use std::fmt::Write as _;

use super::{
    budget::Verdict,
    results::{Machine, Results, Sample},
};
pub(super) use crate::document::Table;
use crate::number::grouped;

/// The report of one measurement.
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
    /// Returns an empty report.
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

    /// Returns the name of the measurement.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns all of it, for the terminal.
    pub(super) fn shown(&self) -> String {
        format!("{}\n{}", self.shown, self.machine)
    }

    /// Adds text for a place in the document, followed by the machine.
    pub(super) fn section(&mut self, place: &'static str, text: String) {
        self.sections.push((place, format!("{}\n\n{}.\n", text.trim_end(), self.machine)));
    }

    pub(super) fn plot(&mut self, name: &str, svg: String) {
        self.plots.push((format!("{name}.svg"), svg));
    }

    /// Adds a table for the terminal.
    pub(super) fn show(&mut self, title: &str, table: &Table) {
        // Writing into a string cannot fail.
        let _ = write!(self.shown, "\n{}\n\n{table}", title.trim_end());
    }
}

/// Returns the cost of the programs that ran on a query, compared with one of them.
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

/// Returns the programs that are missing from the table, and why.
pub(super) fn not_there(results: &Results, query: &str) -> String {
    let absent = results.absent.iter().filter(|absent| absent.query == query);
    let lines: String = absent.map(|absent| format!("- {}: {}\n", absent.program, absent.why)).collect();
    if lines.is_empty() { lines } else { format!("\nNot measured:\n\n{lines}") }
}

#[cfg(test)]
mod tests {
    use super::{super::results::tests::results, *};

    #[test]
    fn cost_table_has_medians_and_ratios_of_rounds() {
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
