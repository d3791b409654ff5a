//! The variables of the portal.

use std::ops::RangeInclusive;
use std::time::Duration;

use downpipe_core::requester::Requester;

use super::environment::Environment;
use super::places::SecretLocation;

/// How many jobs a person may have under way, unless `DOWNPIPE_JOBS_PER_PERSON` says.
const JOBS_PER_PERSON: u64 = 5;

/// How long a signed download is valid, unless `DOWNPIPE_DOWNLOAD_SECONDS` says.
const DOWNLOAD_SECONDS: u64 = 300;

/// How people log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// They do not. The apps of the portal's secret send them, each request with a token.
    None,
}

impl Environment<'_> {
    /// Reads `DOWNPIPE_PORTAL_URL`, without a slash at its end.
    pub fn required_portal_url(&mut self) -> String {
        const NAME: &str = "DOWNPIPE_PORTAL_URL";
        let is_address = |url: &str| {
            let address = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            address.is_some_and(|address| !address.is_empty() && !address.contains(['?', '#', ' ']))
        };
        let url = self.checked(NAME, "an http(s) URL without ? and #", is_address);
        url.trim_end_matches('/').to_owned()
    }

    /// Reads `DOWNPIPE_PORTAL_SECRET`.
    pub fn portal_secret(&mut self) -> SecretLocation {
        let name = self.required("DOWNPIPE_PORTAL_SECRET", "the name or ARN of a secret, or file:PATH");
        self.secret_at(name)
    }

    /// Reads `DOWNPIPE_LOGIN`.
    pub fn login(&mut self) -> Login {
        const NAME: &str = "DOWNPIPE_LOGIN";
        let login = self.required(NAME, "none");
        match login.as_str() {
            "" | "none" => {}
            "dev" | "oidc" => {
                self.refuse(format!(
                    "{NAME}: expected none, got {login:?}, which this version does not have"
                ));
            }
            _ => self.refuse(format!("{NAME}: expected none, got {login:?}")),
        }
        Login::None
    }

    /// Reads `DOWNPIPE_OPERATORS`.
    pub fn operators(&mut self) -> Vec<Requester> {
        const NAME: &str = "DOWNPIPE_OPERATORS";
        let list = self.optional(NAME).unwrap_or_default();
        let mut operators = Vec::new();
        for address in list.split(',').map(str::trim).filter(|address| !address.is_empty()) {
            match address.parse::<Requester>() {
                Ok(operator) if !operator.is_operator() => operators.push(operator),
                _ => self.refuse(format!("{NAME}: expected e-mail addresses and commas, got {address:?}")),
            }
        }
        operators
    }

    /// Reads `DOWNPIPE_JOBS_PER_PERSON`.
    pub fn jobs_per_person(&mut self) -> u32 {
        let jobs = self.number("DOWNPIPE_JOBS_PER_PERSON", 1..=1000, JOBS_PER_PERSON);
        u32::try_from(jobs).unwrap_or(u32::MAX)
    }

    /// Reads `DOWNPIPE_DOWNLOAD_SECONDS`.
    pub fn download_time(&mut self) -> Duration {
        Duration::from_secs(self.number("DOWNPIPE_DOWNLOAD_SECONDS", 60..=3600, DOWNLOAD_SECONDS))
    }

    fn number(&mut self, name: &str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let Some(text) = self.optional(name) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (least, most) = (range.start(), range.end());
                self.refuse(format!("{name}: expected a whole number from {least} to {most}, got {text:?}"));
                default
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(
        variables: &[(&str, &str)],
        setting: impl FnOnce(&mut Environment<'_>) -> T,
    ) -> Result<T, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let mut env = Environment::new(&variable);
        let value = setting(&mut env);
        env.complete(value).map_err(|error| error.to_string())
    }

    #[test]
    fn portal_url_has_no_slash_at_its_end() {
        let url = |url: &str| read(&[("DOWNPIPE_PORTAL_URL", url)], |env| env.required_portal_url());
        assert_eq!(url("https://exports.example.com/"), Ok("https://exports.example.com".to_owned()));
        assert_eq!(url("http://127.0.0.1:8080"), Ok("http://127.0.0.1:8080".to_owned()));
        for wrong in ["", "exports.example.com", "https://", "https://a.example/?b", "ftp://a.example"] {
            let error = url(wrong).unwrap_err();
            assert!(error.contains("DOWNPIPE_PORTAL_URL: expected an http(s) URL"), "{error}");
        }
    }

    #[test]
    fn login_that_is_not_built_is_refused_by_name() {
        let login = |login: &str| read(&[("DOWNPIPE_LOGIN", login)], |env| env.login());
        assert_eq!(login("none"), Ok(Login::None));
        for wrong in ["oidc", "dev"] {
            let error = login(wrong).unwrap_err();
            assert!(error.contains(&format!("expected none, got {wrong:?}, which this version")), "{error}");
        }
        assert!(login("").unwrap_err().contains("DOWNPIPE_LOGIN: expected none, got nothing"));
        assert!(login("ldap").unwrap_err().contains("DOWNPIPE_LOGIN: expected none, got \"ldap\""));
    }

    #[test]
    fn operators_are_addresses_in_lower_case() {
        let operators = |list: &str| read(&[("DOWNPIPE_OPERATORS", list)], |env| env.operators());
        let expected = ["a@example.com", "b@example.com"].map(|address| address.parse().unwrap());
        assert_eq!(operators(" A@Example.com, b@example.com,"), Ok(expected.to_vec()));
        assert_eq!(operators(""), Ok(Vec::new()));
        assert!(operators("operator").unwrap_err().contains("got \"operator\""));
        assert!(operators("alice").unwrap_err().contains("got \"alice\""));
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        assert_eq!(read(&[], |env| env.jobs_per_person()), Ok(5));
        assert_eq!(read(&[], |env| env.download_time()), Ok(Duration::from_secs(300)));
        let seconds = |text: &str| read(&[("DOWNPIPE_DOWNLOAD_SECONDS", text)], |env| env.download_time());
        assert_eq!(seconds("60"), Ok(Duration::from_secs(60)));
        for wrong in ["59", "3601", "5m", "-1"] {
            let expected = format!(
                "the environment is not complete: DOWNPIPE_DOWNLOAD_SECONDS: expected a whole number from 60 to 3600, got {wrong:?}"
            );
            assert_eq!(seconds(wrong), Err(expected));
        }
    }
}
