//! What a notice says besides what the job has.

use crate::language::Language;

/// What a notice says besides what the job has.
#[derive(Debug, Clone, Copy)]
pub struct NoticeContext<'a> {
    /// The language of a reader whose request names none.
    pub language: Language,
    /// The export's title, for a job without a receipt. Without it the notice has the export's name.
    pub title: Option<&'a str>,
    /// The page of the job: a whole URL.
    pub link: Option<&'a str>,
    /// What fetches the file, where there is no page.
    pub download_command: Option<&'a str>,
}
