//! The files and folders of the repository, and the texts that are meant as one of them.

use std::collections::BTreeSet;

/// Folders in which nothing is the repository's.
const NOT_OURS: [&str; 2] = ["target", ".git"];

/// Endings by which a name in backticks is a file of the repository.
const ENDINGS: [&str; 8] = ["rs", "md", "toml", "yaml", "sql", "svg", "py", "pem"];

/// Files and folders, by their paths from the root.
#[derive(Debug, Default)]
pub(super) struct Entries(BTreeSet<String>);

impl Entries {
    /// Whether a folder of this name is left out, with all that is in it.
    pub(super) fn is_left_out(name: &str) -> bool {
        NOT_OURS.contains(&name)
    }

    pub(super) fn insert(&mut self, path: String) {
        self.0.insert(path);
    }

    /// Whether this is a path from the root.
    pub(super) fn contains(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    /// Whether there is such a path, from the root or from any folder: a table may name the folder once.
    pub(super) fn has_path(&self, text: &str) -> bool {
        let path = text.trim_end_matches('/');
        let tail = format!("/{path}");
        self.0.iter().any(|entry| entry == path || entry.ends_with(&tail))
    }

    /// Whether a text in backticks is meant as a path of the repository: by its ending, by a slash at its end, or by the folder
    /// that it begins with.
    pub(super) fn is_path(&self, text: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
        if !text.chars().all(plain)
            || text.starts_with(['/', '-'])
            || text.contains("..")
            || text.contains("//")
        {
            return false;
        }
        let first = text.split('/').next().unwrap_or_default();
        let is_file = text
            .rsplit_once('.')
            .is_some_and(|(stem, end)| !stem.is_empty() && !stem.ends_with('/') && ENDINGS.contains(&end));
        let in_folder = text.contains('/') && self.contains(first);
        !NOT_OURS.contains(&first) && (is_file || in_folder || text.ends_with('/'))
    }
}

/// The path from the root that a link in this file leads to, if it stays in the repository.
pub(super) fn resolve(file: &str, link: &str) -> Option<String> {
    let mut segments: Vec<&str> = file.split('/').collect();
    segments.pop();
    for segment in link.trim_end_matches('/').split('/') {
        match segment {
            "." => {}
            ".." => {
                segments.pop()?;
            }
            "" => return None,
            name => segments.push(name),
        }
    }
    Some(segments.join("/"))
}
