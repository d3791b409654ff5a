//! Untrusted text, made fit for file names, e-mails and terminals.

use std::borrow::Cow;

/// Returns whether a character is invisible, or changes the order of its neighbours. These are controls, marks of direction,
/// characters without width, separators of lines and paragraphs, and code points that are no characters. All characters that XML 1.0
/// cannot carry are among them; so listings of S3 and messages of SNS can carry the others.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    // Every plane ends with two code points that will never be characters, U+FFFE and U+FFFF among them.
    c.is_control()
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fdd0}'..='\u{fdef}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
        )
}

/// Replaces hidden characters, line breaks among them, so that the text is one line and looks like what it is.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(replaced).collect()
}

/// Replaces hidden characters and keeps line breaks.
#[must_use]
pub fn visible_lines(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { c } else { replaced(c) }).collect()
}

fn replaced(c: char) -> char {
    match c {
        '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => ' ',
        c if is_hidden(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Writes hidden characters as `\n` or `\u{202e}`, because a terminal obeys some of them.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    escaped_where(text, is_hidden)
}

/// Writes hidden characters as [`escaped`] does, and keeps line breaks.
#[must_use]
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    escaped_where(text, |c| c != '\n' && is_hidden(c))
}

fn escaped_where(text: &str, is_wanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_wanted) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if is_wanted(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// Escapes hidden characters in the strings of JSON. The value stays the same.
#[must_use]
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    let is_wanted = |c: char| !matches!(c, '\n' | '\r' | '\t') && is_hidden(c);
    if !json.contains(is_wanted) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_wanted(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped += &format!("\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// <https://www.w3.org/TR/xml/#charsets>
    fn xml_carries(c: char) -> bool {
        matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    }

    #[test]
    fn hidden_characters_are_those_xml_cannot_carry_and_those_that_deceive() {
        for c in ('\0'..=char::MAX).filter(|c| !xml_carries(*c)) {
            assert!(is_hidden(c), "{c:?}");
        }
        for c in "\u{85}\u{ad}\u{200b}\u{200d}\u{200e}\u{2028}\u{202e}\u{2066}\u{feff}\u{e0041}".chars() {
            assert!(is_hidden(c), "{c:?}");
        }
        // With combining marks, variation selectors, wide and private characters.
        for c in "aé注文\u{3000}\u{a0}e\u{301}葛\u{e0100}❤\u{fe0f}\u{1f600}\u{e000}".chars() {
            assert!(!is_hidden(c), "{c:?}");
        }
    }

    #[test]
    fn hidden_characters_are_replaced_or_escaped() {
        let text = "a\u{1b}[2J\r\nb\u{202e}gpj.exe\u{2028}注\u{ffff}";
        assert_eq!(one_line(text), "a [2J  b\u{fffd}gpj.exe 注\u{fffd}");
        assert_eq!(visible_lines(text), "a [2J \nb\u{fffd}gpj.exe 注\u{fffd}");
        assert_eq!(escaped(text), r"a\u{1b}[2J\r\nb\u{202e}gpj.exe\u{2028}注\u{ffff}");
        assert_eq!(escaped_lines(text), "a\\u{1b}[2J\\r\nb\\u{202e}gpj.exe\\u{2028}注\\u{ffff}");
        assert!(matches!(escaped("注文 1"), Cow::Borrowed("注文 1")));
    }

    #[test]
    fn escaped_json_says_the_same() {
        let value = serde_json::json!({ "a\u{202e}": ["\u{7f}\u{9b}2J\u{1b}", "\u{e0041}\n注"] });
        let json = serde_json::to_string_pretty(&value).unwrap();
        let escaped = escaped_json(&json);
        assert!(escaped.contains(r#""\u007f\u009b2J\u001b""#), "{escaped}");
        assert!(escaped.contains(r"\udb40\udc41\n注"), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }
}
