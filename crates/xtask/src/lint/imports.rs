//! The import rule: inside the core a file imports from its own folder or from one further down, and files do not import each
//! other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The core's folders and files, from the top down. Those of one line never import each other.
const CORE_LAYERS: [&[&str]; 9] = [
    &["failure"],
    &["export"],
    &["request"],
    &["source"],
    &["catalog"],
    &["message", "store", "ledger", "link", "cache", "notice"],
    &["job"],
    &["words", "phrases"],
    &["error_chain", "language", "mutex", "queue", "login", "requester", "untrusted_text"],
];

/// An import that is allowed although it does not point down: the notice quotes the message that it answers.
const ALSO_ALLOWED: [(&str, &str); 1] = [("notice", "message")];

/// The crates in which files never import each other in a circle.
const WITHOUT_CIRCLES: [&str; 9] = [
    "downpipe-core",
    "downpipe-mysql",
    "downpipe-aws",
    "downpipe-app",
    "downpipe-portal",
    "downpipe-lambda",
    "downpipe-cli",
    "downpipe-format",
    "xtask",
];

/// The core's fakes see all of it, and each other.
const FAKES: &str = "testing";

/// Files of one crate by module path, `job/id` or `job/mod`, each with the files of the crate that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Returns every import of the crates in this folder that breaks the rule, one in each line.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn violations(crates: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(crates).with_context(|| format!("cannot read {}", crates.display()))?;
    for entry in entries {
        let source = entry?.path().join("src");
        if !source.is_dir() {
            continue;
        }
        let imports = imports_of(&source)?;
        let name = source.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        if name == "downpipe-core" {
            found.extend(upward(&imports).map(|import| format!("{name}: {import} points up")));
        }
        if WITHOUT_CIRCLES.contains(&&*name) {
            found.extend(circle(&imports).map(|circle| format!("{name}: a circle of imports: {circle}")));
        }
    }
    found.sort();
    Ok(found)
}

fn imports_of(source: &Path) -> Result<Imports> {
    let mut texts = BTreeMap::new();
    read_all(source, source, &mut texts)?;
    let modules: BTreeSet<String> = texts.keys().cloned().collect();
    Ok(texts.iter().map(|(file, text)| (file.clone(), imports_in(file, text, &modules))).collect())
}

fn read_all(root: &Path, folder: &Path, texts: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(root, &path, texts)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let module = path.strip_prefix(root)?.with_extension("").to_string_lossy().into_owned();
            texts.insert(
                module,
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?,
            );
        }
    }
    Ok(())
}

/// Returns the files that a file's plain `use` statements name. A re-export of a `mod.rs` is no import, and code behind
/// `#[cfg(test)]` is not the product's.
fn imports_in(file: &str, text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let product = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut imported = BTreeSet::new();
    for statement in product.split("\nuse ").skip(1) {
        let statement: String = statement.split(';').next().unwrap_or_default().split_whitespace().collect();
        for path in leaves(&statement) {
            imported.extend(resolve(file, &path, modules).filter(|other| other != file));
        }
    }
    imported
}

/// Returns the paths of a statement: `a::{b,c::{d,e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn leaves(statement: &str) -> Vec<String> {
    let Some((prefix, rest)) = statement.split_once('{') else { return vec![statement.to_owned()] };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut start, mut found) = (0_u32, 0, Vec::new());
    for (at, character) in inner.char_indices().chain([(inner.len(), ',')]) {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                let leaf = &inner[start..at];
                if !leaf.is_empty() {
                    found.extend(leaves(leaf).into_iter().map(|leaf| format!("{prefix}{leaf}")));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// Returns the file of the crate that a path leads into, if there is one.
fn resolve(file: &str, path: &str, modules: &BTreeSet<String>) -> Option<String> {
    let mut own: Vec<&str> = file.split('/').collect();
    let is_root = |name: &&str| matches!(*name, "mod" | "lib" | "main");
    if own.last().is_some_and(is_root) {
        own.pop();
    }
    let mut segments = path.split("::").peekable();
    let mut module = match segments.next()? {
        "crate" => Vec::new(),
        "self" => own,
        "super" => {
            own.pop();
            while segments.next_if_eq(&"super").is_some() {
                own.pop();
            }
            own
        }
        _ => return None,
    };
    module.extend(segments);
    (1..=module.len()).rev().find_map(|length| {
        let name = module[..length].join("/");
        let folder = format!("{name}/mod");
        [name, folder].into_iter().find(|candidate| modules.contains(candidate))
    })
}

fn upward(imports: &Imports) -> impl Iterator<Item = String> {
    let folder = |file: &str| file.split('/').next().unwrap_or_default().to_owned();
    let layer = |folder: &str| CORE_LAYERS.iter().position(|layer| layer.contains(&folder));
    imports.iter().flat_map(move |(file, imported)| {
        let from = folder(file);
        imported.iter().filter_map(move |other| {
            let to = folder(other);
            let allowed = from == to
                || from == FAKES
                || ALSO_ALLOWED.contains(&(from.as_str(), to.as_str()))
                || matches!((layer(&from), layer(&to)), (Some(from), Some(to)) if from < to);
            (!allowed).then(|| format!("{file} -> {other}"))
        })
    })
}

/// Returns one circle, as `a -> b -> a`.
fn circle(imports: &Imports) -> Option<String> {
    let mut done = BTreeSet::new();
    imports.keys().filter(|file| !file.starts_with(FAKES)).find_map(|file| {
        let mut trail = Vec::new();
        visit(file, imports, &mut trail, &mut done)
    })
}

fn visit<'a>(
    file: &'a str,
    imports: &'a Imports,
    trail: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<String> {
    if let Some(start) = trail.iter().position(|seen| *seen == file) {
        return Some(format!("{} -> {file}", trail[start..].join(" -> ")));
    }
    if done.contains(file) {
        return None;
    }
    trail.push(file);
    let found = imports.get(file)?.iter().find_map(|other| visit(other, imports, trail, done));
    trail.pop();
    done.insert(file);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn imports(files: &[(&str, &str)]) -> Imports {
        let modules = modules(&files.iter().map(|(file, _)| *file).collect::<Vec<_>>());
        files.iter().map(|(file, text)| ((*file).to_owned(), imports_in(file, text, &modules))).collect()
    }

    #[test]
    fn nested_use_names_every_file() {
        let modules = modules(&["job/mod", "job/id", "store/mod", "store/error", "login"]);
        let text =
            "\nuse crate::{job::{Job, id::JobId}, login};\nuse std::fmt;\nuse super::error::StoreError;\n";
        let imported = imports_in("store/object", text, &modules);
        assert_eq!(imported.into_iter().collect::<Vec<_>>(), ["job/id", "job/mod", "login", "store/error"]);
    }

    #[test]
    fn import_of_a_higher_folder_is_refused() {
        let imports = imports(&[
            ("job/mod", "\nuse crate::store::ObjectStore;\n"),
            ("store/mod", "\nuse crate::job::Job;\nuse crate::ledger::Ledger;\n"),
            ("ledger/mod", ""),
            ("notice", "\nuse crate::message::Message;\n"),
            ("message/mod", ""),
        ]);
        let found: Vec<String> = upward(&imports).collect();
        assert_eq!(found, ["job/mod -> store/mod", "store/mod -> ledger/mod"]);
    }

    #[test]
    fn circle_of_three_files_is_found() {
        let circular = [
            ("a", "\nuse crate::b::B;\n"),
            ("b", "\nuse crate::c::C;\n"),
            ("c", "\nuse crate::a::A;\n\n#[cfg(test)]\nmod tests {\n"),
        ];
        assert_eq!(circle(&imports(&circular)).as_deref(), Some("a -> b -> c -> a"));
        assert_eq!(circle(&imports(&circular[..2])), None);
    }

    #[test]
    fn re_export_and_test_are_not_imports() {
        let files = [
            ("job/mod", "\npub use self::id::JobId;\n"),
            ("job/id", "\nuse super::Job;\n\n#[cfg(test)]\nmod tests {\nuse crate::top::Top;\n"),
            ("top", "\nuse crate::job::Job;\n"),
        ];
        assert_eq!(circle(&imports(&files)), None);
    }
}
