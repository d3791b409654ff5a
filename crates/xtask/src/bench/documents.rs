//! `cargo xtask bench report`: what was measured, on the terminal and in `docs/performance.md`.
//!
//! Each measurement has places in the document, between two comments. They are written again; the words around them stay.

use std::fs;

use anyhow::{Context, Result};

use super::report::Report;
use super::{budget, cache, checkpoints, formats, growth, memory, peers, start};
use crate::{document::replaced, workspace};

const DOCUMENT: &str = "docs/performance.md";
const PLOTS: &str = "docs/performance";

/// The measurements that have something to say, in the document's order.
const REPORTERS: [fn() -> Result<Option<Report>>; 7] = [
    peers::report,
    formats::report,
    growth::report,
    memory::report,
    checkpoints::report,
    start::report,
    cache::report,
];

/// Writes the document and its pictures from the results of all measurements. Prints one measurement, or all.
pub(super) fn write(wanted: Option<&str>) -> Result<()> {
    let path = workspace::path(DOCUMENT);
    let mut document =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let plots = workspace::path(PLOTS);
    fs::create_dir_all(&plots).with_context(|| format!("cannot make {}", plots.display()))?;
    let mut verdicts = Vec::new();
    for reporter in REPORTERS {
        let Some(report) = reporter()? else { continue };
        if wanted.is_none_or(|wanted| wanted == report.name()) {
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
    let table = budget::table(&verdicts, &document);
    println!("\n{}", budget::lines(&verdicts));
    document = replaced(DOCUMENT, &document, "budget", &table.to_markdown())?;
    fs::write(&path, document).with_context(|| format!("cannot write {}", path.display()))
}
