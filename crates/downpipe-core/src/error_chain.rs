//! Errors with their causes, for logs and terminals.

use std::error::Error;

/// Returns an error and all its causes in one line that says each thing once.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    join(words_of(error))
}

/// Joins the words of an error and its causes. Leaves out what was said before, because many libraries repeat the cause's words in
/// their own.
pub(crate) fn join(words: impl Iterator<Item = String>) -> String {
    words.fold(String::new(), |text, words| match text.as_str() {
        "" => words,
        said if said.contains(&words) => text,
        said => format!("{said}: {words}"),
    })
}

/// Returns the words of an error and of each of its causes.
pub(crate) fn words_of(error: &dyn Error) -> impl Iterator<Item = String> {
    std::iter::successors(Some(error), |error: &&dyn Error| (*error).source()).map(ToString::to_string)
}
