//! The names of an export's files. It is one file, unless a spreadsheet has more rows than a sheet takes.

use downpipe_format::Style;

use crate::store::NewObject;

/// File `number` of `of`, both from 1: `orders.csv` becomes `orders-1-of-3.csv`.
pub(crate) fn numbered(object: &NewObject, extension: &str, number: u32, of: u32) -> NewObject {
    let infix = format!("-{number}-of-{of}");
    NewObject {
        key: before_extension(&object.key, extension, &infix),
        file_name: before_extension(&object.file_name, extension, &infix),
        ..object.clone()
    }
}

/// The name of file `number` in a zip archive, where every file has its name before anybody knows how many there are:
/// `orders.csv`, `orders-2.csv`.
pub(crate) fn in_archive(object: &NewObject, style: &Style, number: u32) -> String {
    let archive = &object.file_name;
    let stem = archive.strip_suffix(&format!(".{}", style.extension())).unwrap_or(archive);
    let infix = if number == 1 { String::new() } else { format!("-{number}") };
    format!("{stem}{infix}.{}", style.format().as_str())
}

/// Puts something in before the name's extension: this one, or whatever else the name ends in.
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
    fn numbers_stand_before_the_extension() {
        let cases = [
            ("exports/2026/orders.csv", "csv", "exports/2026/orders-1-of-3.csv"),
            ("orders.csv.gz", "csv.gz", "orders-1-of-3.csv.gz"),
            // A person names the file as they like.
            ("out.txt", "csv", "out-1-of-3.txt"),
            ("a.b/out", "csv", "a.b/out-1-of-3"),
            (".hidden", "csv", ".hidden-1-of-3"),
        ];
        for (name, extension, expected) in cases {
            assert_eq!(before_extension(name, extension, "-1-of-3"), expected);
        }
    }
}
