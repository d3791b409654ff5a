//! A letter: what a notice says, part by part, before it is text or HTML.

use std::fmt::Write as _;

use crate::language::Language;
use crate::untrusted_text::visible_lines;

/// The most bytes of a text. SNS takes 256 KiB for all that it sends, and programs get the job beside the text.
const MAX_TEXT: usize = 32 * 1024;

/// What a notice says. Every text is one line and has no hidden characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The subject of a mail, in the reader's language.
    pub subject: String,
    /// How the job ended, in a word or two.
    pub state: String,
    /// The first sentence.
    pub heading: String,
    /// The one thing to press.
    pub action: Option<Action>,
    /// What follows.
    pub sections: Vec<Section>,
    /// What few readers need: checksums, the job's number.
    pub fine_print: Vec<Fact>,
    /// Why the reader gets it.
    pub footer: String,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What it does.
    pub label: String,
    /// Where it leads.
    pub url: String,
}

/// A part of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its heading.
    pub heading: Option<String>,
    /// What it says.
    pub content: Content,
}

/// What a part of a letter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Sentences.
    Words(Vec<String>),
    /// Names and values.
    Facts(Vec<Fact>),
    /// Commands or addresses, to be copied.
    Code(Vec<String>),
    /// Names, each with lines about it.
    List(Vec<(String, Vec<String>)>),
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// The value.
    pub value: String,
}

impl Fact {
    pub(super) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

impl Section {
    pub(super) fn new(heading: impl Into<String>, content: Content) -> Self {
        Self { heading: Some(heading.into()), content }
    }

    pub(super) fn without_heading(content: Content) -> Self {
        Self { heading: None, content }
    }
}

impl Letter {
    /// Returns the letter as plain text. Cuts one that is too long.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        let mut text = format!("{}\n\n", self.heading);
        if let Some(Action { label, url }) = &self.action {
            let _ = write!(text, "{label}{}\n  {url}\n\n", colon(language));
        }
        for Section { heading, content } in &self.sections {
            if let Some(heading) = heading {
                let _ = writeln!(text, "{heading}");
            }
            push_content(&mut text, content, language);
            text.push('\n');
        }
        for Fact { name, value } in &self.fine_print {
            push_fact(&mut text, name, value, language);
        }
        let _ = writeln!(text, "\n{}", self.footer);
        let mut text = visible_lines(&text);
        if text.len() > MAX_TEXT {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            text += "…\n";
        }
        text
    }
}

fn push_content(text: &mut String, content: &Content, language: Language) {
    match content {
        Content::Words(lines) | Content::Code(lines) => {
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        Content::Facts(facts) => {
            for Fact { name, value } in facts {
                text.push_str("  ");
                push_fact(text, name, value, language);
            }
        }
        Content::List(entries) => {
            for (name, lines) in entries {
                let _ = writeln!(text, "  {name}");
                for line in lines {
                    let _ = writeln!(text, "    {line}");
                }
            }
        }
    }
}

fn push_fact(text: &mut String, name: &str, value: &str, language: Language) {
    let _ = match language {
        // Full-width letters do not line up in most fonts.
        Language::Ja => writeln!(text, "{name}：{value}"),
        Language::En => writeln!(text, "{name:<12} {value}"),
    };
}

fn colon(language: Language) -> &'static str {
    match language {
        Language::En => ":",
        Language::Ja => "：",
    }
}
