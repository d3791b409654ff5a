//! What is wrong with a request: each wrong field, what was expected and what was sent.

use std::fmt;

use crate::untrusted_text::one_line;

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, got {actual}")]
pub struct Rejection {
    /// The field's path, such as `params.from`.
    pub field: String,
    /// What was expected, shortened.
    pub expected: String,
    /// What was sent, shortened.
    pub actual: String,
}

/// The most rejections that are shown. A message can have thousands of wrong fields, and their list must fit into an e-mail.
const MAX_SHOWN: usize = 20;

/// The most choices that are shown where there is a choice.
const MAX_CHOICES: usize = 20;

/// The most characters of what was expected.
const MAX_EXPECTED: usize = 400;

/// Everything wrong with a request, named at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejections(Vec<Rejection>);

impl std::error::Error for Rejections {}

impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rejection) in self.0.iter().take(MAX_SHOWN).enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{rejection}")?;
        }
        match self.not_shown() {
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
    /// Returns `Ok` when nothing is wrong.
    ///
    /// # Errors
    /// When `rejections` has any.
    pub fn none_of(rejections: Vec<Rejection>) -> Result<(), Self> {
        if rejections.is_empty() { Ok(()) } else { Err(Self(rejections)) }
    }

    /// Returns everything that is wrong, as a list that a person is shown: at most twenty.
    pub fn shown(&self) -> impl Iterator<Item = &Rejection> {
        self.0.iter().take(MAX_SHOWN)
    }

    /// Returns how many more there are.
    #[must_use]
    pub fn not_shown(&self) -> usize {
        self.0.len().saturating_sub(MAX_SHOWN)
    }
}

impl Rejection {
    pub(crate) fn new(
        field: impl Into<String>,
        expected: impl Into<String>,
        actual: impl fmt::Display,
    ) -> Self {
        let expected = cut(&expected.into(), MAX_EXPECTED);
        Self { field: shorten(&field.into()), expected, actual: shorten(&actual.to_string()) }
    }
}

/// Says what is expected where there is a choice. A definition may allow thousands of values.
pub(crate) fn one_of<C: fmt::Display>(choices: impl IntoIterator<Item = C>) -> String {
    let mut choices = choices.into_iter();
    let shown: Vec<String> =
        choices.by_ref().take(MAX_CHOICES).map(|choice| shorten(&choice.to_string())).collect();
    match choices.count() {
        0 => format!("one of {}", shown.join(", ")),
        more => format!("one of {} and {more} more", shown.join(", ")),
    }
}

/// Cuts long input, and replaces characters that cannot be seen. Otherwise a sender could write lines of their own into another
/// person's e-mail.
pub(crate) fn shorten(text: &str) -> String {
    const ENOUGH: usize = 80;
    one_line(&cut(text, ENOUGH))
}

/// Cuts text after so many characters.
pub(crate) fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
