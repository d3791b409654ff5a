//! What was changed between database and file, in words.

use crate::language::Language;
use crate::message::shorten;
use crate::words::{Args, args, own, text};

/// Returns the counters of a column's changes in words, from the JSON that [`ColumnChanges`](downpipe_format::ColumnChanges) becomes.
pub fn changes(counts: &serde_json::Value, language: Language) -> impl Iterator<Item = String> {
    counts.as_object().into_iter().flatten().map(move |(kind, count)| {
        let what = text(language, &format!("change-{kind}"), None, &Args::new());
        let count = count.as_u64().unwrap_or_default();
        let what = what.unwrap_or_else(|| shorten(kind));
        own(language, "change", &args([("what", what.into()), ("count", count.into())]))
    })
}
