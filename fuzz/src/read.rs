//! Reads CSV as RFC 4180 defines it, and as MySQL's manual describes `LOAD DATA`.

/// A field of RFC 4180.
#[derive(Debug)]
pub struct Field {
    pub quoted: bool,
    pub text: String,
}

/// Reads CSV with this delimiter, quote and line end. Panics where it is not exactly as in RFC
/// 4180.
pub fn read_csv(text: &str, delimiter: u8, quote: u8, line_end: &str) -> Vec<Vec<Field>> {
    let (delimiter, quote) = (char::from(delimiter), char::from(quote));
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut rest = text;
    while !rest.is_empty() || !row.is_empty() {
        let (field, behind) = match rest.strip_prefix(quote) {
            Some(behind) => quoted(behind, quote),
            None => {
                let end = rest.find([delimiter, '\r', '\n']).expect("every line ends");
                assert!(!rest[..end].contains(quote), "a quote within {:?}", &rest[..end]);
                (Field { quoted: false, text: rest[..end].to_owned() }, &rest[end..])
            }
        };
        row.push(field);
        rest = if let Some(next) = behind.strip_prefix(delimiter) {
            next
        } else {
            rows.push(std::mem::take(&mut row));
            let what = behind.chars().take(10).collect::<String>();
            behind.strip_prefix(line_end).unwrap_or_else(|| panic!("{what:?} behind a field"))
        };
    }
    rows
}

fn quoted(mut rest: &str, quote: char) -> (Field, &str) {
    let mut text = String::new();
    loop {
        let end = rest.find(quote).expect("what is quoted ends");
        text.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(behind) => rest = behind,
            None => return (Field { quoted: true, text }, rest),
        }
        text.push(quote);
    }
}

/// Reads as `LOAD DATA … OPTIONALLY ENCLOSED BY … ESCAPED BY '\\' LINES TERMINATED BY '\n' IGNORE n
/// LINES` does. `None` is `NULL`.
/// <https://dev.mysql.com/doc/refman/9.7/en/load-data.html#load-data-field-line-handling>
pub fn read_load_data(bytes: &[u8], delimiter: u8, quote: u8, ignore: usize) -> Vec<Vec<Option<Vec<u8>>>> {
    let mut at = 0;
    for _ in 0..ignore {
        // In ignored lines an escaped line feed does not end a line, but a quoted one does.
        while bytes[at] != b'\n' {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        at += 1;
    }
    let mut rows = Vec::new();
    let mut row = Vec::new();
    while at < bytes.len() {
        let enclosed = bytes[at] == quote;
        at += usize::from(enclosed);
        let (mut text, mut null, mut line_ends) = (Vec::new(), false, true);
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            let next = bytes.get(at).copied();
            match byte {
                b'\\' if next.is_some() => {
                    let escaped = next.unwrap_or_default();
                    null = escaped == b'N';
                    text.push(match escaped {
                        b'0' => 0,
                        b'b' => 8,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'Z' => 0x1a,
                        other => other,
                    });
                    at += 1;
                }
                _ if enclosed && byte == quote && next == Some(quote) => {
                    text.push(quote);
                    at += 1;
                }
                _ if enclosed && byte == quote && next.is_none_or(|b| b == b'\n') => {
                    at += 1;
                    break;
                }
                _ if enclosed && byte == quote && next == Some(delimiter) => {
                    at += 1;
                    line_ends = false;
                    break;
                }
                b'\n' if !enclosed => break,
                _ if !enclosed && byte == delimiter => {
                    line_ends = false;
                    break;
                }
                _ => text.push(byte),
            }
        }
        // The bare word NULL is also NULL where fields may be enclosed.
        let is_null = (null && text.len() == 1) || (!enclosed && text == b"NULL");
        row.push(if is_null { None } else { Some(text) });
        if line_ends {
            rows.push(std::mem::take(&mut row));
        }
    }
    rows
}
