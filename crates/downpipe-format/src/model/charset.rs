//! Encodes texts in UTF-8 and in the encodings of older programs.

use encoding_rs::{EncoderResult, Encoding};

use super::changes::ColumnChanges;
use super::choice::UnknownName;

/// An encoding that text files may have, by the names of the WHATWG Encoding Standard.
/// <https://encoding.spec.whatwg.org/#names-and-labels>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

/// Every encoding that can be written. Each has ASCII as it is. The standard's UTF-16 and `replacement` are for reading only, and
/// ISO-2022-JP, which switches between states, is for e-mail.
const WRITABLE: [&Encoding; 34] = [
    encoding_rs::UTF_8,
    encoding_rs::SHIFT_JIS,
    encoding_rs::EUC_JP,
    encoding_rs::EUC_KR,
    encoding_rs::GBK,
    encoding_rs::GB18030,
    encoding_rs::BIG5,
    encoding_rs::WINDOWS_874,
    encoding_rs::WINDOWS_1250,
    encoding_rs::WINDOWS_1251,
    encoding_rs::WINDOWS_1252,
    encoding_rs::WINDOWS_1253,
    encoding_rs::WINDOWS_1254,
    encoding_rs::WINDOWS_1255,
    encoding_rs::WINDOWS_1256,
    encoding_rs::WINDOWS_1257,
    encoding_rs::WINDOWS_1258,
    encoding_rs::ISO_8859_2,
    encoding_rs::ISO_8859_3,
    encoding_rs::ISO_8859_4,
    encoding_rs::ISO_8859_5,
    encoding_rs::ISO_8859_6,
    encoding_rs::ISO_8859_7,
    encoding_rs::ISO_8859_8,
    encoding_rs::ISO_8859_10,
    encoding_rs::ISO_8859_13,
    encoding_rs::ISO_8859_14,
    encoding_rs::ISO_8859_15,
    encoding_rs::ISO_8859_16,
    encoding_rs::KOI8_R,
    encoding_rs::KOI8_U,
    encoding_rs::IBM866,
    encoding_rs::MACINTOSH,
    encoding_rs::X_MAC_CYRILLIC,
];

impl Charset {
    /// UTF-8.
    pub const UTF_8: Self = Self(encoding_rs::UTF_8);

    /// Microsoft's Shift_JIS, code page 932.
    pub const CP932: Self = Self(encoding_rs::SHIFT_JIS);

    /// Returns the encoding of this name, without regard to case. The standard's other labels (`sjis`, `latin1`) are names, too.
    ///
    /// # Errors
    /// When there is none, or it cannot be written.
    pub fn named(name: &str) -> Result<Self, UnknownName> {
        // The standard does not list this common name.
        let label = if name.eq_ignore_ascii_case("cp932") { "windows-31j" } else { name };
        Encoding::for_label(label.as_bytes())
            .filter(|encoding| WRITABLE.contains(encoding))
            .map(Self)
            .ok_or_else(|| UnknownName {
                allowed: WRITABLE.iter().map(|encoding| encoding.name().to_owned()).collect(),
                actual: name.to_owned(),
            })
    }

    /// Returns the standard's name, which is also that of `charset=` in a media type.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Appends UTF-8 text in this encoding. A character that the encoding lacks becomes one that looks the same, or a `?`. Both are
    /// counted.
    pub(crate) fn encode(self, text: &[u8], out: &mut Vec<u8>, changes: &mut ColumnChanges) {
        if self == Self::UTF_8 || text.is_ascii() {
            return out.extend_from_slice(text);
        }
        let text = String::from_utf8_lossy(text);
        changes.invalid_text += u64::from(matches!(text, std::borrow::Cow::Owned(_)));
        let start = out.len();
        self.encode_with_substitutes(&text, out);
        // The standard itself replaces a few characters silently: `¥` by a backslash. So the text is read back.
        let (read_back, _) = self.0.decode_without_bom_handling(&out[start..]);
        for (written, original) in read_back.chars().zip(text.chars()) {
            if written != original {
                let counter = match written {
                    '?' => &mut changes.unmappable_characters,
                    _ => &mut changes.lookalike_characters,
                };
                *counter += 1;
            }
        }
    }

    fn encode_with_substitutes(self, mut text: &str, out: &mut Vec<u8>) {
        let mut encoder = self.0.new_encoder();
        let mut substitute = [0; 4];
        loop {
            let needed = encoder.max_buffer_length_from_utf8_without_replacement(text.len());
            out.reserve(needed.unwrap_or(text.len()));
            let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(text, out, true);
            text = &text[read..];
            match result {
                EncoderResult::InputEmpty => return,
                EncoderResult::OutputFull => {}
                EncoderResult::Unmappable(character) => {
                    let lookalike = lookalike(character).encode_utf8(&mut substitute);
                    // More than any encoding needs for a character.
                    out.reserve(16);
                    let (result, _) =
                        encoder.encode_from_utf8_to_vec_without_replacement(lookalike, out, false);
                    if matches!(result, EncoderResult::Unmappable(_)) {
                        out.push(b'?');
                    }
                }
            }
        }
    }
}

/// Returns the character of Japanese encodings that looks the same. Other systems' tables for Shift_JIS differ from Microsoft's in
/// these, so texts that were typed elsewhere are full of them.
fn lookalike(character: char) -> char {
    match character {
        '\u{301c}' => '\u{ff5e}', // wave dash, full-width tilde
        '\u{2016}' => '\u{2225}', // double vertical line, parallel to
        '\u{2212}' => '\u{ff0d}', // minus sign, full-width hyphen-minus
        '\u{2014}' => '\u{2015}', // em dash, horizontal bar
        '\u{a2}' => '\u{ffe0}',   // cent sign, full-width
        '\u{a3}' => '\u{ffe1}',   // pound sign, full-width
        '\u{ac}' => '\u{ffe2}',   // not sign, full-width
        '\u{a6}' => '\u{ffe4}',   // broken bar, full-width
        '\u{a0}' => ' ',          // no-break space
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(charset: Charset, text: &str) -> (Vec<u8>, ColumnChanges) {
        let mut out = Vec::new();
        let mut changes = ColumnChanges::default();
        charset.encode(text.as_bytes(), &mut out, &mut changes);
        (out, changes)
    }

    #[test]
    fn cp932_text_has_microsofts_characters() {
        let (bytes, changes) = encoded(Charset::CP932, "①髙﨑～表");
        assert_eq!(bytes, b"\x87\x40\xfb\xfc\xfa\xb1\x81\x60\x95\x5c");
        assert_eq!(changes, ColumnChanges::default());
    }

    #[test]
    fn character_that_does_not_map_is_replaced_and_counted() {
        let (bytes, changes) = encoded(Charset::CP932, "a🚀é?〜¥b");
        assert_eq!(bytes, b"a???\x81\x60\x5cb");
        assert_eq!(
            changes,
            ColumnChanges { unmappable_characters: 2, lookalike_characters: 2, ..Default::default() }
        );
    }

    #[test]
    fn writable_encoding_is_found_by_its_name() {
        for encoding in WRITABLE {
            assert_eq!(encoding.output_encoding(), encoding, "{}", encoding.name());
            assert_eq!(Charset::named(encoding.name()).unwrap().name(), encoding.name());
        }
        assert_eq!(Charset::named("CP932"), Ok(Charset::CP932));
    }

    #[test]
    fn unknown_encoding_is_refused_with_the_allowed_ones() {
        for name in ["utf-16", "iso-2022-jp", "ebcdic", ""] {
            let error = Charset::named(name).unwrap_err();
            assert_eq!(error.actual, name);
            assert!(error.allowed.contains(&"Shift_JIS".to_owned()), "{error}");
        }
    }
}
