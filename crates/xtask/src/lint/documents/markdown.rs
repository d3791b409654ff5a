//! As much of Markdown as the documents use: headings, links, code in backticks and in fenced blocks.

use std::collections::BTreeMap;

/// Something that stands in a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// Its line, from 1.
    pub(super) line: usize,
    /// The text itself, on one line.
    pub(super) text: String,
}

/// What a document says that can be held against the repository.
#[derive(Debug, Default)]
pub(super) struct Document {
    anchors: Vec<String>,
    links: Vec<Place>,
    code: Vec<Place>,
    commands: Vec<Place>,
}

impl Document {
    pub(super) fn parse(text: &str) -> Self {
        let mut document = Self::default();
        let mut headings = Vec::new();
        let (mut paragraph, mut begun) = (String::new(), 1);
        let mut lines = text.lines().zip(1..).peekable();
        while let Some((line, number)) = lines.next() {
            let is_fence = line.trim_start().starts_with("```");
            if !is_fence && !line.trim().is_empty() {
                if paragraph.is_empty() {
                    begun = number;
                }
                headings.extend(line.starts_with('#').then(|| line.trim_start_matches('#').trim()));
                paragraph += line;
                paragraph.push('\n');
                continue;
            }
            document.read_paragraph(&std::mem::take(&mut paragraph), begun);
            if is_fence {
                let block = lines.by_ref().take_while(|(line, _)| !line.trim_start().starts_with("```"));
                document.read_block(block);
            }
        }
        document.read_paragraph(&paragraph, begun);
        document.anchors = anchors(&headings);
        document
    }

    /// The anchors of its headings, as GitHub makes them.
    pub(super) fn anchors(&self) -> &[String] {
        &self.anchors
    }

    /// Where its links and pictures lead.
    pub(super) fn links(&self) -> &[Place] {
        &self.links
    }

    /// What stands in backticks, and the words of fenced blocks that have a slash.
    pub(super) fn code(&self) -> &[Place] {
        &self.code
    }

    /// What may be a command: lines of fenced blocks, and what stands in backticks.
    pub(super) fn commands(&self) -> &[Place] {
        &self.commands
    }

    /// Reads lines without a blank one between them, in which code in backticks may go over the end of a line.
    fn read_paragraph(&mut self, text: &str, begun: usize) {
        let line_at = |at: usize| begun + text[..at].matches('\n').count();
        let mut prose = String::new();
        let mut at = 0;
        while let Some(start) = text[at..].find('`').map(|found| at + found) {
            prose += &text[at..start];
            let ticks = text[start..].bytes().take_while(|byte| *byte == b'`').count();
            let inside = start + ticks;
            let Some(end) = text[inside..].find(&text[start..inside]).map(|found| inside + found) else {
                break;
            };
            let code = text[inside..end].replace('\n', " ").replace("\\|", "|");
            let place = Place { line: line_at(start), text: code.trim().to_owned() };
            self.commands.push(place.clone());
            self.code.push(place);
            // Links keep their lines: code stands for itself by its line ends only.
            prose.extend(text[inside..end].chars().filter(|c| *c == '\n'));
            at = end + ticks;
        }
        prose += &text[at..];
        self.read_links(&prose, begun);
    }

    fn read_links(&mut self, prose: &str, begun: usize) {
        for (opening, closing) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"'), ("srcset=\"", '"')] {
            for (at, _) in prose.match_indices(opening) {
                let target = prose[at + opening.len()..].split(closing).next().unwrap_or_default();
                let line = begun + prose[..at].matches('\n').count();
                self.links.push(Place { line, text: target.trim().to_owned() });
            }
        }
    }

    /// Reads a fenced block. A line that ends with a backslash goes on in the next.
    fn read_block<'a>(&mut self, block: impl Iterator<Item = (&'a str, usize)>) {
        let mut command: Option<Place> = None;
        for (text, line) in block {
            for word in text.split_whitespace().filter(|word| word.contains('/')) {
                let word = word.trim_matches(['"', '\'', ',', ';', '(', ')']);
                self.code.push(Place { line, text: word.to_owned() });
            }
            let (part, goes_on) = match text.trim_end().strip_suffix('\\') {
                Some(part) => (part.trim(), true),
                None => (text.trim(), false),
            };
            let command = command.get_or_insert_with(|| Place { line, text: String::new() });
            command.text += part.strip_prefix("$ ").unwrap_or(part);
            command.text.push(' ');
            if !goes_on {
                self.commands.extend(
                    std::mem::take(&mut command.text)
                        .split("&&")
                        .map(|text| Place { line: command.line, text: text.trim().to_owned() }),
                );
                command.line = line + 1;
            }
        }
    }
}

/// The anchor of each heading: lower case, blanks as hyphens, without punctuation; the second of the same name has a number.
fn anchors(headings: &[&str]) -> Vec<String> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let anchor = |heading: &&str| {
        let kept = |c: char| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        };
        let anchor: String = shown(heading).to_lowercase().chars().filter_map(kept).collect();
        let before = seen.entry(anchor.clone()).or_default();
        *before += 1;
        if *before == 1 { anchor } else { format!("{anchor}-{}", *before - 1) }
    };
    headings.iter().map(anchor).collect()
}

/// A heading as it is shown: of a link, its text.
fn shown(heading: &str) -> String {
    let mut shown = String::new();
    let mut rest = heading;
    while let Some((before, after)) = rest.split_once("](") {
        shown += before;
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    shown + rest
}
