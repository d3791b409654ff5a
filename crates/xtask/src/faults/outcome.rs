//! The outcome of a fault: one line of the table.

use serde::{Deserialize, Serialize};

/// The outcome of a fault, however often it was injected.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Outcome {
    /// The fault, by its name.
    pub fault: String,
    /// How often it was injected.
    pub injected: u32,
    /// How the exports ended, in words.
    pub outcome: String,
    /// Files at their final keys, each of them complete and right.
    pub objects: u32,
    /// E-mails that were sent. None where only the export ran, without a worker that notifies.
    pub emails: Option<u32>,
    /// Uploads that are still open, and objects that are no job's file.
    pub orphans: u32,
    /// Queries that are still running in the database.
    pub queries_left: u32,
    /// Violations of what must hold, in words. Empty when all is well.
    pub wrong: Vec<String>,
    /// Whether this machine cannot inject it; the outcome says why.
    #[serde(default)]
    pub skipped: bool,
}

impl Outcome {
    /// Returns whether all counts that should be zero are.
    pub fn is_well(&self) -> bool {
        (self.injected > 0 || self.skipped)
            && self.orphans == 0
            && self.queries_left == 0
            && self.wrong.is_empty()
    }
}
