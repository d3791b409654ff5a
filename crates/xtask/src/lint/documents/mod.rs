//! The documents held against the repository: links, anchors, paths and commands in every `*.md` must lead to something there.
//!
//! The commands of `cargo xtask` are known here. Those of `downpipe` are known to its program only: a test that has the program
//! calls `wrong_commands` with what it prints as help.

mod commands;
mod markdown;
mod paths;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

pub use self::commands::Grammar;
use self::markdown::{Document, Place};
use self::paths::{Entries, resolve};

/// Something in a document that leads nowhere.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Fault {
    /// The document, by its path from the root.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: expected {}, found {}", self.file, self.line, self.expected, self.found)
    }
}

/// The documents of a repository, and what else lies in it.
#[derive(Debug)]
pub struct Documents {
    documents: BTreeMap<String, Document>,
    entries: Entries,
}

impl Documents {
    /// Reads every `*.md` below this folder.
    ///
    /// # Errors
    /// When a file or folder cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let mut read = Self { documents: BTreeMap::new(), entries: Entries::default() };
        read.add_folder(root, "")?;
        Ok(read)
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let from_root = format!("{prefix}{name}");
            if path.is_dir() {
                if Entries::is_left_out(&name) {
                    continue;
                }
                self.add_folder(&path, &format!("{from_root}/"))?;
            } else if name.ends_with(".md") {
                let text = fs::read_to_string(&path);
                let text = text.with_context(|| format!("cannot read {}", path.display()))?;
                self.documents.insert(from_root.clone(), Document::parse(&text));
            }
            self.entries.insert(from_root);
        }
        Ok(())
    }

    /// Returns every link, anchor and path that leads nowhere.
    #[must_use]
    pub fn broken(&self) -> Vec<Fault> {
        let mut found = Vec::new();
        for (file, document) in &self.documents {
            let fault = |place: &Place, expected: String| Fault {
                file: file.clone(),
                line: place.line,
                expected,
                found: place.text.clone(),
            };
            found.extend(
                document.links().iter().filter_map(|link| Some(fault(link, self.wrong_link(file, link)?))),
            );
            let paths = document.code().iter().filter(|code| self.entries.is_path(&code.text));
            found.extend(
                paths
                    .filter(|code| !self.entries.has_path(&code.text))
                    .map(|code| fault(code, "a file or folder of the repository".to_owned())),
            );
        }
        found.sort();
        found
    }

    /// Returns every command of this program that its grammar does not know.
    #[must_use]
    pub fn wrong_commands(&self, program: &str, grammar: &Grammar) -> Vec<Fault> {
        let mut found = Vec::new();
        for (file, document) in &self.documents {
            for place in document.commands() {
                if let Err(expected) = grammar.check_line(program, &place.text) {
                    let (file, line, found_text) = (file.clone(), place.line, place.text.clone());
                    found.push(Fault { file, line, expected, found: found_text });
                }
            }
        }
        found.sort();
        found
    }

    /// Returns what was expected of a link that leads nowhere.
    fn wrong_link(&self, file: &str, link: &Place) -> Option<String> {
        let target = link.text.as_str();
        if target.contains("://") || target.starts_with("mailto:") {
            return None;
        }
        let (path, anchor) = target.split_once('#').map_or((target, None), |(path, at)| (path, Some(at)));
        let path = if path.is_empty() { Some(file.to_owned()) } else { resolve(file, path) };
        let Some(path) = path.filter(|path| self.entries.contains(path)) else {
            return Some("a link to a file or folder of the repository".to_owned());
        };
        let (document, anchor) = (self.documents.get(&path)?, anchor?);
        let is_there = document.anchors().iter().any(|known| known == anchor);
        (!is_there).then(|| format!("an anchor of {path} (#{})", document.anchors().join(", #")))
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction, Command};

    use super::*;

    /// Documents with these files, `docs/a.md` last.
    fn documents(text: &str) -> Documents {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("README.md", "# Read me\n\n## What it is\n\n## What it is\n"),
            ("src/main.rs", ""),
            ("target/old.md", "[gone](gone.md)\n"),
            ("docs/a.md", text),
        ];
        for (file, text) in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Documents::read(folder.path()).unwrap()
    }

    fn broken(text: &str) -> Vec<String> {
        documents(text).broken().iter().map(Fault::to_string).collect()
    }

    fn grammar() -> Grammar {
        let stack = Command::new("stack")
            .subcommand(Command::new("up"))
            .subcommand(Command::new("down").arg(Arg::new("purge").long("purge").action(ArgAction::SetTrue)));
        let test = Command::new("test").arg(Arg::new("args").last(true).num_args(0..));
        let bench = Command::new("bench").arg(Arg::new("rows").long("rows"));
        Grammar::of_clap(&Command::new("cargo xtask").subcommands([stack, test, bench]))
    }

    fn wrong(text: &str) -> Vec<String> {
        documents(text).wrong_commands("cargo xtask", &grammar()).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn documents_link_to_a_file_that_is_not_there_is_reported() {
        let text = "One [good](../README.md).\n\n![broken](flow.svg) and [out](../../x)\n";
        assert_eq!(
            broken(text),
            [
                "docs/a.md:3: expected a link to a file or folder of the repository, found ../../x",
                "docs/a.md:3: expected a link to a file or folder of the repository, found flow.svg",
            ]
        );
    }

    #[test]
    fn documents_anchor_that_is_not_there_is_reported() {
        let text = "# A `b` & c!\n[own](#a-b--c) [first](../README.md#what-it-is) [second](../README.md#what-it-is-1)\n\
                    [third](../README.md#what-it-is-2)\n";
        let expected = "docs/a.md:3: expected an anchor of README.md (#read-me, #what-it-is, #what-it-is-1), \
                        found ../README.md#what-it-is-2";
        assert_eq!(broken(text), [expected]);
    }

    #[test]
    fn documents_path_in_backticks_that_is_not_there_is_reported() {
        let text = "`src/main.rs`, `main.rs`, `src/`, `s3://a/b`, `a/b`, `target/x.rs` are right.\n`src/lib.rs`\n\n\
                    ```console\n$ cat src/lost.txt src/main.rs\n```\n`gone.rs`";
        let expected = "expected a file or folder of the repository, found";
        assert_eq!(
            broken(text),
            [
                format!("docs/a.md:2: {expected} src/lib.rs"),
                format!("docs/a.md:5: {expected} src/lost.txt"),
                format!("docs/a.md:7: {expected} gone.rs"),
            ]
        );
    }

    #[test]
    fn documents_links_and_headings_in_code_are_no_links() {
        assert_eq!(broken("`[a](b)`\n```\n# C\n[d](e)\n```\n"), [""; 0]);
        assert_eq!(broken("```\n# C\n```\n[c](#c)\n").len(), 1);
    }

    #[test]
    fn documents_command_that_the_program_does_not_know_is_reported() {
        let text = "| `cargo xtask stack sideways` | `cargo xtask stack up` |\n\n```console\n\
                    $ A=b cargo xtask stack down --purge   # and more\n$ cargo xtask bench \\\n    --rows 10 --columns 2\n\
                    $ cargo xtask test -- --anything\n$ cargo xtask bench one\n$ cargo build --oops\n```\n";
        assert_eq!(
            wrong(text),
            [
                "docs/a.md:1: expected one of down, help, up after cargo xtask stack, found cargo xtask stack sideways",
                "docs/a.md:5: expected an option of cargo xtask bench (--rows), found cargo xtask bench --rows 10 --columns 2",
                "docs/a.md:8: expected nothing more after cargo xtask bench, found cargo xtask bench one",
            ]
        );
    }

    #[test]
    fn documents_command_over_two_lines_of_prose_is_read_whole() {
        let text = "Run `cargo xtask bench\n--row 5` once.\n";
        let expected =
            "docs/a.md:1: expected an option of cargo xtask bench (--rows), found cargo xtask bench --row 5";
        assert_eq!(wrong(text), [expected]);
    }

    #[test]
    fn documents_command_is_held_against_the_help_that_a_program_prints() {
        let help = |path: &[&str]| {
            match path {
            [] => "Does it\n\nUsage: downpipe [OPTIONS] <COMMAND>\n\nCommands:\n  run     Exports\n  help    Print this\n\n\
                   Options:\n      --json  Print JSON\n  -h, --help  Print help\n"
                .to_owned(),
            ["run"] => "Exports\n\nUsage: downpipe run [OPTIONS] <NAME>\n\nArguments:\n  <NAME>\n          The name\n\nOptions:\n      \
                        --to <TO>\n          Where\n\n          [default: -]\n\n      --json\n          Print JSON\n"
                .to_owned(),
            other => panic!("{other:?}"),
        }
        };
        let grammar = Grammar::of_help(&help);
        for right in [
            "downpipe",
            "downpipe run orders --to - --json",
            "downpipe --json run NAME [--to FILE]…",
            "downpipe run orders --to s3://b | head",
            "downpiper --odd",
        ] {
            assert_eq!(grammar.check_line("downpipe", right), Ok(()), "{right}");
        }
        let wrong = [
            ("downpipe walk", "one of help, run after downpipe"),
            ("downpipe run orders --from x", "an option of downpipe run (--json, --to)"),
            ("downpipe run orders too", "nothing more after downpipe run orders"),
            ("downpipe run orders --to", "a value after --to"),
        ];
        for (line, expected) in wrong {
            assert_eq!(grammar.check_line("downpipe", line), Err(expected.to_owned()));
        }
    }
}
