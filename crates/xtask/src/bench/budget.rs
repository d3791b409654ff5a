//! The goals of performance, and whether they are met.

use crate::document::Table;

/// A goal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Goal {
    /// The whole export against the floor.
    Wall,
    /// The export of texts against the floor.
    Texts,
    /// Against the program that it replaces.
    Article,
    /// Against all other programs.
    Peers,
    /// The CPU time of an export.
    ClientCpu,
    /// The peak of memory, whatever the rows.
    Memory,
    /// gzip and Zstandard against no compression.
    Compressed,
    /// Workbooks and Parquet against pandas.
    Formats,
    /// What checkpoints cost.
    Checkpoints,
    /// The start of the Lambda's program.
    ColdStart,
    /// A small export in a warm Lambda.
    SmallExport,
    /// A click that the cache answers.
    CacheHit,
}

/// The goals in the order of the table: what, and how much of it.
const GOALS: [(Goal, &str, &str); 12] = [
    (
        Goal::Wall,
        "Whole export, MySQL over TLS → CSV → multipart upload with SHA-256 and CRC64, receipt included",
        "wall at most 0.85 × the text floor of the same query",
    ),
    (Goal::Texts, "The same of tables of text only", "wall at most 1.00 × the floor"),
    (
        Goal::Article,
        "Against SQLAlchemy + PyMySQL + boto3, all rows at once, to the same S3",
        "at least 15 × faster, 25 × less CPU, 80 × less memory",
    ),
    (Goal::Peers, "Against every other program in the table", "faster, with less CPU and less memory"),
    (Goal::ClientCpu, "Client CPU", "at least 267 MB/s a core (2.3 s for 3,000,000 orders)"),
    (Goal::Memory, "Memory", "peak at most 40 MiB, the same at 3 and at 30 million rows (within 5 %)"),
    (Goal::Compressed, "gzip or Zstandard on", "wall at most 1.1 × the uncompressed export, on 2 cores"),
    (Goal::Formats, "XLSX, Parquet", "faster than pandas on the same rows; memory bounded"),
    (Goal::Checkpoints, "Checkpoints, from which another run can go on", "at most 2 % of the time"),
    (
        Goal::ColdStart,
        "Cold start of the Lambda's program",
        "to the first `next` under 20 ms; zip under 8 MiB",
    ),
    (
        Goal::SmallExport,
        "A small export (1,000 rows) after a warm start",
        "message received to object complete under 100 ms, our own share under 15 ms",
    ),
    (
        Goal::CacheHit,
        "A click that the cache answers",
        "message received to notice under 20 ms of our own; with the ledger in DynamoDB no statement in MySQL",
    ),
];

/// Whether a goal was met.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    goal: Goal,
    measured: String,
    met: bool,
}

impl Verdict {
    pub(super) fn new(goal: Goal, measured: String, met: bool) -> Self {
        Self { goal, measured, met }
    }

    /// Returns whether the goal was met.
    #[cfg(test)]
    pub(super) fn is_met(&self) -> bool {
        self.met
    }
}

/// Returns all goals with their measurements, for the document. A goal that was not measured here keeps what the document says.
pub(super) fn table(verdicts: &[Verdict], document: &str) -> Table {
    let mut table = Table::new(["what", "goal", "measured", ""]);
    for (what, promise, measured, met) in judged(verdicts, document) {
        table.row([what, promise, measured, met].map(str::to_owned));
    }
    table
}

/// Returns all goals with their measurements for the terminal, where a row of such texts is too wide.
pub(super) fn lines(verdicts: &[Verdict]) -> String {
    let line = |(what, promise, measured, met)| {
        format!("{met:<8} {what}\n         {promise}\n         measured: {measured}\n")
    };
    judged(verdicts, "").map(line).collect()
}

/// Returns each goal: what, how much of it, what was measured, and whether it is met.
fn judged<'a>(
    verdicts: &'a [Verdict],
    document: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str, &'a str, &'a str)> {
    GOALS.into_iter().map(move |(goal, what, promise)| {
        let verdict = verdicts.iter().find(|verdict| verdict.goal == goal);
        let (measured, met) = match verdict {
            Some(verdict) => (&verdict.measured[..], if verdict.met { "met" } else { "not met" }),
            None => earlier(document, what, promise).unwrap_or(("not measured", "")),
        };
        (what, promise, measured, met)
    })
}

/// Returns what the table in a document says of a goal.
fn earlier<'a>(document: &'a str, what: &str, promise: &str) -> Option<(&'a str, &'a str)> {
    let begin = format!("| {what} | {promise} | ");
    let row = document.lines().find_map(|line| line.strip_prefix(&begin))?;
    row.strip_suffix(" |")?.split_once(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goal_without_a_measurement_is_in_the_table() {
        let verdicts = [
            Verdict::new(Goal::Texts, "1.20 x".into(), false),
            Verdict::new(Goal::ClientCpu, "2.00 s".into(), true),
        ];
        let table = table(&verdicts, "").to_markdown();
        assert_eq!(table.lines().count(), 2 + GOALS.len());
        assert!(
            table.contains("floor | 1.20 x | not met |") && table.contains("| 2.00 s | met |"),
            "{table}"
        );
        assert!(lines(&verdicts).contains("not met  The same of tables of text only\n         wall at most"));
        assert_eq!(table.matches("| not measured |  |").count(), GOALS.len() - 2);
    }

    #[test]
    fn goal_measured_elsewhere_keeps_what_the_document_says() {
        let first = [Verdict::new(Goal::Texts, "1.20 x".into(), false)];
        let document = table(&first, "").to_markdown();
        let second = [Verdict::new(Goal::ClientCpu, "2.00 s".into(), true)];
        let document = table(&second, &document).to_markdown();
        assert!(document.contains("floor | 1.20 x | not met |\n"), "{document}");
        assert!(document.contains("| 2.00 s | met |\n"), "{document}");
        assert_eq!(document.matches("| not measured |  |").count(), GOALS.len() - 2);
    }
}
