//! `time_zone`: the zone of date parameters, of the query's session, and of instants in files.

use downpipe_format::Profile;
use jiff::tz::TimeZone;

use crate::catalog::tokens::{QuoteMode, Token, Tokens};

/// Words whose value follows from the clock of the session's time zone, with or without parentheses.
const CONSTANTS: [&str; 5] =
    ["CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP"];

/// Functions whose value follows from that clock, or that extract a day or an hour: that of a `TIMESTAMP` depends on the zone.
const FUNCTIONS: [&str; 28] = [
    "NOW",
    "CURDATE",
    "CURTIME",
    "SYSDATE",
    "FROM_UNIXTIME",
    "UNIX_TIMESTAMP",
    "DATE",
    "TIME",
    "DATE_FORMAT",
    "TIME_FORMAT",
    "EXTRACT",
    "YEAR",
    "QUARTER",
    "MONTH",
    "MONTHNAME",
    "WEEK",
    "WEEKOFYEAR",
    "YEARWEEK",
    "WEEKDAY",
    "DAY",
    "DAYNAME",
    "DAYOFMONTH",
    "DAYOFWEEK",
    "DAYOFYEAR",
    "LAST_DAY",
    "TO_DAYS",
    "TO_SECONDS",
    "HOUR",
];

/// Reads a zone's name.
pub(super) fn read(name: &str) -> Result<TimeZone, String> {
    let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown());
    zone.ok_or_else(|| {
        format!("expected a name of the IANA time zone database such as \"Asia/Tokyo\", got {name:?}")
    })
}

/// Returns the profile with the zone of its definition, unless the profile has its own. `lossless` stays in UTC, because `LOAD DATA`
/// reads it back in UTC.
pub(super) fn profile_in(zone: &TimeZone, profile: Profile) -> Profile {
    if *zone == TimeZone::UTC || profile.name == Profile::LOSSLESS.name {
        return profile;
    }
    Profile { time_zone: profile.time_zone.or_else(|| Some(zone.clone())), ..profile }
}

/// Finds the time functions in the SQL of a definition that names no zone. Returns the line of the first, from 0, and advice about
/// all of them.
pub(super) fn warning(sql: &str, mode: QuoteMode) -> Option<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut is_type = false;
    for Word { line, text, is_called } in words(sql, mode) {
        let text = text.to_ascii_uppercase();
        let follows_clock = CONSTANTS.contains(&text.as_str());
        // In `CAST(a AS TIME(6))` it is a type.
        let is_function = is_called && !is_type && FUNCTIONS.contains(&text.as_str());
        is_type = text == "AS";
        if (follows_clock || is_function) && !found.iter().any(|(_, before)| *before == text) {
            found.push((line, text));
        }
    }
    let line = found.first()?.0;
    let names: Vec<&str> = found.iter().map(|(_, name)| name.as_str()).collect();
    let reason = format!(
        "sql: {} may depend on the time zone, and the definition names none: it is evaluated in UTC. Write the zone in which it is \
         meant, such as time_zone = \"Asia/Tokyo\", or time_zone = \"UTC\"",
        names.join(", ")
    );
    Some((line, reason))
}

/// An unquoted word: a keyword, or the name of a function or a column.
struct Word<'a> {
    /// Its line in the SQL, from 0.
    line: usize,
    text: &'a str,
    /// Whether a `(` follows.
    is_called: bool,
}

/// Returns the words outside of strings, quoted names and comments.
fn words(sql: &str, mode: QuoteMode) -> Vec<Word<'_>> {
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut line = 0;
    let mut follows_word = false;
    let mut tokens = Tokens::new(sql, mode);
    loop {
        let rest = tokens.rest();
        let Some(token) = tokens.next() else { return words };
        match token {
            Token::Word(text) => words.push(Word { line, text, is_called: false }),
            Token::Other("(") if follows_word => {
                words.last_mut().into_iter().for_each(|word| word.is_called = true)
            }
            _ => {}
        }
        follows_word = matches!(token, Token::Word(_)) || (follows_word && matches!(token, Token::Blank(_)));
        line += rest[..token.len()].matches('\n').count();
    }
}
