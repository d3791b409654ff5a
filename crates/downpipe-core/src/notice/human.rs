//! Numbers, sizes and times for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::language::Language;
use crate::message::shorten;
use crate::words::{Args, args, own};

/// Returns a parameter's value in one line.
pub(super) fn plain(value: &serde_json::Value, language: Language) -> String {
    match value {
        serde_json::Value::String(text) => shorten(text),
        serde_json::Value::Null => own(language, "not-given", &Args::new()),
        other => shorten(&other.to_string()),
    }
}

/// Returns a size for people, in English: `0 bytes`, `48.3 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    size_in(bytes, Language::En)
}

/// Returns a size for people. A kB is 1,000 bytes.
pub(super) fn size_in(bytes: u64, language: Language) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return own(language, "bytes", &args([("bytes", bytes.into())]));
    }
    let mut tenths = bytes / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Returns a minute on the clock of this zone, with the zone's name.
pub(super) fn moment(at: Timestamp, zone: &str, language: Language) -> String {
    let (zone, time_zone) = match TimeZone::get(zone) {
        Ok(time_zone) => (zone, time_zone),
        // A receipt of an earlier version, or of a worker that knows more zones.
        Err(_) => ("UTC", TimeZone::UTC),
    };
    let time = at.to_zoned(time_zone);
    match language {
        Language::En => {
            // Zones without an abbreviation have a number in its place.
            let short = time.strftime("%Z").to_string();
            let is_word = short.starts_with(|letter: char| letter.is_ascii_alphabetic());
            let name = if is_word { short } else { format!("({zone})") };
            format!("{} {name}", time.strftime("%-d %B %Y, %H:%M"))
        }
        Language::Ja => {
            let name = if zone == "Asia/Tokyo" { "日本時間" } else { zone };
            format!("{}（{name}）", time.strftime("%Y年%-m月%-d日 %H:%M"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moment_of_each_zone_names_it() {
        let at = Timestamp::constant(1_796_634_000, 0);
        let both = |zone| [Language::En, Language::Ja].map(|language| moment(at, zone, language)).join(" / ");
        assert_eq!(both("Asia/Tokyo"), "7 December 2026, 18:00 JST / 2026年12月7日 18:00（日本時間）");
        assert_eq!(both("UTC"), "7 December 2026, 09:00 UTC / 2026年12月7日 09:00（UTC）");
        assert_eq!(
            both("America/Sao_Paulo"),
            "7 December 2026, 06:00 (America/Sao_Paulo) / 2026年12月7日 06:00（America/Sao_Paulo）"
        );
        assert_eq!(both(""), both("UTC"));
    }
}
