//! A server that was given from outside, named by a URL.

use std::{env, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::product::Server;
use crate::stack::health;

const DEFAULT_PORT: u16 = 3306;

/// A server given by its URL.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::stack) struct External {
    /// Without a database name; each test adds its own.
    pub(in crate::stack) url: String,
    /// `HOST:PORT`.
    pub(in crate::stack) address: String,
}

impl External {
    /// Returns the server that the environment names, if it does.
    pub(in crate::stack) fn from_env(server: Server) -> Result<Option<Self>> {
        let variable = server.url_variable();
        match env::var(variable) {
            Ok(url) if !url.is_empty() => {
                Self::parse(&url).map(Some).with_context(|| format!("{variable} is not usable"))
            }
            Err(env::VarError::NotUnicode(_)) => bail!("{variable} is not valid UTF-8"),
            _ => Ok(None),
        }
    }

    /// Returns the file with the certificate authority of a given MySQL, if the environment names one.
    pub(in crate::stack) fn ca_from_env() -> Option<PathBuf> {
        env::var_os("DOWNPIPE_TEST_MYSQL_CA").filter(|file| !file.is_empty()).map(PathBuf::from)
    }

    /// Takes a `mysql://USER:PASSWORD@HOST[:PORT][/DATABASE][?OPTIONS]` apart. Errors do not repeat it: it
    /// holds a password.
    pub(in crate::stack) fn parse(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("mysql://").context("expected mysql://USER:PASSWORD@HOST:PORT")?;
        ensure!(!rest.contains(['\n', '\0']), "a URL has only one line");
        let (rest, query) =
            rest.split_once('?').map_or((rest, String::new()), |(rest, q)| (rest, format!("?{q}")));
        let (authority, _database) = rest.split_once('/').unwrap_or((rest, ""));
        let (_user, host) = authority.rsplit_once('@').context("expected USER:PASSWORD@ before the host")?;
        ensure!(!host.is_empty(), "the host is missing");
        // The colons of a bare IPv6 address are inside brackets.
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if has_port { host.to_owned() } else { format!("{host}:{DEFAULT_PORT}") };
        Ok(Self { url: format!("mysql://{authority}{query}"), address })
    }

    /// Checks that a server of this kind answers there.
    pub(in crate::stack) fn check(&self, server: Server) -> Result<()> {
        let version = health::mysql_greeting(&self.address)?;
        let expected = server.product().title;
        ensure!(server.is_meant_by(&version), "{} is version {version}, expected {expected}", self.address);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, String) {
        let External { url, address } = External::parse(url).unwrap();
        (url, address)
    }

    #[test]
    fn url_with_a_database_loses_it_and_gets_a_port() {
        let expected = |url: &str, address: &str| (url.to_owned(), address.to_owned());
        assert_eq!(parsed("mysql://u:p@db:1234/test"), expected("mysql://u:p@db:1234", "db:1234"));
        assert_eq!(parsed("mysql://u:p@db"), expected("mysql://u:p@db", "db:3306"));
        assert_eq!(
            parsed("mysql://u@[::1]/x?ssl-mode=a/b"),
            expected("mysql://u@[::1]?ssl-mode=a/b", "[::1]:3306")
        );
        assert_eq!(parsed("mysql://u:p@[::1]:33"), expected("mysql://u:p@[::1]:33", "[::1]:33"));
    }

    #[test]
    fn errors_do_not_show_the_password() {
        for url in
            ["postgres://u:secret@db", "mysql://u:secret", "mysql://u:secret@/x", "mysql://u:secret@d\nb"]
        {
            let err = format!("{:#}", External::parse(url).unwrap_err());
            assert!(!err.contains("secret"), "{err}");
        }
    }
}
