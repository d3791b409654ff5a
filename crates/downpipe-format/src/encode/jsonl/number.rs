//! Numbers as JSON writes them.

use super::unsupported_value::UnsupportedValue;
use crate::model::Digits;

/// Appends a `DECIMAL` with the digits that the server sent, but without the zeros that `ZEROFILL` puts in front.
///
/// A number without a digit before the point, which MySQL does not send, gets a zero there.
pub(super) fn push_decimal(out: &mut Vec<u8>, text: &[u8]) -> Result<(), UnsupportedValue> {
    let Digits { negative, integer, fraction } = Digits::read(text).ok_or(UnsupportedValue::NO_DECIMAL)?;
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(if integer.is_empty() { b"0" } else { integer });
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
    Ok(())
}

/// Returns whether the text is a number as JSON writes it (RFC 8259, section 6), with nothing around it.
pub(super) fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (integer, rest) = split_digits(digits);
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(rest) => split_digits(rest),
        None => (&b"0"[..], rest),
    };
    let exponent = match rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        Some(rest) => rest.strip_prefix(b"-").or_else(|| rest.strip_prefix(b"+")).unwrap_or(rest),
        None if rest.is_empty() => b"0",
        None => return false,
    };
    let (exponent, rest) = split_digits(exponent);
    let leading_zero = integer.len() > 1 && integer[0] == b'0';
    !leading_zero && rest.is_empty() && ![integer, fraction, exponent].iter().any(|digits| digits.is_empty())
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

#[cfg(test)]
mod tests {
    use super::super::value::is_json;
    use super::*;

    fn decimal(text: &str) -> Option<String> {
        let mut out = Vec::new();
        push_decimal(&mut out, text.as_bytes()).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn decimal_is_written_as_json_number_with_its_digits() {
        for same in ["0", "-0.10", "12.50", "100", "0.000000000000000000000000000001", "-0.00"] {
            assert_eq!(decimal(same).as_deref(), Some(same));
        }
        for (sent, written) in
            [(".5", "0.5"), ("-.5", "-0.5"), ("007.50", "7.50"), ("-000", "-0"), ("1.", "1")]
        {
            assert_eq!(decimal(sent).as_deref(), Some(written));
        }
        for none in ["", "-", ".", "1e5", "1.2.3", "--1", " 1", "NaN"] {
            assert_eq!(decimal(none), None, "{none:?}");
        }
    }

    #[test]
    fn text_is_number_only_where_serde_json_reads_one() {
        for text in [
            "0", "-0", "10", "-1.50", "1e5", "1E+5", "1.5e-07", "0.0", "", "-", "01", "1.", ".5", "+1", "1e",
            "1e+", " 1", "1 ", "0x1", "1_000", "NaN", "true", "1.5.5", "１",
        ] {
            let begins_and_ends = |byte: u8| byte.is_ascii_digit() || byte == b'-';
            let bare = text.bytes().next().is_some_and(begins_and_ends)
                && text.bytes().last().is_some_and(begins_and_ends);
            let expected = bare && is_json(text);
            assert_eq!(is_number(text.as_bytes()), expected, "{text:?}");
        }
    }
}
