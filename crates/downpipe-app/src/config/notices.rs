//! How people are notified, and in which language.

use downpipe_core::language::{InvalidLanguage, Language};
use downpipe_core::requester::Requester;
use downpipe_core::untrusted_text::is_hidden;

use super::environment::Environment;

/// How people are notified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeConfig {
    /// By a topic, to which they subscribe.
    Sns {
        /// `DOWNPIPE_TOPIC_ARN`.
        topic_arn: String,
    },
    /// By mail.
    Ses {
        /// `DOWNPIPE_MAIL_FROM`.
        from: String,
        /// `DOWNPIPE_OPERATORS`: who gets what is for the operator. The topic does where there are none.
        operators: Vec<Requester>,
        /// `DOWNPIPE_TOPIC_ARN`: where programs get the jobs.
        topic_arn: Option<String>,
    },
}

impl Environment<'_> {
    /// Reads `DOWNPIPE_NOTICE`, and what it needs.
    pub fn notices(&mut self) -> NoticeConfig {
        const NAME: &str = "DOWNPIPE_NOTICE";
        match self.optional(NAME).as_deref() {
            None | Some("sns") => NoticeConfig::Sns { topic_arn: self.topic_arn() },
            Some("ses") => self.mail(),
            Some(other) => {
                self.refuse(format!("{NAME}: expected sns or ses, got {other:?}"));
                NoticeConfig::Sns { topic_arn: String::new() }
            }
        }
    }

    fn mail(&mut self) -> NoticeConfig {
        let expected = "an e-mail address, or Name <address>";
        let from = self.checked("DOWNPIPE_MAIL_FROM", expected, is_sender);
        let topic_arn = self.optional("DOWNPIPE_TOPIC_ARN").map(|_| self.topic_arn());
        let is_set = self.optional("DOWNPIPE_OPERATORS").is_some();
        if !is_set && topic_arn.is_none() {
            self.refuse(
                "DOWNPIPE_OPERATORS or DOWNPIPE_TOPIC_ARN: expected one of them with DOWNPIPE_NOTICE=ses, so that the operator \
                 is told of failures, got neither"
                    .to_owned(),
            );
        }
        NoticeConfig::Ses { from, operators: self.operators(), topic_arn }
    }

    /// Reads `DOWNPIPE_LANGUAGE`.
    pub fn language(&mut self) -> Language {
        const NAME: &str = "DOWNPIPE_LANGUAGE";
        let Some(text) = self.optional(NAME) else { return Language::En };
        text.parse().unwrap_or_else(|expected: InvalidLanguage| {
            self.refuse(format!("{NAME}: expected {expected}, got {text:?}"));
            Language::En
        })
    }
}

/// Returns whether a text is an address, or a name with one. SES says whether it is verified.
fn is_sender(text: &str) -> bool {
    let address = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((_, address)) => address,
        None => text,
    };
    let is_address = address.parse::<Requester>().is_ok_and(|address| !address.is_operator());
    is_address && !text.contains(is_hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<NoticeConfig, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let mut env = Environment::new(&variable);
        let notices = env.notices();
        env.complete(notices).map_err(|error| error.to_string())
    }

    const SES: (&str, &str) = ("DOWNPIPE_NOTICE", "ses");
    const FROM: (&str, &str) = ("DOWNPIPE_MAIL_FROM", "Exports <exports@example.com>");
    const TOPIC: (&str, &str) = ("DOWNPIPE_TOPIC_ARN", "arn:aws:sns:eu-central-1:1:t");
    const OPERATORS: (&str, &str) = ("DOWNPIPE_OPERATORS", "a@example.com,b@example.com");

    #[test]
    fn mail_goes_to_operators_and_needs_no_topic() {
        let operators = ["a@example.com", "b@example.com"].map(|address| address.parse().unwrap()).to_vec();
        let (from, topic_arn) = (FROM.1.to_owned(), Some(TOPIC.1.to_owned()));
        let expected = NoticeConfig::Ses { from: from.clone(), operators, topic_arn: None };
        assert_eq!(read(&[SES, FROM, OPERATORS]), Ok(expected));
        let expected = NoticeConfig::Ses { from, operators: Vec::new(), topic_arn };
        assert_eq!(read(&[SES, FROM, TOPIC]), Ok(expected));
    }

    #[test]
    fn mail_that_reaches_no_operator_is_refused() {
        let error = read(&[SES, ("DOWNPIPE_MAIL_FROM", "exports")]).unwrap_err();
        insta::assert_snapshot!(error.replace("; ", ";\n"), @r#"
        the environment is not complete: DOWNPIPE_MAIL_FROM: expected an e-mail address, or Name <address>, got "exports";
        DOWNPIPE_OPERATORS or DOWNPIPE_TOPIC_ARN: expected one of them with DOWNPIPE_NOTICE=ses, so that the operator is told of failures, got neither
        "#);
        assert!(
            read(&[("DOWNPIPE_NOTICE", "smtp")]).unwrap_err().contains("expected sns or ses, got \"smtp\"")
        );
        assert!(read(&[]).unwrap_err().contains("DOWNPIPE_TOPIC_ARN: expected the ARN of an SNS topic"));
    }

    #[test]
    fn sender_is_an_address_with_or_without_a_name() {
        for right in
            ["exports@example.com", "Exports <exports@example.com>", "書き出し <exports@example.com>"]
        {
            assert!(is_sender(right), "{right}");
        }
        for wrong in ["", "operator", "Exports", "Exports <exports>", "a\r\nBcc: x <exports@example.com>"] {
            assert!(!is_sender(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn language_is_english_unless_the_environment_says() {
        let language = |text: &str| {
            let variable = |name: &str| (name == "DOWNPIPE_LANGUAGE").then(|| text.to_owned());
            let mut env = Environment::new(&variable);
            let language = env.language();
            env.complete(language).map_err(|error| error.to_string())
        };
        assert_eq!((language(""), language("ja")), (Ok(Language::En), Ok(Language::Ja)));
        let error = language("fr").unwrap_err();
        assert!(error.contains("DOWNPIPE_LANGUAGE: expected \"en\" or \"ja\", got \"fr\""), "{error}");
    }
}
