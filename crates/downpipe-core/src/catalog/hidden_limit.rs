//! Words of SQL that change a result without a trace at its end: MariaDB's `LIMIT ROWS EXAMINED`, and the hint `SET_VAR` for a
//! variable that every session is given on purpose.

/// Variables whose values the receipt records. A hint ends with its statement, so the receipt would not show it.
const OURS: [&str; 6] = [
    "sql_select_limit",
    "sql_auto_is_null",
    "group_concat_max_len",
    "max_error_count",
    "sql_mode",
    "time_zone",
];

/// Looks for such words, token by token.
#[derive(Debug, Default)]
pub(crate) struct HiddenLimits {
    after: After,
}

/// The words seen so far of a hidden limit.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum After {
    #[default]
    Nothing,
    Rows,
    SetVar,
}

impl HiddenLimits {
    /// Takes the next word or sign. The caller leaves out blanks and comments.
    ///
    /// # Errors
    /// The reason, when the token completes a hidden limit.
    pub(crate) fn check(&mut self, token: &str) -> Result<(), String> {
        let is = |other: &&str| token.eq_ignore_ascii_case(other);
        let after = std::mem::take(&mut self.after);
        match after {
            After::Rows if is(&"EXAMINED") => {
                return Err("LIMIT ROWS EXAMINED ends a result early; leave it out".to_owned());
            }
            After::SetVar if token == "(" => self.after = After::SetVar,
            After::SetVar => {
                if let Some(name) = OURS.iter().find(|name| is(name)) {
                    return Err(format!(
                        "SET_VAR({name}) changes a setting that every export has on purpose; leave it out"
                    ));
                }
            }
            After::Nothing | After::Rows => {}
        }
        if is(&"ROWS") {
            self.after = After::Rows;
        } else if is(&"SET_VAR") {
            self.after = After::SetVar;
        }
        Ok(())
    }
}
