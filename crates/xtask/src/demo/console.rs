//! The output of the demo: a few headed steps, and the commands as a person would type them.

use std::time::Instant;

use crate::stack::quote;

const WIDTH: usize = 100;

/// Tells the story, from its start.
pub(super) struct Console {
    started: Instant,
    steps: u32,
}

impl Console {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), steps: 0 }
    }

    pub(super) fn seconds(&self) -> f32 {
        self.started.elapsed().as_secs_f32()
    }

    /// Begins the next step.
    pub(super) fn heading(&mut self, title: &str) {
        self.steps += 1;
        let title = format!("{}  {title} ", self.steps);
        let seconds = format!(" {:.1} s", self.seconds());
        let rule = "─".repeat(WIDTH.saturating_sub(title.chars().count() + seconds.len()));
        println!("\n{title}{rule}{seconds}\n");
    }

    /// Prints a line, indented by two.
    #[expect(clippy::unused_self, reason = "everything that is said goes through here")]
    pub(super) fn say(&self, text: &str) {
        for line in text.split('\n') {
            println!("{}", format!("  {line}").trim_end());
        }
    }

    /// Shows a command as a person would type it; a long one in several lines.
    pub(super) fn command(&self, words: &[&str]) {
        self.say(&typed(words));
    }
}

fn typed(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
    let line = format!("$ {}", words.join(" "));
    if line.chars().count() <= WIDTH {
        return line;
    }
    // Each option goes with its values into a line of its own.
    let mut text = String::from("$");
    for word in &words {
        text += if word.starts_with("--") { " \\\n      " } else { " " };
        text += word;
    }
    text
}

/// Quotes a word if a shell needs it.
pub(super) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@|".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { quote(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_shown_as_a_shell_takes_it() {
        assert_eq!(typed(&["aws", "s3", "cp", "s3://b/注文.csv", "-"]), "$ aws s3 cp 's3://b/注文.csv' -");
        assert_eq!(typed(&["echo", "it's", ""]), r"$ echo 'it'\''s' ''");
        let body = "x".repeat(WIDTH);
        assert_eq!(typed(&["aws", "sqs", "--body", &body]), format!("$ aws sqs \\\n      --body {body}"));
    }
}
