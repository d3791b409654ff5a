//! What kinds of answer a caller takes.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::problem::Problem;

const JSON: &str = "application/json";

/// Checks that the caller takes JSON.
///
/// # Errors
/// When the header `Accept` leaves it out.
pub(crate) fn takes_json(headers: &HeaderMap) -> Result<(), Problem> {
    let ranges = ranges(headers);
    let takes = ranges.is_empty() || quality(&ranges, &[JSON, "application/*", "*/*"]) > 0.0;
    if takes { Ok(()) } else { Err(Problem::not_acceptable()) }
}

/// Returns whether the caller asks for JSON by name.
pub(crate) fn asks_for_json(headers: &HeaderMap) -> bool {
    quality(&ranges(headers), &[JSON]) > 0.0
}

/// Returns whether the caller is a browser that shows pages: it asks for HTML by name.
pub(crate) fn asks_for_html(headers: &HeaderMap) -> bool {
    quality(&ranges(headers), &["text/html"]) > 0.0
}

/// Returns the ranges of the header, each with its quality.
fn ranges(headers: &HeaderMap) -> Vec<(String, f32)> {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(',')).filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
        Some((name, quality.unwrap_or(1.0)))
    });
    ranges.collect()
}

/// Returns the quality of the first of these names that there is: the most specific comes first.
fn quality(ranges: &[(String, f32)], names: &[&str]) -> f32 {
    let find = |name: &&str| ranges.iter().find(|(range, _)| range == name).map(|(_, quality)| *quality);
    names.iter().find_map(find).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn accept(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))])
    }

    #[test]
    fn most_specific_range_decides() {
        assert!(takes_json(&HeaderMap::new()).is_ok());
        for taken in
            ["*/*", "application/json", "text/html, application/*;q=0.5", "APPLICATION/JSON; charset=utf-8"]
        {
            assert!(takes_json(&accept(taken)).is_ok(), "{taken}");
        }
        for refused in ["text/html", "application/json;q=0, */*", "application/xml"] {
            assert!(takes_json(&accept(refused)).is_err(), "{refused}");
        }
    }

    #[test]
    fn json_is_asked_for_by_name_only() {
        assert!(asks_for_json(&accept("text/html, application/json")));
        assert!(!asks_for_json(&accept("text/html, */*")));
        assert!(!asks_for_json(&HeaderMap::new()));
    }
}
