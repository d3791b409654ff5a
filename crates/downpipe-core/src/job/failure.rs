//! Why a job failed: a code with its arguments, and the words that a person reads.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::language::Language;
use crate::phrases::phrase;
use crate::untrusted_text::one_line;
use crate::words::{Args, args, own, text};

/// Why a job, or one attempt at it, failed. It has no sentences: [`words`](Self::words) writes them in the reader's language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable name for programs, such as `rejected` or `query_failed`.
    pub code: String,
    /// Which of the code's messages this is, where it has several: `held_back` of `timed_out`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub case: Option<String>,
    /// What the words name. `reason` is the program's own description of a definition that does not fit, in English.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub args: Map<String, Value>,
    /// Whether only the operator can fix the cause, and is notified too.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub for_operator: bool,
    /// Messages of drivers and services, for the operator. They may quote the data, so they go to the ledger and never to a log or
    /// an e-mail.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

/// The words of a failure, in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureWords {
    /// What happened, for the person who asked, in one line.
    pub message: String,
    /// What that person can do about it, in one line.
    pub advice: String,
}

impl Failure {
    /// Creates a failure without arguments, of which the requester alone is notified.
    #[must_use]
    pub fn new(code: &str) -> Self {
        Self { code: code.to_owned(), case: None, args: Map::new(), for_operator: false, detail: None }
    }

    /// Returns the failure with another of its code's messages.
    #[must_use]
    pub fn in_case(self, case: &str) -> Self {
        Self { case: Some(case.to_owned()), ..self }
    }

    /// Returns the failure with an argument of its words.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.args.insert(name.to_owned(), value.into());
        self
    }

    /// Returns the failure's words. A code that this version does not know has the words of no particular failure.
    #[must_use]
    pub fn words(&self, language: Language) -> FailureWords {
        let id = match &self.case {
            Some(case) => format!("failure-{}-{case}", self.code),
            None => format!("failure-{}", self.code),
        };
        let args = self.args_in(language);
        let id = if text(language, &id, None, &args).is_some() { id } else { "failure-unknown".to_owned() };
        let mut message = own(language, &id, &args);
        if args.contains_key("attempts") {
            if language == Language::En {
                message.push(' ');
            }
            message += &own(language, "failure-tried", &args);
        }
        let advice = text(language, &id, Some("advice"), &args).unwrap_or_default();
        FailureWords { message: one_line(&message), advice: one_line(&advice) }
    }

    /// Returns the arguments with the refused fields, which are a list, as text.
    fn args_in(&self, language: Language) -> Args {
        let mut texts = self.args.clone();
        if let Some(Value::Array(rejections)) = self.args.get("rejections") {
            let fields = rejections.iter().filter_map(Value::as_object);
            let mut shown: Vec<String> = fields
                .map(|fields| {
                    let in_language = |(name, value): (&String, &Value)| {
                        let text = value.as_str().unwrap_or_default();
                        (name.clone(), phrase(language, text).into())
                    };
                    own(language, "failure-rejection", &fields.iter().map(in_language).collect())
                })
                .collect();
            if let Some(more) = self.args.get("more") {
                shown.push(own(language, "failure-rejection-more", &args([("more", more.clone())])));
            }
            let separator = own(language, "failure-rejection-separator", &Args::new());
            texts.insert("rejections".to_owned(), shown.join(&separator).into());
        }
        texts
    }
}
