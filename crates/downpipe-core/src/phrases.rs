//! What was expected and what came, in the reader's language: the phrases of rejections, which are made in English.

use std::borrow::Cow;

use crate::language::Language;

/// Phrases as rejections have them, and in Japanese.
const WHOLE: [(&str, &str); 17] = [
    ("a string", "文字列"),
    (
        "a whole number between -9223372036854775808 and 9223372036854775807",
        "-9223372036854775808 から 9223372036854775807 までの整数",
    ),
    (
        "a decimal number such as 12.50, of at most 65 digits, 30 of them after the point",
        "12.50 のような小数（全体で65桁、小数点以下30桁まで）",
    ),
    ("true or false", "true か false"),
    ("a date such as 2026-01-31", "2026-01-31 のような日付"),
    ("a date and time such as 2026-01-31T23:59:59", "2026-01-31T23:59:59 のような日時"),
    ("nothing", "なし"),
    ("no parameters", "パラメーターなし"),
    ("an unknown parameter", "存在しないパラメーター"),
    ("an unknown field", "存在しない項目"),
    ("the name of an export", "エクスポートの名前"),
    ("a JSON object", "JSON オブジェクト"),
    ("an object of parameters by name", "パラメーターの名前と値の組"),
    ("a string, a number or a boolean", "文字列、数値、真偽値のいずれか"),
    (
        "no invisible character and no line break, as a file is named after it",
        "見えない文字や改行を含まない文字列（ファイル名に使われるため）",
    ),
    ("characters that the column in the database can hold", "データベースの列に保存できる文字"),
    ("a number with which the query can compute", "クエリで計算できる数値"),
];

/// What phrases begin with before names and values, and in Japanese.
const BEGINNINGS: [(&str, &str); 3] = [
    ("one of the fields ", "次の項目のいずれか"),
    ("one of ", "次のいずれか"),
    ("a requester who may ask for ", "このエクスポートを依頼できる人"),
];

/// Returns a phrase in this language. One that quotes what was sent, or that is rare, stays in English.
pub(crate) fn phrase(language: Language, english: &str) -> Cow<'_, str> {
    if language == Language::En {
        return english.into();
    }
    if let Some((_, japanese)) = WHOLE.iter().find(|(known, _)| *known == english) {
        return (*japanese).into();
    }
    let begun = BEGINNINGS
        .iter()
        .find_map(|(known, japanese)| Some(format!("{japanese}（{}）", english.strip_prefix(known)?)));
    begun.map_or(english.into(), Cow::from)
}
