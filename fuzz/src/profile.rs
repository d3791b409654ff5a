//! Generates profiles: the built-in ones, and changes that a definition may make.

use arbitrary::{Arbitrary, Result, Unstructured};
use downpipe_format::{Charset, LineEnd, Profile, Quoting};

/// A profile that a request may choose.
#[derive(Debug)]
pub struct AnyProfile(pub Profile);

impl<'a> Arbitrary<'a> for AnyProfile {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let base = u.choose(&Profile::ALL)?.clone();
        // A definition cannot change `lossless`.
        if base.escape || u.arbitrary()? {
            return Ok(Self(base));
        }
        let delimiter = *u.choose(b",;|^~\t")?;
        let quote = *u.choose(b"\"'")?;
        let charset = *u.choose(&["utf-8", "cp932", "euc-jp", "gbk", "gb18030", "big5", "windows-1252"])?;
        let charset = Charset::named(charset).unwrap_or(Charset::UTF_8);
        let byte_order_mark = charset == Charset::UTF_8 && u.arbitrary()?;
        let decimal = if delimiter != b',' && u.arbitrary()? { b',' } else { b'.' };
        Ok(Self(Profile {
            delimiter,
            quote,
            quoting: if u.arbitrary()? { Quoting::Always } else { Quoting::Needed },
            line_end: if u.arbitrary()? { LineEnd::CrLf } else { LineEnd::Lf },
            header: u.arbitrary()?,
            null: (*u.choose(&["", "NULL", "null", "-", "\\N", "=", " ", "nan", "(none)"])?).into(),
            byte_order_mark,
            charset,
            escape_formulas: u.arbitrary()?,
            decimal,
            ..base
        }))
    }
}
