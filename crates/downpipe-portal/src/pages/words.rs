//! The words of the pages, in every language. A word that one of them lacks does not compile.

use downpipe_core::language::Language;
use downpipe_core::notice::{grouped, size};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The words of one language.
pub(crate) struct Words {
    /// The language.
    pub(crate) language: Language,
    pub(crate) link_to_nothing: &'static str,
    pub(crate) link_to_nothing_advice: &'static str,
    pub(crate) ready: &'static str,
    pub(crate) preparing: &'static str,
    pub(crate) preparing_advice: &'static str,
    pub(crate) cancelled: &'static str,
    pub(crate) failed: &'static str,
    pub(crate) download: &'static str,
    pub(crate) prepare_again: &'static str,
    pub(crate) prepare_again_advice: &'static str,
    pub(crate) job: &'static str,
    pub(crate) rows: &'static str,
    pub(crate) size: &'static str,
    pub(crate) data_as_of: &'static str,
    pub(crate) kept_until: &'static str,
    pub(crate) check_the_file: &'static str,
    pub(crate) request_number: &'static str,
    pub(crate) something_is_wrong: &'static str,
}

const EN: Words = Words {
    language: Language::En,
    link_to_nothing: "This link does not lead to a file of yours",
    link_to_nothing_advice: "It may be incomplete, or too old.",
    ready: "Ready",
    preparing: "Preparing",
    preparing_advice: "You can close this page. An e-mail with a link follows when the file is ready.",
    cancelled: "Cancelled. There is no file.",
    failed: "Could not be prepared",
    download: "Download",
    prepare_again: "Prepare again",
    prepare_again_advice: "The file is made anew, from the data of now. An e-mail with a link follows.",
    job: "Job",
    rows: "Rows",
    size: "Size",
    data_as_of: "Data as of",
    kept_until: "Kept until",
    check_the_file: "Check the file",
    request_number: "Request number",
    something_is_wrong: "That did not work",
};

const JA: Words = Words {
    language: Language::Ja,
    link_to_nothing: "このリンクから開けるファイルはありません",
    link_to_nothing_advice: "リンクが途中で切れているか、期限が過ぎている可能性があります。",
    ready: "準備できました",
    preparing: "作成中",
    preparing_advice: "このページは閉じてもかまいません。できあがったら、リンクをメールでお送りします。",
    cancelled: "中止しました。ファイルはありません。",
    failed: "作成できませんでした",
    download: "ダウンロード",
    prepare_again: "もう一度作成",
    prepare_again_advice: "現在のデータからファイルを作り直します。できあがったら、リンクをメールでお送りします。",
    job: "ジョブ番号",
    rows: "行数",
    size: "サイズ",
    data_as_of: "データの時点",
    kept_until: "保存期限",
    check_the_file: "ファイルを確認する",
    request_number: "お問い合わせ番号",
    something_is_wrong: "処理できませんでした",
};

impl Words {
    /// Returns the words of a language.
    pub(crate) fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &EN,
            Language::Ja => &JA,
        }
    }

    /// Returns the language's tag, for `lang`.
    pub(crate) fn tag(&self) -> &'static str {
        self.language.as_str()
    }

    /// Returns a number with its digits in groups.
    pub(crate) fn number(&self, number: &u64) -> String {
        grouped(*number)
    }

    /// Returns a number of bytes for people.
    pub(crate) fn bytes(&self, bytes: &u64) -> String {
        match self.language {
            Language::Ja if *bytes < 1000 => self.exact_bytes(bytes),
            _ => size(*bytes),
        }
    }

    /// Returns a number of bytes in full.
    pub(crate) fn exact_bytes(&self, bytes: &u64) -> String {
        match self.language {
            Language::En => format!("{} bytes", grouped(*bytes)),
            Language::Ja => format!("{}バイト", grouped(*bytes)),
        }
    }

    /// Returns a time on the clock of a zone, with the zone's name.
    pub(crate) fn time(&self, at: &Timestamp, zone: &TimeZone) -> String {
        let local = at.to_zoned(zone.clone());
        let format = match self.language {
            Language::En => "%-d %B %Y, %H:%M %Z",
            Language::Ja => "%Y年%-m月%-d日%H:%M（%Z）",
        };
        local.strftime(format).to_string()
    }

    /// Says when a file was deleted.
    pub(crate) fn deleted(&self, at: &Timestamp, zone: &TimeZone) -> String {
        let local = at.to_zoned(zone.clone());
        match self.language {
            Language::En => local.strftime("Deleted on %-d %B %Y, as planned").to_string(),
            Language::Ja => local.strftime("予定どおり%Y年%-m月%-d日に削除しました").to_string(),
        }
    }
}
