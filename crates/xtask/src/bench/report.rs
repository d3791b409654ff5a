//! `cargo xtask bench report`: what was measured, on the terminal and in `docs/performance.md`.
//!
//! In the document each measurement has places between two comments, which are written anew; the words around them stay.

use std::{fmt::Write as _, fs};

use anyhow::{Context, Result};
use unicode_width::UnicodeWidthStr as _;

use super::{
    budget::{self, Verdict},
    formats, growth, memory, peers,
    results::{Machine, Results, Sample},
    start,
};
use crate::{number::grouped, workspace};

const DOCUMENT: &str = "docs/performance.md";
const PLOTS: &str = "docs/performance";

/// Those who have something to say, in the document's order.
const REPORTERS: [fn() -> Result<Option<Report>>; 5] =
    [peers::report, formats::report, growth::report, memory::report, start::report];

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
            document = replaced(&document, place, text)?;
        }
        for (name, svg) in &report.plots {
            fs::write(plots.join(name), svg).with_context(|| format!("cannot write {name}"))?;
        }
        verdicts.extend(report.verdicts);
    }
    let table = budget::table(&verdicts);
    println!("\n{}", budget::lines(&verdicts));
    document = replaced(&document, "budget", &table.to_markdown())?;
    fs::write(&path, document).with_context(|| format!("cannot write {}", path.display()))
}

/// The document with another text at one of its places.
fn replaced(document: &str, place: &str, text: &str) -> Result<String> {
    let [begin, end] = ["begin", "end"].map(|mark| format!("<!-- {mark}: {place} -->"));
    let found = document.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) =
        found.with_context(|| format!("{DOCUMENT}: expected {begin} and {end}, got no such place"))?;
    Ok(format!("{before}{begin}\n\n{}\n\n{end}{after}", text.trim()))
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

/// Rows of cells below a header. The first column is text, the others mostly figures.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Self {
        Self { rows: vec![header.map(str::to_owned).to_vec()] }
    }

    pub(super) fn row<const COLUMNS: usize>(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells.to_vec());
    }

    pub(super) fn to_markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let [header, rows @ ..] = &self.rows[..] else { return String::new() };
        let rule: String = header.iter().skip(1).map(|_| "---|").collect();
        format!("{}|---|{rule}\n{}", line(header), rows.iter().map(|row| line(row)).collect::<String>())
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize| self.rows.iter().map(move |row| row[column].width()).max().unwrap_or(0);
        for row in &self.rows {
            let cells = row.iter().enumerate();
            let padded = cells.map(|(at, cell)| format!("{cell}{}", " ".repeat(width(at) - cell.width())));
            writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::results::tests::results, *};

    #[test]
    fn a_place_is_written_anew_and_the_words_around_it_stay() {
        let document = "# A\n\n<!-- begin: x -->\nold\n<!-- end: x -->\n\nwords\n";
        let new = replaced(document, "x", "| new |\n").unwrap();
        assert_eq!(new, "# A\n\n<!-- begin: x -->\n\n| new |\n\n<!-- end: x -->\n\nwords\n");
        assert_eq!(replaced(&new, "x", "| new |\n").unwrap(), new);
        let error = replaced(document, "y", "").unwrap_err().to_string();
        assert!(error.contains("expected <!-- begin: y --> and <!-- end: y -->"), "{error}");
    }

    #[test]
    fn a_table_is_read_by_people_and_by_markdown() {
        let mut table = Table::new(["who", "s"]);
        table.row(["山".into(), "1".into()]);
        assert_eq!(table.to_string(), "who  s\n山   1\n");
        assert_eq!(table.to_markdown(), "| who | s |\n|---|---|\n| 山 | 1 |\n");
    }

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
