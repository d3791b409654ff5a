//! The names that objects may have.

use downpipe_format::Style;

use super::object::NewObject;
use crate::job::Receipt;

/// Whether a key is a receipt's.
#[must_use]
pub fn is_receipt(key: &str) -> bool {
    key.ends_with(&Receipt::key_of(""))
}

/// Returns what the keys in a folder begin with: `exports/` for `/exports/`, and nothing for the bucket itself. With the slash at
/// its end, a neighbour named alike (`exports-old`) stays out.
#[must_use]
pub fn folder_prefix(folder: &str) -> String {
    match folder.trim_matches('/') {
        "" => String::new(),
        folder => format!("{folder}/"),
    }
}

/// Names file `number` of `of`, both from 1: `orders.csv` becomes `orders-1-of-3.csv`.
pub(crate) fn numbered(object: &NewObject, extension: &str, number: u32, of: u32) -> NewObject {
    let infix = format!("-{number}-of-{of}");
    NewObject {
        key: before_extension(&object.key, extension, &infix),
        file_name: before_extension(&object.file_name, extension, &infix),
        ..object.clone()
    }
}

/// Names file `number` in a zip archive, where every file gets its name before it is known how many there are: `orders.csv`,
/// `orders-2.csv`.
pub(crate) fn in_archive(object: &NewObject, style: &Style, number: u32) -> String {
    let archive = &object.file_name;
    let stem = archive.strip_suffix(&format!(".{}", style.extension())).unwrap_or(archive);
    let infix = if number == 1 { String::new() } else { format!("-{number}") };
    format!("{stem}{infix}.{}", style.format().as_str())
}

/// Puts the infix before the name's extension: this one, or else after the name's last dot.
fn before_extension(name: &str, extension: &str, infix: &str) -> String {
    let known = name.strip_suffix(&format!(".{extension}")).map(str::len);
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    let other = || name[file..].rfind('.').filter(|dot| *dot > 0).map(|dot| file + dot);
    let at = known.or_else(other).unwrap_or(name.len());
    format!("{}{infix}{}", &name[..at], &name[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infix_stands_before_the_extension() {
        let cases = [
            ("exports/2026/orders.csv", "csv", "exports/2026/orders-1-of-3.csv"),
            ("orders.csv.gz", "csv.gz", "orders-1-of-3.csv.gz"),
            // The requester of `downpipe run` names the file.
            ("out.txt", "csv", "out-1-of-3.txt"),
            ("a.b/out", "csv", "a.b/out-1-of-3"),
            (".hidden", "csv", ".hidden-1-of-3"),
        ];
        for (name, extension, expected) in cases {
            assert_eq!(before_extension(name, extension, "-1-of-3"), expected);
        }
    }

    #[test]
    fn folder_prefix_ends_with_one_slash_or_is_empty() {
        for (folder, prefix) in [("", ""), ("/", ""), ("a", "a/"), ("/a/b/", "a/b/")] {
            assert_eq!(folder_prefix(folder), prefix, "{folder:?}");
        }
    }
}
