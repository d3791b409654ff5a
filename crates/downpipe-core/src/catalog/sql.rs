//! A definition's SQL, split at its `:name` placeholders, so that values are bound and never become text.

use super::hidden_limit::HiddenLimits;
use super::tokens::{QuoteMode, Token, Tokens};
use super::value::Value;

/// SQL split at its placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlTemplate {
    pieces: Vec<TemplatePiece>,
    /// Whether a `LIMIT` cuts the whole result.
    limited: bool,
    modes: QuoteModes,
}

/// The modes in which a server reads a statement as it was read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuoteModes([bool; QuoteMode::ALL.len()]);

impl QuoteModes {
    /// Returns all modes.
    #[must_use]
    pub fn any() -> Self {
        Self([true; QuoteMode::ALL.len()])
    }

    /// Returns whether every mode is contained, so that the server's mode does not matter.
    #[must_use]
    pub fn is_any(self) -> bool {
        self == Self::any()
    }

    /// Returns whether this mode is contained.
    #[must_use]
    pub fn contains(self, mode: QuoteMode) -> bool {
        QuoteMode::ALL.iter().zip(self.0).any(|(known, contained)| contained && *known == mode)
    }

    /// Returns the modes in which the SQL has the tokens that it has in this mode.
    fn that_read_as(sql: &str, mode: QuoteMode) -> Self {
        Self(QuoteMode::ALL.map(|other| Tokens::new(sql, other).eq(Tokens::new(sql, mode))))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePiece {
    Text(String),
    Placeholder(String),
}

/// A piece of a query that is ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlPiece {
    /// Text that the definition's author wrote.
    Text(String),
    /// A value that is bound at this place.
    Value(Value),
}

/// What is wrong with a definition's SQL, and the line in it (counted from 0) where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqlError {
    pub(crate) line: usize,
    pub(crate) reason: String,
    is_unclosed: bool,
}

/// Words with which MySQL's FOUND_ROWS() counts rows that it did not send.
const CHANGES_ROW_COUNT: [&str; 2] = ["SQL_CALC_FOUND_ROWS", "OFFSET"];

/// Statements that return rows and change nothing.
const READS: [&str; 4] = ["SELECT", "WITH", "TABLE", "VALUES"];

impl SqlTemplate {
    /// Splits SQL at its placeholders. Strings, quoted names and comments have none; the server's mode decides where those end.
    pub(crate) fn parse(sql: &str, mode: QuoteMode) -> Result<Self, SqlError> {
        Self::read(sql, mode).map_err(|error| {
            let other =
                QuoteMode::ALL.into_iter().find(|other| *other != mode && Self::read(sql, *other).is_ok());
            let hint = other.filter(|_| error.is_unclosed).map_or_else(String::new, |other| {
                format!(
                    "; if the server's sql_mode has {other}, add sql_mode = \"{other}\" to the definition"
                )
            });
            SqlError { reason: error.reason + &hint, ..error }
        })
    }

    fn read(sql: &str, mode: QuoteMode) -> Result<Self, SqlError> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rules = Rules::default();
        let mut limited = false;
        let mut depth = 0_u32;
        let mut tokens = Tokens::new(sql, mode);
        loop {
            let rest = tokens.rest();
            let Some(token) = tokens.next() else { break };
            match token {
                Token::Other("(") => depth += 1,
                Token::Other(")") => depth = depth.saturating_sub(1),
                Token::Word(word) if depth == 0 && word.eq_ignore_ascii_case("LIMIT") => {
                    limited = true;
                }
                _ => {}
            }
            rules.check(token).map_err(|reason| SqlError {
                line: line_of(sql, rest),
                reason,
                is_unclosed: matches!(token, Token::Unclosed(_)),
            })?;
            match token {
                Token::Placeholder(name) => {
                    pieces.push(TemplatePiece::Text(std::mem::take(&mut text)));
                    pieces.push(TemplatePiece::Placeholder(name.to_owned()));
                }
                Token::End => {}
                _ => text.push_str(&rest[..token.len()]),
            }
        }
        pieces.push(TemplatePiece::Text(text));
        rules.check_begun().map_err(|reason| SqlError { line: 0, reason, is_unclosed: false })?;
        Ok(Self { pieces, limited, modes: QuoteModes::that_read_as(sql, mode) })
    }

    /// Returns the modes in which a server reads the SQL as it was read here. A server in another mode must not run it.
    #[must_use]
    pub fn modes(&self) -> QuoteModes {
        self.modes
    }

    /// Returns whether a `LIMIT` cuts the whole result. A run that resumes would count its rows from 0.
    pub(crate) fn is_limited(&self) -> bool {
        self.limited
    }

    /// Returns the placeholders' names, in order and with repetitions.
    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            TemplatePiece::Placeholder(name) => Some(name.as_str()),
            TemplatePiece::Text(_) => None,
        })
    }

    /// Puts a value at every placeholder. Calls `value_of` once for each occurrence.
    pub(crate) fn bind(&self, value_of: impl Fn(&str) -> Option<Value>) -> Option<Vec<SqlPiece>> {
        self.pieces
            .iter()
            .map(|piece| match piece {
                TemplatePiece::Text(text) => Some(SqlPiece::Text(text.clone())),
                TemplatePiece::Placeholder(name) => value_of(name).map(SqlPiece::Value),
            })
            .collect()
    }
}

/// Reserved words that a definition must not use, each with the word that has to precede it, if any, and the reason. A reserved
/// word is a name only when it is quoted or follows a dot.
const REFUSED: [(Option<&str>, &str, &str); 7] = [
    (None, "INTO", "INTO keeps the rows on the server, and there would be nothing to export"),
    (Some("FOR"), "UPDATE", "FOR UPDATE locks the rows that are exported"),
    (Some("FOR"), "SHARE", "FOR SHARE locks the rows that are exported"),
    (Some("LOCK"), "IN", "LOCK IN SHARE MODE locks the rows that are exported"),
    (None, "UPDATE", "UPDATE changes rows, and a definition only reads"),
    (None, "DELETE", "DELETE removes rows, and a definition only reads"),
    (None, "PROCEDURE", "PROCEDURE returns something else than the rows of the query"),
];

/// Checks a definition's statement, token by token.
#[derive(Debug, Default)]
struct Rules {
    begun: bool,
    ended: bool,
    limit: Limit,
    before: Before,
    in_comment: bool,
    hidden: HiddenLimits,
}

/// What precedes a word.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Before {
    #[default]
    Anything,
    /// A dot or an `@` directly before the word, which makes the word a name.
    NameMark,
    For,
    Lock,
}

impl Before {
    fn after(token: Token<'_>) -> Self {
        match token {
            Token::Other("." | "@") => Self::NameMark,
            Token::Word(word) if word.eq_ignore_ascii_case("FOR") => Self::For,
            Token::Word(word) if word.eq_ignore_ascii_case("LOCK") => Self::Lock,
            _ => Self::Anything,
        }
    }

    fn is(self, word: Option<&str>) -> bool {
        match word {
            None => true,
            Some("FOR") => self == Self::For,
            Some(_) => self == Self::Lock,
        }
    }
}

/// How much of a `LIMIT skip, rows` has been seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Limit {
    #[default]
    Nothing,
    Word,
    Number,
}

impl Rules {
    fn check(&mut self, token: Token<'_>) -> Result<(), String> {
        self.check_comment(token)?;
        match token {
            Token::Blank(_) | Token::Open(_) | Token::Close => {
                if self.before == Before::NameMark {
                    self.before = Before::Anything;
                }
                return Ok(());
            }
            Token::Unclosed(what) => return Err(format!("{what} is not closed")),
            _ if self.ended => {
                return Err("there is more after the `;`; a definition is one statement".to_owned());
            }
            Token::Marker => return Err("`?` has no name; write parameters as `:name`".to_owned()),
            Token::Word(word) => self.check_word(word)?,
            Token::End => self.ended = true,
            Token::Other(",") if self.limit == Limit::Number => {
                return Err(row_count_refusal("LIMIT with two numbers"));
            }
            Token::Placeholder(_) | Token::Quoted(_) | Token::Other(_) => {}
        }
        self.hidden.check(match token {
            Token::Word(text) | Token::Other(text) => text,
            _ => "",
        })?;
        self.limit = match (token, self.limit) {
            (Token::Word(word), _) if word.eq_ignore_ascii_case("LIMIT") => Limit::Word,
            (Token::Word(_) | Token::Placeholder(_), Limit::Word) => Limit::Number,
            _ => Limit::Nothing,
        };
        self.before = Before::after(token);
        Ok(())
    }

    /// Checks that a comment that only some servers run ends at the same place for those that skip it.
    fn check_comment(&mut self, token: Token<'_>) -> Result<(), String> {
        match token {
            Token::Open(_) if self.in_comment => {
                return Err("a comment stands within a comment that some servers run".to_owned());
            }
            Token::Open(_) => self.in_comment = true,
            Token::Close => self.in_comment = false,
            Token::Placeholder(name) if self.in_comment => {
                return Err(format!(
                    "`:{name}` stands in a comment that some servers run and others skip; write it outside"
                ));
            }
            Token::Blank(text) | Token::Quoted(text) if self.in_comment && text.contains("*/") => {
                return Err("`*/` ends this comment for some servers and not for others".to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    fn check_word(&mut self, word: &str) -> Result<(), String> {
        if !std::mem::replace(&mut self.begun, true)
            && !READS.iter().any(|read| word.eq_ignore_ascii_case(read))
        {
            return Err(format!("expected a statement that reads ({}), got {word:?}", READS.join(", ")));
        }
        if self.before == Before::NameMark {
            return Ok(());
        }
        let is_refused = |(before, refused, _): &&(Option<&str>, &str, &str)| {
            self.before.is(*before) && word.eq_ignore_ascii_case(refused)
        };
        if let Some((.., why)) = REFUSED.iter().find(is_refused) {
            return Err(format!("{why}; leave it out (a name can be put in backticks)"));
        }
        match CHANGES_ROW_COUNT.iter().find(|other| word.eq_ignore_ascii_case(other)) {
            Some(other) => Err(row_count_refusal(other)),
            None => Ok(()),
        }
    }

    fn check_begun(&self) -> Result<(), String> {
        if self.begun {
            Ok(())
        } else {
            Err(format!("expected a statement that reads ({}), got none", READS.join(", ")))
        }
    }
}

fn row_count_refusal(what: &str) -> String {
    format!(
        "{what} changes the row count that proves a file complete; leave it out (a name can be put in backticks)"
    )
}

fn line_of(sql: &str, rest: &str) -> usize {
    sql[..sql.len() - rest.len()].matches('\n').count()
}
