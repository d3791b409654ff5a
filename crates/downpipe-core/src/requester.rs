//! Requesters: who asked for an export.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The requester of a message that names none.
pub const OPERATOR: &str = "operator";

/// RFC 5321 allows an address no more than 254 characters.
const MAX_LENGTH: usize = 254;

/// Characters that have a meaning of their own in a mail header (RFC 5322, `specials`). They would turn an address into a list, a
/// comment or a name.
const SPECIALS: &str = r#"()<>[]:;,\""#;

/// Who asked: [`OPERATOR`], or an e-mail address in lower case.
///
/// Databases do not agree on which texts are equal: `alice@exämple.com` equals `alice@example.com` in MySQL's usual collation, and
/// `alice@example.com ` does in others. A requester is bound into SQL, filters subscriptions and decides who may ask. So it has one
/// spelling that compares alike everywhere: printable ASCII, without upper case, with exactly one `@`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Requester(String);

/// A text that is no requester.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"operator\" or an e-mail address: at most {MAX_LENGTH} characters of printable ASCII, exactly one @, no space and none of {SPECIALS}"
)]
pub struct InvalidRequester;

impl Requester {
    /// Returns the requester of a message that names none.
    #[must_use]
    pub fn operator() -> Self {
        Self(OPERATOR.to_owned())
    }

    /// Returns whether this is the operator, who has no address.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.0 == OPERATOR
    }

    /// Returns the requester as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether an address may have this character.
    pub(crate) fn may_have(c: char) -> bool {
        c.is_ascii_graphic() && !SPECIALS.contains(c)
    }
}

impl FromStr for Requester {
    type Err = InvalidRequester;

    /// Reads a requester and folds its case, because people write the same address in upper and in lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let folded = text.to_ascii_lowercase();
        let is_address = |text: &str| {
            let sides = text.split_once('@');
            let right =
                sides.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
            right && text.len() <= MAX_LENGTH && text.chars().all(Self::may_have)
        };
        if folded == OPERATOR || is_address(&folded) { Ok(Self(folded)) } else { Err(InvalidRequester) }
    }
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requester_of_an_address_is_folded_once() {
        for (text, folded) in [
            ("alice@example.com", "alice@example.com"),
            ("Alice.O'Brien+Orders@Example.COM", "alice.o'brien+orders@example.com"),
            ("a@b", "a@b"),
            ("Operator", "operator"),
        ] {
            assert_eq!(
                text.parse::<Requester>().map(|requester| requester.to_string()).as_deref(),
                Ok(folded)
            );
        }
        let longest = format!("{}@b", "a".repeat(MAX_LENGTH - 2));
        assert!(longest.parse::<Requester>().is_ok());
        assert_eq!(format!("a{longest}").parse::<Requester>(), Err(InvalidRequester));
    }

    #[test]
    fn requester_that_is_equal_to_another_somewhere_is_refused() {
        for text in [
            "",
            "alice",
            "operator ",
            "@example.com",
            "alice@",
            "alice@exämple.com",
            "alice@example.com ",
            "alice@example.com\u{200b}",
            "al ice@example.com",
            "alice@example.com\r\nBcc: eve@example.org",
            "a@x,b@y",
            "a,b@x",
            "a;b@x",
            "alice@example.com@",
            "Alice <alice@example.com>",
            "\"a b\"@x",
            "a@[127.0.0.1]",
            "a(comment)@x",
            "K\u{212a}@example.com",
        ] {
            assert_eq!(text.parse::<Requester>(), Err(InvalidRequester), "{text:?}");
        }
    }
}
