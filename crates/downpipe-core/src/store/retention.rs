//! How long a file is kept.

use downpipe_format::named_choice;

/// How long a finished file is kept. The bucket's lifecycle rules delete it by a tag of this name, so there is a rule for
/// each of these and for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retention {
    /// One day.
    Days1,
    /// Three days.
    Days3,
    /// A week.
    #[default]
    Days7,
    /// Two weeks.
    Days14,
    /// Thirty days.
    Days30,
    /// Ninety days.
    Days90,
}

named_choice!(
    Retention,
    Days1 = "1d",
    Days3 = "3d",
    Days7 = "7d",
    Days14 = "14d",
    Days30 = "30d",
    Days90 = "90d"
);

impl Retention {
    /// Returns the number of days.
    #[must_use]
    pub fn days(self) -> i32 {
        match self {
            Self::Days1 => 1,
            Self::Days3 => 3,
            Self::Days7 => 7,
            Self::Days14 => 14,
            Self::Days30 => 30,
            Self::Days90 => 90,
        }
    }
}
