//! A definition's SQL with its `:name` placeholders found, so that values can take their places without ever becoming
//! text.

use crate::params::Value;

/// SQL split at its placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlTemplate {
    pieces: Vec<TemplatePiece>,
    /// Whether there is a `LIMIT` on all of the result.
    limited: bool,
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
    /// A value, to be bound at this place.
    Value(Value),
}

/// What is wrong with a definition's SQL, and the line in it (counted from 0) where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqlError {
    pub(crate) line: usize,
    pub(crate) reason: String,
}

/// With these MySQL's FOUND_ROWS() counts rows that it did not send.
const COUNTS_OTHERWISE: [&str; 2] = ["SQL_CALC_FOUND_ROWS", "OFFSET"];

/// Statements that return rows and change nothing.
const READS: [&str; 4] = ["SELECT", "WITH", "TABLE", "VALUES"];

impl SqlTemplate {
    /// Finds the placeholders, leaving alone what only looks like one: in strings, quoted names and comments.
    pub(crate) fn parse(sql: &str) -> Result<Self, SqlError> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rules = Rules::default();
        let mut rest = sql;
        let mut limited = false;
        let mut depth = 0_u32;
        while let Some(token) = Token::first(rest) {
            match token {
                Token::Other("(") => depth += 1,
                Token::Other(")") => depth = depth.saturating_sub(1),
                Token::Word(word) if depth == 0 && word.eq_ignore_ascii_case("LIMIT") => {
                    limited = true;
                }
                _ => {}
            }
            rules.check(token).map_err(|reason| SqlError { line: line_of(sql, rest), reason })?;
            match token {
                Token::Placeholder(name) => {
                    pieces.push(TemplatePiece::Text(std::mem::take(&mut text)));
                    pieces.push(TemplatePiece::Placeholder(name.to_owned()));
                }
                Token::End => {}
                _ => text.push_str(&rest[..token.len()]),
            }
            rest = &rest[token.len()..];
        }
        pieces.push(TemplatePiece::Text(text));
        rules.check_begun().map_err(|reason| SqlError { line: 0, reason })?;
        Ok(Self { pieces, limited })
    }

    /// Whether there is a `LIMIT` on all of the result. A run that goes on would begin to count anew.
    pub(crate) fn is_limited(&self) -> bool {
        self.limited
    }

    /// The placeholders' names, in order and as often as they stand there.
    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            TemplatePiece::Placeholder(name) => Some(name.as_str()),
            TemplatePiece::Text(_) => None,
        })
    }

    /// Puts a value at every placeholder. `value_of` is asked once for each occurrence.
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

/// What a definition's statement must be, seen token by token.
#[derive(Debug, Default)]
struct Rules {
    begun: bool,
    ended: bool,
    limit: Limit,
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
        match token {
            Token::Blank(_) => return Ok(()),
            Token::Unclosed(what) => return Err(format!("{what} is not closed")),
            _ if self.ended => {
                return Err("there is more after the `;`; a definition is one statement".to_owned());
            }
            Token::Marker => return Err("`?` has no name; write parameters as `:name`".to_owned()),
            Token::Word(word) => self.check_word(word)?,
            Token::End => self.ended = true,
            Token::Other(",") if self.limit == Limit::Number => {
                return Err(counts_otherwise("LIMIT with two numbers"));
            }
            Token::Placeholder(_) | Token::Quoted(_) | Token::Other(_) => {}
        }
        self.limit = match (token, self.limit) {
            (Token::Word(word), _) if word.eq_ignore_ascii_case("LIMIT") => Limit::Word,
            (Token::Word(_) | Token::Placeholder(_), Limit::Word) => Limit::Number,
            _ => Limit::Nothing,
        };
        Ok(())
    }

    fn check_word(&mut self, word: &str) -> Result<(), String> {
        if !std::mem::replace(&mut self.begun, true)
            && !READS.iter().any(|read| word.eq_ignore_ascii_case(read))
        {
            return Err(format!("expected a statement that reads ({}), got {word:?}", READS.join(", ")));
        }
        match COUNTS_OTHERWISE.iter().find(|other| word.eq_ignore_ascii_case(other)) {
            Some(other) => Err(counts_otherwise(other)),
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

fn counts_otherwise(what: &str) -> String {
    format!(
        "{what} changes the row count that proves a file complete; leave it out (a name can be put in backticks)"
    )
}

/// A token, as far as finding placeholders needs to know them.
#[derive(Debug, Clone, Copy)]
enum Token<'a> {
    Blank(&'a str),
    Quoted(&'a str),
    Word(&'a str),
    Placeholder(&'a str),
    Marker,
    End,
    Other(&'a str),
    Unclosed(&'static str),
}

impl<'a> Token<'a> {
    fn first(sql: &'a str) -> Option<Self> {
        let first = sql.chars().next()?;
        Some(match first {
            '\'' | '"' | '`' => quoted(sql, first),
            '#' => Self::Blank(until_line_end(sql)),
            // MySQL takes `--` for a comment only when white space or a control character follows, both of them ASCII
            // (reference manual, "Comments").
            '-' if sql.starts_with("--")
                && sql[2..].bytes().next().is_none_or(|b| b == b' ' || b.is_ascii_control()) =>
            {
                Self::Blank(until_line_end(sql))
            }
            // `/*!` and `/*+` are no comments: MySQL runs what is inside the first and heeds the second.
            '/' if sql.starts_with("/*!") || sql.starts_with("/*+") => Self::Other(&sql[..3]),
            '/' if sql.starts_with("/*") => match sql[2..].find("*/") {
                Some(end) => Self::Blank(&sql[..end + 4]),
                None => Self::Unclosed("a comment"),
            },
            ':' => match word(&sql[1..]) {
                "" => Self::Other(&sql[..1]),
                name => Self::Placeholder(name),
            },
            '?' => Self::Marker,
            ';' => Self::End,
            c if c.is_whitespace() => Self::Blank(&sql[..c.len_utf8()]),
            c => match word(sql) {
                "" => Self::Other(&sql[..c.len_utf8()]),
                word => Self::Word(word),
            },
        })
    }

    fn len(self) -> usize {
        match self {
            Self::Blank(text) | Self::Quoted(text) | Self::Word(text) | Self::Other(text) => text.len(),
            Self::Placeholder(name) => name.len() + 1,
            Self::Marker | Self::End => 1,
            Self::Unclosed(_) => 0,
        }
    }
}

fn word(sql: &str) -> &str {
    let end = sql.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(sql.len());
    &sql[..end]
}

fn until_line_end(sql: &str) -> &str {
    &sql[..sql.find('\n').unwrap_or(sql.len())]
}

/// A string or quoted name. A doubled quote stays inside; a backslash escapes in strings, but not in names.
fn quoted(sql: &str, quote: char) -> Token<'_> {
    let mut chars = sql.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote != '`' {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return Token::Quoted(&sql[..=at]);
        }
    }
    Token::Unclosed(if quote == '`' { "a quoted name" } else { "a string" })
}

fn line_of(sql: &str, rest: &str) -> usize {
    sql[..sql.len() - rest.len()].matches('\n').count()
}
