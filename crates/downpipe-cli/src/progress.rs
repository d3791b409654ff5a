//! The progress of an export, on one line that is written over.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use downpipe_core::export::Progress;
use downpipe_core::job::Receipt;
use downpipe_core::language::Language;
use downpipe_core::ledger::LedgerError;
use downpipe_core::notice::{changes, grouped, size};
use downpipe_core::untrusted_text::escaped;

/// Shows progress on standard error if it is a terminal.
pub(crate) struct ProgressLine {
    began: Instant,
    shown: bool,
}

impl ProgressLine {
    pub(crate) fn begin(export: &str) -> Self {
        let shown = std::io::stderr().is_terminal();
        if shown {
            eprint!("{export}: running the query…");
        }
        Self { began: Instant::now(), shown }
    }

    /// Prints the result of the export.
    pub(crate) fn done(&self, receipt: &Receipt) {
        self.clear();
        let seconds = self.began.elapsed().as_secs_f64();
        let (rows, size) = (grouped(receipt.rows), size(receipt.bytes));
        eprint!("{}: {rows} rows, {size} in {seconds:.1} s", receipt.export);
        match &receipt.files[..] {
            [file] => eprintln!(" -> {}\nSHA-256 {}", escaped(&file.address), file.sha256),
            files => {
                eprintln!(" -> {} files", files.len());
                for file in files {
                    let address = escaped(&file.address);
                    eprintln!("{address} ({} rows)\nSHA-256 {}", grouped(file.rows), file.sha256);
                }
            }
        }
        for (column, counts) in &receipt.changes {
            for change in changes(counts, Language::En) {
                eprintln!("changed in {}: {}", escaped(column), escaped(&change));
            }
        }
        if let Some(statement) = &receipt.load_data {
            eprintln!("to read it back: {}", escaped(statement));
        }
    }

    /// Clears the line, so that an error can be written there.
    pub(crate) fn clear(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

impl Progress for ProgressLine {
    async fn on_progress(&self, rows: u64, bytes: u64) -> Result<(), LedgerError> {
        if self.shown {
            // Whole seconds are exact enough for a rate that a person reads.
            let rate = bytes / self.began.elapsed().as_secs().max(1);
            eprint!("\r\x1b[K{} rows, {}, {}/s", grouped(rows), size(bytes), size(rate));
            drop(std::io::stderr().flush());
        }
        Ok(())
    }
}
