//! SQL as a server's lexer reads it, as far as placeholders need it.

use std::fmt;

/// The parts of a server's `sql_mode` that decide where a string or a quoted name ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuoteMode {
    /// `"…"` is a name, and not a string.
    pub ansi_quotes: bool,
    /// A backslash in a string is a character like any other.
    pub no_backslash_escapes: bool,
}

impl QuoteMode {
    const ANSI_QUOTES: &'static str = "ANSI_QUOTES";
    const NO_BACKSLASH_ESCAPES: &'static str = "NO_BACKSLASH_ESCAPES";

    /// Every mode, MySQL's default first.
    pub(crate) const ALL: [Self; 4] = [
        Self { ansi_quotes: false, no_backslash_escapes: false },
        Self { ansi_quotes: false, no_backslash_escapes: true },
        Self { ansi_quotes: true, no_backslash_escapes: false },
        Self { ansi_quotes: true, no_backslash_escapes: true },
    ];

    /// Reads the value of `@@sql_mode`, which has other modes, too.
    #[must_use]
    pub fn of_sql_mode(sql_mode: &str) -> Self {
        let has = |name: &str| sql_mode.split(',').any(|mode| mode.trim().eq_ignore_ascii_case(name));
        Self { ansi_quotes: has(Self::ANSI_QUOTES), no_backslash_escapes: has(Self::NO_BACKSLASH_ESCAPES) }
    }

    /// Reads a definition's `sql_mode`, which may have no other mode.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let known = |mode: &str| [Self::ANSI_QUOTES, Self::NO_BACKSLASH_ESCAPES].contains(&mode);
        if text.split(',').all(|mode| known(mode.trim())) {
            return Ok(Self::of_sql_mode(text));
        }
        let (first, second) = (Self::NO_BACKSLASH_ESCAPES, Self::ANSI_QUOTES);
        Err(format!("expected {first}, {second}, or both with a comma, got {text:?}"))
    }

    fn has_escapes(self, quote: char) -> bool {
        match quote {
            '\'' => !self.no_backslash_escapes,
            '"' => !self.no_backslash_escapes && !self.ansi_quotes,
            _ => false,
        }
    }

    fn is_name(self, quote: char) -> bool {
        quote == '`' || (quote == '"' && self.ansi_quotes)
    }
}

impl fmt::Display for QuoteMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.no_backslash_escapes, self.ansi_quotes) {
            (false, false) => "neither NO_BACKSLASH_ESCAPES nor ANSI_QUOTES",
            (true, false) => Self::NO_BACKSLASH_ESCAPES,
            (false, true) => Self::ANSI_QUOTES,
            (true, true) => "NO_BACKSLASH_ESCAPES,ANSI_QUOTES",
        })
    }
}

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Blank(&'a str),
    Quoted(&'a str),
    Word(&'a str),
    Placeholder(&'a str),
    Marker,
    End,
    /// The beginning of a comment that some servers run or heed: `/*!`, `/*!80000`, `/*M!`, `/*+`.
    Open(&'a str),
    /// The end of such a comment.
    Close,
    Other(&'a str),
    Unclosed(&'static str),
}

impl Token<'_> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Blank(text)
            | Self::Quoted(text)
            | Self::Word(text)
            | Self::Open(text)
            | Self::Other(text) => text.len(),
            Self::Placeholder(name) => name.len() + 1,
            Self::Close => 2,
            Self::Marker | Self::End => 1,
            Self::Unclosed(_) => 0,
        }
    }
}

/// The tokens of a statement, in order. A string or comment that is not closed is the last.
#[derive(Debug, Clone)]
pub(crate) struct Tokens<'a> {
    rest: &'a str,
    mode: QuoteMode,
    in_comment: bool,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(sql: &'a str, mode: QuoteMode) -> Self {
        Self { rest: sql, mode, in_comment: false }
    }

    /// Returns the text that has not been read yet.
    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    fn first(&self) -> Option<Token<'a>> {
        let sql = self.rest;
        let Some(first) = sql.chars().next() else {
            return self.in_comment.then_some(Token::Unclosed("a comment"));
        };
        Some(match first {
            '\'' | '"' | '`' => quoted(sql, first, self.mode),
            '#' => Token::Blank(until_line_end(sql)),
            // MySQL takes `--` for a comment only when white space or a control character follows, both of them ASCII
            // (reference manual, "Comments").
            '-' if sql.starts_with("--")
                && sql[2..].bytes().next().is_none_or(|b| b == b' ' || b.is_ascii_control()) =>
            {
                Token::Blank(until_line_end(sql))
            }
            '/' if sql.starts_with("/*") => comment(sql),
            '*' if self.in_comment && sql.starts_with("*/") => Token::Close,
            ':' => match word(&sql[1..]) {
                "" => Token::Other(&sql[..1]),
                name => Token::Placeholder(name),
            },
            '?' => Token::Marker,
            ';' => Token::End,
            c if c.is_whitespace() => Token::Blank(&sql[..c.len_utf8()]),
            c => match word(sql) {
                "" => Token::Other(&sql[..c.len_utf8()]),
                word => Token::Word(word),
            },
        })
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.first()?;
        match token {
            Token::Open(_) => self.in_comment = true,
            Token::Close => self.in_comment = false,
            Token::Unclosed(_) => (self.rest, self.in_comment) = ("", false),
            _ => {}
        }
        self.rest = self.rest.get(token.len()..).unwrap_or_default();
        Some(token)
    }
}

fn word(sql: &str) -> &str {
    let end = sql.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(sql.len());
    &sql[..end]
}

fn until_line_end(sql: &str) -> &str {
    &sql[..sql.find('\n').unwrap_or(sql.len())]
}

/// Reads a comment, or the beginning of one that some servers run: MySQL runs `/*!`, MariaDB also `/*M!`, from the version on that
/// may follow. `/*+` holds hints.
fn comment(sql: &str) -> Token<'_> {
    let opening = ["/*!", "/*M!", "/*+"].into_iter().find(|opening| sql.starts_with(opening));
    match (opening, sql[2..].find("*/")) {
        (Some(opening), _) => {
            let digits = sql[opening.len()..].bytes().take(6).take_while(u8::is_ascii_digit).count();
            let version = if digits < 5 || opening == "/*+" { 0 } else { digits };
            Token::Open(&sql[..opening.len() + version])
        }
        (None, Some(end)) => Token::Blank(&sql[..end + 4]),
        (None, None) => Token::Unclosed("a comment"),
    }
}

/// Reads a string or quoted name. A doubled quote stays inside; a backslash escapes in strings, unless the mode says otherwise.
pub(crate) fn quoted(sql: &str, quote: char, mode: QuoteMode) -> Token<'_> {
    let escapes = mode.has_escapes(quote);
    let mut chars = sql.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && escapes {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return Token::Quoted(&sql[..=at]);
        }
    }
    Token::Unclosed(if mode.is_name(quote) { "a quoted name" } else { "a string" })
}
