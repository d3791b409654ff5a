//! Why input was refused: the field, what was expected and what came.

use std::fmt;

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, got {actual}")]
pub struct Rejection {
    /// The field's path, such as `params.from`.
    pub field: String,
    /// What would have been right.
    pub expected: String,
    /// What came, shortened.
    pub actual: String,
}

/// Nobody reads more, and a message can hold thousands of wrong fields: their list must still fit into an e-mail.
const MOST_SHOWN: usize = 20;

/// Everything wrong with a request, named at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejections(Vec<Rejection>);

impl std::error::Error for Rejections {}

impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rejection) in self.0.iter().take(MOST_SHOWN).enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{rejection}")?;
        }
        match self.0.len().saturating_sub(MOST_SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl From<Rejection> for Rejections {
    fn from(rejection: Rejection) -> Self {
        Self(vec![rejection])
    }
}

impl Rejections {
    /// `Ok` when nothing is wrong.
    ///
    /// # Errors
    /// When `rejections` has any.
    pub fn none_of(rejections: Vec<Rejection>) -> Result<(), Self> {
        if rejections.is_empty() { Ok(()) } else { Err(Self(rejections)) }
    }
}

impl Rejection {
    pub(crate) fn new(
        field: impl Into<String>,
        expected: impl Into<String>,
        actual: impl fmt::Display,
    ) -> Self {
        let (field, actual) = (shorten(&field.into()), shorten(&actual.to_string()));
        Self { field, expected: expected.into(), actual }
    }
}

/// Long input is cut where a person has seen enough of it. Line breaks and the like go, or a stranger could write lines of
/// their own into somebody's e-mail.
pub(crate) fn shorten(text: &str) -> String {
    const ENOUGH: usize = 80;
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = chars.by_ref().take(ENOUGH).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}
