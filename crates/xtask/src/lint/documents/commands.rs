//! What a program's command line may say, and whether a documented one does.

use std::collections::BTreeMap;

/// The subcommands and options of a program or of one of its commands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Grammar {
    commands: BTreeMap<String, Grammar>,
    /// Options by name, each with whether it takes a value.
    options: BTreeMap<String, bool>,
    positionals: usize,
    /// Whether anything may stand after `--`.
    takes_rest: bool,
}

impl Grammar {
    /// Reads the grammar of a program whose arguments are known.
    #[must_use]
    pub fn of_clap(command: &clap::Command) -> Self {
        let mut command = command.clone();
        command.build();
        Self::of_built(&command)
    }

    fn of_built(command: &clap::Command) -> Self {
        let mut grammar = Self::default();
        for argument in command.get_arguments() {
            let takes_value = argument.get_action().takes_values();
            let long = argument.get_long().map(|long| format!("--{long}"));
            let short = argument.get_short().map(|short| format!("-{short}"));
            grammar.options.extend(long.into_iter().chain(short).map(|name| (name, takes_value)));
            if argument.is_last_set() {
                grammar.takes_rest = true;
            } else if argument.is_positional() {
                grammar.positionals += 1;
            }
        }
        let commands = command.get_subcommands();
        grammar.commands =
            commands.map(|command| (command.get_name().to_owned(), Self::of_built(command))).collect();
        grammar
    }

    /// Reads the grammar out of the help that a program prints for `--help` after each of these commands.
    #[must_use]
    pub fn of_help(help: &dyn Fn(&[&str]) -> String) -> Self {
        Self::of_help_after(&[], help)
    }

    fn of_help_after(path: &[&str], help: &dyn Fn(&[&str]) -> String) -> Self {
        let mut grammar = Self::default();
        let mut section = "";
        let text = help(path);
        for line in text.lines() {
            if !line.is_empty() && !line.starts_with(' ') {
                section = line;
            }
            let indentation = line.len() - line.trim_start().len();
            let words: Vec<&str> = line.split_whitespace().collect();
            match (section, words.first()) {
                ("Commands:", Some(name)) if indentation == 2 => {
                    let path: Vec<&str> = path.iter().copied().chain([*name]).collect();
                    // `help` is the program's own, and repeats all the others.
                    let command =
                        if *name == "help" { Self::default() } else { Self::of_help_after(&path, help) };
                    grammar.commands.insert((*name).to_owned(), command);
                }
                ("Arguments:", Some(_)) if indentation == 2 => grammar.positionals += 1,
                ("Options:", Some(name)) if indentation <= 6 && name.starts_with('-') => {
                    let names = words.iter().map(|word| word.trim_end_matches(','));
                    let names: Vec<&str> = names.take_while(|word| word.starts_with('-')).collect();
                    let takes_value = words.get(names.len()).is_some_and(|word| word.starts_with('<'));
                    grammar.options.extend(names.into_iter().map(|name| (name.to_owned(), takes_value)));
                }
                _ => {}
            }
        }
        grammar
    }

    /// Holds a line against the grammar if it is a command of this program.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn check_line(&self, program: &str, line: &str) -> Result<(), String> {
        let words = words(line);
        let is_assignment = |word: &&String| {
            word.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            })
        };
        let words: Vec<&str> = words.iter().skip_while(is_assignment).map(String::as_str).collect();
        let program_words = program.split(' ').count();
        if words.get(..program_words).is_none_or(|begin| begin.join(" ") != program) {
            return Ok(());
        }
        self.check(program, &words[program_words..])
    }

    fn check(&self, command: &str, words: &[&str]) -> Result<(), String> {
        let mut positionals = 0;
        let mut so_far = command.to_owned();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--" && self.takes_rest {
                return Ok(());
            }
            if word.starts_with("--") || (word.starts_with('-') && word.len() == 2) {
                let (name, value) =
                    word.split_once('=').map_or((*word, None), |(name, value)| (name, Some(value)));
                let Some(takes_value) = self.options.get(name) else {
                    return Err(format!("an option of {command} ({})", self.option_names()));
                };
                if *takes_value && value.is_none() && words.next().is_none() {
                    return Err(format!("a value after {name}"));
                }
                continue;
            }
            if let Some(subcommand) = self.commands.get(*word) {
                return subcommand.check(&format!("{command} {word}"), words.as_slice());
            }
            if !self.commands.is_empty() {
                let names: Vec<&str> = self.commands.keys().map(String::as_str).collect();
                return Err(format!("one of {} after {command}", names.join(", ")));
            }
            positionals += 1;
            if positionals > self.positionals {
                return Err(format!("nothing more after {so_far}"));
            }
            so_far += " ";
            so_far += word;
        }
        Ok(())
    }

    fn option_names(&self) -> String {
        let names = self.options.keys().filter(|name| name.starts_with("--") && *name != "--help");
        names.map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// The words of a command up to a comment, a pipe or a redirection. Quotes hold a word together; brackets and dots of a synopsis
/// (`[--to FILE]…`) are left out.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, c) if c.is_whitespace() => {
                let end = matches!(word.as_str(), "#" | "|" | ">" | "->" | "<" | ";" | "&");
                if end {
                    return words;
                }
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (None, '[' | ']' | '…') => {}
            (_, c) => word.push(c),
        }
    }
    words
}
