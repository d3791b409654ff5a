//! What was found about the permissions: a line of one of the tables.

use serde::{Deserialize, Serialize};

/// What was tried.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// A step of the worker, with every permission of its role.
    Step,
    /// The worker's steps, with one permission of its role removed.
    Removal,
    /// A call that the role does not allow.
    Call,
}

/// What came of a trial.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// What was tried.
    pub trial: Trial,
    /// Which step, action or call it was.
    pub subject: String,
    /// What came of it, in words.
    pub outcome: String,
    /// Whether that is what had to come of it.
    pub is_well: bool,
}

impl Trial {
    /// All of them, in the order of the document.
    pub(super) const ALL: [Self; 3] = [Self::Step, Self::Removal, Self::Call];

    /// Returns the header of the trial's table.
    pub(super) fn header(self) -> [&'static str; 2] {
        match self {
            Self::Step => ["step", "what the role was asked for"],
            Self::Removal => ["without", "what fails"],
            Self::Call => ["call", "answer"],
        }
    }
}
