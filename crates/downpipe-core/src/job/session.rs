//! The settings of the database session that decide which rows and values are read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings of a database session by name, as the database shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Session(BTreeMap<String, String>);

/// A setting that is not what it must be. Settings are the server's own words and numbers, never data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: expected {expected:?}, got {actual:?}")]
pub struct ChangedSetting {
    /// The name of the variable.
    pub variable: String,
    /// The value that it must have.
    pub expected: String,
    /// The value that it has.
    pub actual: String,
}

impl Session {
    /// Returns the value of a variable, if it is recorded.
    #[must_use]
    pub fn get(&self, variable: &str) -> Option<&str> {
        self.0.get(variable).map(String::as_str)
    }

    /// Compares the settings that both sessions record. Another version of Downpipe may record more of them.
    ///
    /// # Errors
    /// With the first setting, by name, that differs.
    pub fn compare(&self, actual: &Self) -> Result<(), ChangedSetting> {
        let differs = |(variable, expected): (&String, &String)| {
            let actual = actual.0.get(variable).filter(|actual| *actual != expected)?;
            Some((variable.clone(), expected.clone(), actual.clone()))
        };
        match self.0.iter().find_map(differs) {
            Some((variable, expected, actual)) => Err(ChangedSetting { variable, expected, actual }),
            None => Ok(()),
        }
    }
}

impl FromIterator<(String, String)> for Session {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(settings: I) -> Self {
        Self(settings.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(settings: &[(&str, &str)]) -> Session {
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn session_with_another_value_is_refused_and_with_more_variables_accepted() {
        let before = session(&[("div_precision_increment", "4"), ("sql_mode", "")]);
        let error = before.compare(&session(&[("div_precision_increment", "10"), ("sql_mode", "ANSI")]));
        let words = error.unwrap_err().to_string();
        assert_eq!(words, r#"div_precision_increment: expected "4", got "10""#);
        assert_eq!(before.compare(&session(&[("sql_mode", ""), ("lc_time_names", "en_US")])), Ok(()));
        assert_eq!(Session::default().compare(&before), Ok(()), "a checkpoint without a session");
    }
}
