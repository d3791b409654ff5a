//! The language in which a request is answered: `?lang=`, or the header `Accept-Language`.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::request::Parts;
use downpipe_core::language::Language;
use url::form_urlencoded;

/// The language of the person who reads the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReaderLanguage(pub(crate) Language);

impl<S: Sync> FromRequestParts<S> for ReaderLanguage {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(language_of(parts.uri.query(), &parts.headers)))
    }
}

/// Returns the language of a request with this query and these headers: English where they ask for none that there is.
pub(crate) fn language_of(query: Option<&str>, headers: &HeaderMap) -> Language {
    asked_language(query).or_else(|| accepted_language(headers)).unwrap_or(Language::En)
}

/// Returns the language of `?lang=`, if there is one of that name.
fn asked_language(query: Option<&str>) -> Option<Language> {
    let fields = form_urlencoded::parse(query?.as_bytes());
    fields.filter(|(name, _)| name == "lang").find_map(|(_, value)| value.parse().ok())
}

/// Returns the language that the header likes best, of those that there are.
fn accepted_language(headers: &HeaderMap) -> Option<Language> {
    let ranges = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?.split(',').filter_map(|range| {
        let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
        let primary = tag.trim().split('-').next()?.to_ascii_lowercase();
        let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
        Some((primary.parse().ok()?, weight))
    });
    // The first of several that it likes as much.
    let better = |best: Option<(Language, f32)>, next: (Language, f32)| match best {
        Some(best) if best.1 >= next.1 => Some(best),
        _ => Some(next),
    };
    ranges.filter(|(_, weight)| *weight > 0.0).fold(None, better).map(|(language, _)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(query: &str, header: &str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, header.parse().unwrap());
        language_of(Some(query), &headers)
    }

    #[test]
    fn language_is_that_of_the_query_then_of_the_header() {
        assert_eq!(language("lang=ja", "en"), Language::Ja);
        assert_eq!(language("lang=fr", "ja,en;q=0.5"), Language::Ja);
        assert_eq!(language("", "ja-JP,ja;q=0.9,en;q=0.8"), Language::Ja);
        assert_eq!(language("", "en-GB,ja;q=0.9"), Language::En);
        assert_eq!(language("", "fr, en;q=0.2, ja;q=0.7"), Language::Ja);
        assert_eq!(language("", "ja;q=0, *"), Language::En);
        assert_eq!(language("", "ja;q=high"), Language::En);
        assert_eq!(language("", ""), Language::En);
    }
}
