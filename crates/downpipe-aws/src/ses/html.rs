//! A letter as HTML. `templates/mail.mjml` is its layout, and `templates/mail.html` what MJML makes of that: the tables that mail
//! programs show alike. A test holds the two together, so that MJML is no part of the program. Nothing is fetched from elsewhere.

use askama::Template;
use downpipe_core::error_chain::error_chain;
use downpipe_core::job::JobState;
use downpipe_core::language::Language;
use downpipe_core::notice::{Content, Letter, Notice};

/// The most bytes of HTML. Gmail cuts mails of more than 102 KB.
const MAX_HTML: usize = 60_000;

/// The fonts of the reader's system. A mail loads none.
const FONTS_EN: &str = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
const FONTS_JA: &str = "'Hiragino Sans', 'Noto Sans JP', 'Yu Gothic UI', Meiryo, sans-serif";

#[derive(Template)]
#[template(path = "mail.html", escape = "html")]
struct MailTemplate<'a> {
    letter: &'a Letter,
    lang: &'static str,
    fonts: &'static str,
    line_height: &'static str,
    preview: &'a str,
    status: &'static str,
    icon: &'static str,
    state_color: &'static str,
}

/// Returns a notice's letter as HTML. `None` for one that is too long: its text is then the mail.
pub(crate) fn html(notice: &Notice) -> Option<String> {
    let Notice { letter, language, status, .. } = notice;
    let (fonts, line_height) = match language {
        Language::En => (FONTS_EN, "1.5"),
        Language::Ja => (FONTS_JA, "1.7"),
    };
    // Signs that fonts have as text, beside the words: nothing is said by colour alone.
    let (icon, state_color) = match status {
        JobState::Ready => ("✓", "#18794e"),
        JobState::Cancelled => ("–", "#5b6475"),
        _ => ("✕", "#b42318"),
    };
    let template = MailTemplate {
        letter,
        lang: language.as_str(),
        fonts,
        line_height,
        preview: preview(letter),
        status: status.as_str(),
        icon,
        state_color,
    };
    match template.render() {
        Ok(html) => Some(html).filter(|html| html.len() <= MAX_HTML),
        Err(error) => {
            // The text says the same.
            tracing::error!(error = error_chain(&error), "a mail has no HTML");
            None
        }
    }
}

/// Returns what a list of mails shows beside the subject.
fn preview(letter: &Letter) -> &str {
    let first = letter.sections.iter().find_map(|section| match &section.content {
        Content::Words(lines) => lines.first(),
        Content::Facts(facts) => facts.first().map(|fact| &fact.value),
        Content::Code(_) | Content::List(_) => None,
    });
    first.unwrap_or(&letter.heading)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use downpipe_core::testing::sample_notices;
    use mrml::prelude::render::RenderOptions;

    use super::*;

    fn notices() -> Vec<(String, Notice)> {
        sample_notices(&"alice@example.com".parse().unwrap())
    }

    #[test]
    fn template_is_what_mjml_makes_of_the_layout() {
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let layout = std::fs::read_to_string(templates.join("mail.mjml")).unwrap();
        // MJML's own fonts come from the web.
        let options = RenderOptions { fonts: HashMap::new(), ..RenderOptions::default() };
        let html = mrml::parse(layout).unwrap().element.render(&options).unwrap() + "\n";
        let path = templates.join("mail.html");
        if std::env::var_os("DOWNPIPE_UPDATE_DOCUMENTS").is_some() {
            std::fs::write(&path, &html).unwrap();
        }
        let is_equal = std::fs::read_to_string(&path).unwrap() == html;
        assert!(
            is_equal,
            "mail.html is not what mail.mjml becomes: run this test with DOWNPIPE_UPDATE_DOCUMENTS=1"
        );
    }

    #[test]
    fn html_of_each_kind_is_short_and_fetches_nothing() {
        for (name, notice) in notices() {
            let html = html(&notice).unwrap();
            assert!(html.len() < 30_000, "{name}: {} bytes", html.len());
            for remote in ["src=", "@import", "url(", "<link", "<script", "<img", "googleapis"] {
                assert!(!html.contains(remote), "{name} has {remote}");
            }
            let link = &notice.letter.action.as_ref().unwrap().url;
            let addresses = html.matches("https://").count();
            assert_eq!(addresses, html.matches(link.as_str()).count(), "{name} leads to the job alone");
            for text in [&notice.letter.heading, &notice.letter.footer, &notice.job_id] {
                let escaped = text.replace('"', "&#34;").replace('\'', "&#39;");
                assert!(html.contains(&escaped), "{name} says {text}");
            }
            assert!(html.contains(&format!("lang=\"{}\"", notice.language)), "{name}");
        }
    }

    #[test]
    fn html_of_hostile_words_shows_them_as_they_are() {
        let hostile = "<img src=x onerror=1>&amp;</td></mj-table>\"'{{ 1 }}<!-- ";
        let (_, mut notice) = notices().into_iter().next().unwrap();
        notice.letter.heading = hostile.to_owned();
        notice.letter.action.as_mut().unwrap().url = "https://a.example/\"><b>".to_owned();
        for section in &mut notice.letter.sections {
            section.heading = Some(hostile.to_owned());
            section.content = Content::List(vec![(hostile.to_owned(), vec![hostile.to_owned()])]);
        }
        let html = html(&notice).unwrap();
        assert!(!html.contains("<img") && !html.contains("<b>") && !html.contains("mj-table>"), "{html}");
        assert!(html.contains("&#60;img src=x onerror=1&#62;&#38;amp;"), "{html}");
    }

    #[test]
    fn html_that_is_too_long_is_left_out() {
        let (_, mut notice) = notices().into_iter().next().unwrap();
        notice.letter.heading = "x".repeat(MAX_HTML);
        assert_eq!(html(&notice), None);
    }

    #[test]
    fn preview_of_a_mail_is_what_it_says_first() {
        let previews: Vec<String> =
            notices().iter().map(|(name, notice)| format!("{name}: {}\n", preview(&notice.letter))).collect();
        insta::assert_snapshot!(previews.concat(), @"
        ready_en: orders-2026-11-01.csv
        failed_en: The query took longer than it may. For 312 s of that time, throttle.rows_per_second held it back.
        cancelled_en: Its cancellation was requested. There is no file.
        operator_en: The requester has been notified.
        ready_ja: 注文一覧-2026-11-01.csv
        failed_ja: クエリが制限時間内に終わりませんでした。このうち312秒は、throttle.rows_per_second による速度制限で待っていた時間です。
        cancelled_ja: 中止のご依頼があったため、作成を取りやめました。ファイルはありません。
        operator_ja: 依頼した人には、すでにメールでお知らせしています。
        ");
    }
}
