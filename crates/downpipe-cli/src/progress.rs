//! How far an export is, on one line that is written over.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use downpipe_core::ledger::LedgerError;
use downpipe_core::notice::{changes, grouped, size};
use downpipe_core::pipeline::Progress;
use downpipe_core::receipt::Receipt;

/// Shows progress on standard error, if that is a terminal.
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

    /// Says what came of it.
    pub(crate) fn done(&self, receipt: &Receipt) {
        self.clear();
        let seconds = self.began.elapsed().as_secs_f64();
        let (rows, size) = (grouped(receipt.rows), size(receipt.bytes));
        eprint!("{}: {rows} rows, {size} in {seconds:.1} s", receipt.export);
        match &receipt.files[..] {
            [file] => eprintln!(" -> {}\nSHA-256 {}", file.address, file.sha256),
            files => {
                eprintln!(" -> {} files", files.len());
                for file in files {
                    eprintln!("{} ({} rows)\nSHA-256 {}", file.address, grouped(file.rows), file.sha256);
                }
            }
        }
        for (column, counts) in &receipt.changes {
            for change in changes(counts) {
                eprintln!("changed in {column}: {change}");
            }
        }
        if let Some(statement) = &receipt.load_data {
            eprintln!("to read it back: {statement}");
        }
    }

    /// Leaves the line empty, for an error to be written there.
    pub(crate) fn clear(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

impl Progress for ProgressLine {
    async fn advanced(&self, rows: u64, bytes: u64) -> Result<(), LedgerError> {
        if self.shown {
            // Whole seconds are exact enough for a rate that a person reads.
            let rate = bytes / self.began.elapsed().as_secs().max(1);
            eprint!("\r\x1b[K{} rows, {}, {}/s", grouped(rows), size(bytes), size(rate));
            drop(std::io::stderr().flush());
        }
        Ok(())
    }
}
