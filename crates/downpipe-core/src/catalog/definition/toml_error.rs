//! Mistakes that the TOML reader finds. It knows their place only; the key is looked up from there.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::DefinitionError;
use super::source_text::Source;

/// How much of a wrong value an error repeats, in characters.
const MAX_EXCERPT: usize = 80;

/// Returns a mistake with the key that it is about, and with the value if the reader's words lack it.
pub(super) fn read(source: &Source<'_>, error: &toml::de::Error) -> DefinitionError {
    let span = error.span().unwrap_or_default();
    let mut reason = error.message().to_owned();
    // Of a text that is no TOML, the reader's words say what it expected at this place.
    if let Ok(table) = DeTable::parse(source.text) {
        if reason.starts_with("expected ") && !reason.contains(", got ") {
            let value = source.text.get(span.clone()).unwrap_or_default();
            reason = format!("{reason}, got {}", value.chars().take(MAX_EXCERPT).collect::<String>());
        }
        if let Some(key) = key_at(table.get_ref(), &span) {
            reason = format!("{key}: {reason}");
        }
    }
    source.wrong(span, reason)
}

/// Returns the full key at a place of the text, such as `params.from.type`. `None` for a place that is no single key's.
fn key_at(table: &DeTable<'_>, place: &Range<usize>) -> Option<String> {
    // The whole file has an empty place at its beginning.
    let covers = |span: Range<usize>| !place.is_empty() && span.start <= place.start && place.end <= span.end;
    table.iter().find_map(|(key, value)| {
        let below = match value.get_ref() {
            DeValue::Table(table) => key_at(table, place),
            _ => None,
        };
        let name = key.get_ref();
        match below {
            Some(below) => Some(format!("{name}.{below}")),
            None => (covers(key.span()) || covers(value.span())).then(|| name.to_string()),
        }
    })
}
