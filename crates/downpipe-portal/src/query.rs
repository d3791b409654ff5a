//! The part of a URL after the question mark. Everything wrong with it is named at once.

use std::collections::BTreeMap;

use downpipe_core::message::Rejection;
use url::form_urlencoded;

use crate::problem::Problem;

/// The fields of a query, and what is wrong with them.
pub(crate) struct Query {
    fields: BTreeMap<String, String>,
    wrong: Vec<Rejection>,
}

impl Query {
    /// Reads a query that may have these fields, each once.
    pub(crate) fn read(raw: Option<&str>, known: &[&str]) -> Self {
        let mut query = Self { fields: BTreeMap::new(), wrong: Vec::new() };
        for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                query.refuse(&name, format!("one of the fields {}", known.join(", ")), "an unknown field");
            } else if query.fields.insert(name.to_string(), value.into_owned()).is_some() {
                query.refuse(&name, "it once".to_owned(), "it more than once");
            }
        }
        query
    }

    /// Returns the value of a field, if it is there and can be read.
    pub(crate) fn take<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.fields.remove(name)?;
        let value = read(&text);
        if value.is_none() {
            let shown: String = text.chars().take(80).collect();
            self.refuse(name, expected.to_owned(), &format!("{shown:?}"));
        }
        value
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// With everything that was wrong.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.wrong.is_empty() { Ok(()) } else { Err(Problem::wrong_values(self.wrong)) }
    }

    fn refuse(&mut self, field: &str, expected: String, actual: &str) {
        let field = field.chars().take(80).collect();
        self.wrong.push(Rejection { field, expected, actual: actual.to_owned() });
    }
}
