//! Tests a definition's own profiles, and which profile, format and compression fit together.

use std::time::Duration;

use downpipe_core::catalog::Definition;
use downpipe_format::{Charset, ColumnOptions, LineEnd, Mask, Profile, Quoting};
use insta::assert_snapshot;
use jiff::tz::TimeZone;

use crate::samples::{accept, catalog};

const HEAD: &str = "title = \"Orders\"\nsql = \"SELECT 1\"\n";

fn definition(rest: &str) -> Definition {
    Definition::parse("exports/orders.toml", &format!("{HEAD}{rest}")).unwrap()
}

fn refused(rest: &str) -> String {
    Definition::parse("exports/orders.toml", &format!("{HEAD}{rest}")).unwrap_err().to_string()
}

fn refused_profile(body: &str) -> String {
    refused(&format!("[profiles.own]\n{body}"))
}

#[test]
fn definition_with_own_profiles_is_read() {
    let definition = definition(
        r#"
        [profiles.office]
        base = "excel"
        delimiter = ";"
        encoding = "windows-1252"
        decimal = ","
        time_zone = "Europe/Berlin"
        escape_formulas = false
        [profiles.load]
        delimiter = "\t"
        quote = "'"
        quoting = "always"
        line_end = "crlf"
        header = false
        null = "NULL"
        byte_order_mark = true
        [output]
        profile = "office"
        "#,
    );
    let office = Profile {
        name: "office".into(),
        delimiter: b';',
        charset: Charset::named("windows-1252").unwrap(),
        byte_order_mark: false,
        decimal: b',',
        time_zone: Some(TimeZone::get("Europe/Berlin").unwrap()),
        escape_formulas: false,
        ..Profile::EXCEL
    };
    assert_eq!(definition.output.style.profile(), &office);
    let load = Profile {
        name: "load".into(),
        delimiter: b'\t',
        quote: b'\'',
        quoting: Quoting::Always,
        line_end: LineEnd::CrLf,
        header: false,
        null: "NULL".into(),
        byte_order_mark: true,
        ..Profile::PLAIN
    };
    assert_eq!(definition.profile("load"), Ok(load));
    assert_snapshot!(definition.profile("offic").unwrap_err(), @r#"expected one of plain, excel, excel-cp932, lossless, load, office, got "offic""#);
}

#[test]
fn impossible_profile_is_refused() {
    assert_snapshot!(refused_profile("delimitter = \",\""), @"exports/orders.toml:4: profiles.own.delimitter: unknown field `delimitter`, expected one of `base`, `delimiter`, `quote`, `quoting`, `line_end`, `header`, `null`, `byte_order_mark`, `encoding`, `escape_formulas`, `time_zone`, `decimal`");
    assert_snapshot!(refused_profile("base = \"lossless\""), @r#"exports/orders.toml:3: profiles.own.base: expected one of plain, excel, excel-cp932, got "lossless""#);
    assert_snapshot!(refused_profile("delimiter = \"::\""), @r#"exports/orders.toml:3: profiles.own.delimiter: expected one of "," ";" "|" "^" "~" "\t", got "::""#);
    assert_snapshot!(refused_profile("quote = \"`\""), @r#"exports/orders.toml:3: profiles.own.quote: expected one of "\"" "'", got "`""#);
    assert_snapshot!(refused_profile("quoting = \"never\""), @"exports/orders.toml:4: profiles.own.quoting: unknown variant `never`, expected `needed` or `always`");
    assert_snapshot!(refused_profile("line_end = \"cr\""), @"exports/orders.toml:4: profiles.own.line_end: unknown variant `cr`, expected `lf` or `crlf`");
    assert_snapshot!(refused_profile("null = \"a,b\""), @r#"exports/orders.toml:3: profiles.own.null: expected ASCII characters without digits, tabs, delimiters, quotes and line breaks, and not only of the letters A to F, got "a,b""#);
    assert_snapshot!(refused_profile("null = \"0\""), @r#"exports/orders.toml:3: profiles.own.null: expected ASCII characters without digits, tabs, delimiters, quotes and line breaks, and not only of the letters A to F, got "0""#);
    assert_snapshot!(refused_profile("null = \"FA\""), @r#"exports/orders.toml:3: profiles.own.null: expected ASCII characters without digits, tabs, delimiters, quotes and line breaks, and not only of the letters A to F, got "FA""#);
    assert_snapshot!(refused_profile("null = \"\\t\""), @r#"exports/orders.toml:3: profiles.own.null: expected ASCII characters without digits, tabs, delimiters, quotes and line breaks, and not only of the letters A to F, got "\t""#);
    assert_snapshot!(refused_profile("decimal = \",\""), @r#"exports/orders.toml:3: profiles.own.decimal: expected another character than the delimiter, got "," for both"#);
    assert_snapshot!(refused_profile("decimal = \"'\""), @r#"exports/orders.toml:3: profiles.own.decimal: expected one of "." ",", got "'""#);
    assert_snapshot!(refused_profile("time_zone = \"Tokyo\""), @r#"exports/orders.toml:3: profiles.own.time_zone: expected a name of the IANA time zone database such as "Asia/Tokyo", got "Tokyo""#);
    assert_snapshot!(refused_profile("encoding = \"shift_jis\"\nbyte_order_mark = true"), @r#"exports/orders.toml:3: profiles.own.byte_order_mark: expected none in Shift_JIS, only UTF-8 has one"#);
    assert!(refused_profile("encoding = \"utf-16\"").starts_with(
        "exports/orders.toml:3: profiles.own.encoding: expected one of UTF-8, Shift_JIS, EUC-JP, EUC-KR, "
    ));
    assert_snapshot!(refused("[profiles.excel]\ndelimiter = \";\""), @r#"exports/orders.toml:3: profiles.excel: this name is built in"#);
    assert_snapshot!(refused("[profiles.\"My Own\"]\ndelimiter = \";\""), @r#"exports/orders.toml:3: profiles.My Own: expected a name of 1 to 64 characters out of a-z, 0-9, _ and -, got "My Own""#);
}

#[test]
fn columns_with_position_and_mask_are_read() {
    let columns = definition(
        r#"
        [columns.id]
        position = 2
        [columns.email]
        mask = "hash"
        [columns.card]
        mask = { keep_last = 4 }
        [columns.note]
        mask = "fixed"
        "#,
    );
    let masked = |mask| ColumnOptions { mask: Some(mask), ..ColumnOptions::default() };
    let expected = [
        ("id", ColumnOptions { position: Some(2), ..ColumnOptions::default() }),
        ("email", masked(Mask::Hash)),
        ("card", masked(Mask::KeepLast(4))),
        ("note", masked(Mask::Fixed)),
    ];
    let expected = expected.map(|(name, options)| (name.to_owned(), options)).into();
    assert_eq!(columns.layout, downpipe_format::Layout::new(expected));
    assert_snapshot!(refused("[columns.a]\nmask = \"md5\""), @r#"exports/orders.toml:4: columns.a.mask: expected "fixed", "hash" or { keep_last = a number }, got "md5""#);
    assert_snapshot!(refused("[columns.a]\nmask = { hash = \"salt\" }"), @r#"exports/orders.toml:4: columns.a.mask: expected "fixed", "hash" or { keep_last = a number }, got { hash = "salt" }"#);
    assert_snapshot!(refused("[columns.a]\nmask = { keep_last = 0 }"), @r#"exports/orders.toml:4: columns.a.mask: expected "fixed", "hash" or { keep_last = a number }, got { keep_last = 0 }"#);
    assert_snapshot!(refused("[columns.Email]\nlabel = \"E-mail\"\n[columns.email]\nmask = \"fixed\""), @r#"exports/orders.toml:5: columns.email: the same column as "Email"; names ignore case"#);
    assert_snapshot!(refused("[columns.a]\nposition = 0"), @"exports/orders.toml:4: columns.a.position: invalid value: integer `0`, expected a nonzero u32");
}

#[test]
fn format_with_an_unfit_compression_is_refused() {
    assert_snapshot!(refused("[output]\nformat = \"xlsx\"\ncompression = \"gzip\""), @r#"exports/orders.toml:5: output.compression: with format xlsx, expected one of none, zip, got "gzip""#);
    let gzipped = catalog(&format!("{HEAD}[output]\ncompression = \"gzip\""));
    let style = |body: &str| accept(&gzipped, body).map(|request| request.style.extension());
    assert_eq!(style(r#"{"export":"orders"}"#).unwrap(), "csv.gz");
    assert_eq!(style(r#"{"export":"orders","format":"jsonl","compression":"zstd"}"#).unwrap(), "jsonl.zst");
    assert_eq!(
        style(r#"{"export":"orders","format":"xlsx"}"#).unwrap(),
        "xlsx",
        "which is compressed already"
    );
    assert_snapshot!(style(r#"{"export":"orders","format":"parquet","compression":"gzip"}"#).unwrap_err(), @r#"compression: expected one of none with format "parquet", got "gzip""#);
}

#[test]
fn message_with_a_profile_of_the_definition_is_accepted() {
    let catalog = catalog(&format!("{HEAD}[profiles.semicolons]\ndelimiter = \";\""));
    let profile = |name: &str| {
        let accepted = accept(&catalog, &format!(r#"{{"export":"orders","profile":"{name}"}}"#));
        accepted.map(|request| request.style.profile().delimiter)
    };
    assert_eq!(profile("semicolons"), Ok(b';'));
    assert_eq!(profile("plain"), Ok(b','));
    assert_snapshot!(profile("colons").unwrap_err(), @r#"profile: expected one of plain, excel, excel-cp932, lossless, semicolons, got "colons""#);
}

/// Otherwise such a query would run for 15 minutes before it fails.
#[test]
fn limit_longer_than_a_run_needs_a_resumable_format() {
    let run = Duration::from_secs(900);
    let of_run = |rest: &str| catalog(&format!("{HEAD}{rest}")).for_runs_of(run);
    let refused = of_run("[limits]\nseconds = 3600\n[output]\nformat = \"xlsx\"");
    assert_eq!(refused.names().count(), 0);
    assert_snapshot!(refused.errors()[0], @r#"exports/orders.toml:6: output.format: expected csv, tsv or jsonl, and no zip: limits.seconds is more than the 900 of one run, and only these can be continued, got "xlsx""#);
    let long = of_run("[limits]\nseconds = 3600");
    let accepted =
        |format: &str| accept(&long, &format!(r#"{{"export":"orders","format":"{format}"}}"#)).map(drop);
    assert_eq!(accepted("jsonl"), Ok(()));
    assert_snapshot!(accepted("parquet").unwrap_err(), @r#"format: expected csv, tsv or jsonl, and no zip: limits.seconds is more than the 900 of one run, and only these can be continued, got "parquet""#);
    let short = of_run("[limits]\nseconds = 900");
    assert!(accept(&short, r#"{"export":"orders","format":"parquet"}"#).is_ok());
}
