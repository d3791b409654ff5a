//! Reads database URLs.

use std::net::IpAddr;
use std::str::FromStr as _;

use downpipe_core::login::Account;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use url::Url;

use super::tls::RootCertificates;

/// A text that is no database URL. Its message has no password in it.
#[derive(Debug, thiserror::Error)]
#[error("expected mysql://{expected}@HOST:PORT/DATABASE, got {got}")]
pub struct InvalidUrl {
    expected: &'static str,
    got: String,
}

/// Reads the account for which tokens are made from a URL: `mysql://user@host:port/database`.
///
/// # Errors
/// When it is no such URL, or has a password or an option, which would have no effect.
pub fn account_at(url: &str) -> Result<Account, InvalidUrl> {
    const EXPECTED: &str = "USER";
    let options = options_at(url, EXPECTED)?;
    let invalid = |got: &str| InvalidUrl { expected: EXPECTED, got: got.to_owned() };
    let url = Url::parse(url).map_err(|error| invalid(&error.to_string()))?;
    // sqlx would take its defaults.
    match (url.username().is_empty(), url.password(), url.query()) {
        (true, _, _) => return Err(invalid("no user")),
        (_, Some(_), _) => return Err(invalid("a password")),
        (_, _, Some(_)) => return Err(invalid("options")),
        (false, None, None) => {}
    }
    Ok(Account {
        host: options.get_host().to_owned(),
        port: options.get_port(),
        username: options.get_username().to_owned(),
        database: options.get_database().map(str::to_owned),
    })
}

fn options_at(url: &str, expected: &'static str) -> Result<MySqlConnectOptions, InvalidUrl> {
    let invalid = |got: String| InvalidUrl { expected, got };
    if !url.starts_with("mysql://") {
        let scheme = url.split_once("://").map_or("text without a scheme", |(scheme, _)| scheme);
        return Err(invalid(format!("{scheme:?}")));
    }
    MySqlConnectOptions::from_str(url).map_err(|error| invalid(error.to_string()))
}

/// Returns how to connect to a URL, and whether the server is verified although the URL does not ask for it.
pub(super) fn options_trusting(
    url: &str,
    root_certificates: Option<&RootCertificates>,
) -> Result<(MySqlConnectOptions, bool), InvalidUrl> {
    let options = options_at(url, "USER:PASSWORD")?;
    let given = GivenInUrl::of(url);
    let needs_proof = root_certificates.is_some() || (given.password && !is_on_this_machine(&options));
    if given.ssl_mode || !needs_proof {
        return Ok((options, false));
    }
    let options = options.ssl_mode(MySqlSslMode::VerifyIdentity);
    let pem = || root_certificates.map_or_else(|| RootCertificates::rds().pem(), RootCertificates::pem);
    Ok((if given.ssl_ca { options } else { options.ssl_ca_from_pem(pem()) }, true))
}

/// Which settings a URL has.
#[derive(Debug, Default)]
struct GivenInUrl {
    password: bool,
    ssl_mode: bool,
    ssl_ca: bool,
}

impl GivenInUrl {
    fn of(url: &str) -> Self {
        let Ok(url) = Url::parse(url) else { return Self::default() };
        let has = |names: [&str; 2]| url.query_pairs().any(|(name, _)| names.contains(&&*name));
        Self {
            password: url.password().is_some(),
            ssl_mode: has(["ssl-mode", "sslmode"]),
            ssl_ca: has(["ssl-ca", "sslca"]),
        }
    }
}

/// Returns whether a connection stays on this machine.
fn is_on_this_machine(options: &MySqlConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    options.get_socket().is_some()
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_for_tokens_with_password_or_options_is_refused() {
        let account = account_at("mysql://ex%40port@db.example:3307/shop").unwrap();
        assert_eq!((account.host.as_str(), account.port), ("db.example", 3307));
        assert_eq!((account.username.as_str(), account.database.as_deref()), ("ex@port", Some("shop")));
        for (url, got) in [
            ("mysql://export:hunter2@db.example/shop", "a password"),
            ("mysql://export@db.example/shop?ssl-mode=DISABLED", "options"),
            ("mysql://db.example/shop", "no user"),
            ("postgres://export@db.example/shop", "\"postgres\""),
        ] {
            let error = account_at(url).unwrap_err().to_string();
            assert_eq!(error, format!("expected mysql://USER@HOST:PORT/DATABASE, got {got}"));
        }
    }

    #[test]
    fn url_with_password_to_other_machine_without_ssl_mode_is_verified() {
        let mode = |url: &str| {
            let (options, verified_by_default) = options_trusting(url, None).unwrap();
            (verified_by_default, format!("{:?}", options.get_ssl_mode()))
        };
        let verified = (true, "VerifyIdentity".to_owned());
        for url in [
            "mysql://u:p@db.example/shop",
            "mysql://u:p@10.0.0.7:3307/shop?charset=utf8mb4",
            "mysql://u:p@localhost.example/shop",
            "mysql://u:p@db.example/shop?ssl-ca=ca.pem",
            "mysql://u:p@[2001:db8::1]/shop",
        ] {
            assert_eq!(mode(url), verified, "{url}");
        }
        for url in [
            "mysql://u:p@localhost/shop",
            "mysql://u:p@127.0.0.1:3307/shop",
            "mysql://u:p@127.8.0.1/shop",
            "mysql://u:p@[::1]/shop",
            "mysql://u:p@db.example/shop?socket=/run/mysqld.sock",
            "mysql://u@db.example/shop",
        ] {
            assert_eq!(mode(url), (false, "Preferred".to_owned()), "{url}");
        }
        let (options, verified) =
            options_trusting("mysql://u:p@127.0.0.1/shop", Some(&RootCertificates::rds())).unwrap();
        assert!(
            verified && matches!(options.get_ssl_mode(), MySqlSslMode::VerifyIdentity),
            "root certificates were given"
        );
        let unverified = mode("mysql://u:p@db.example/shop?ssl-mode=DISABLED");
        assert_eq!(unverified, (false, "Disabled".to_owned()));
        let unverified = mode("mysql://u:p@db.example/shop?sslmode=REQUIRED");
        assert_eq!(unverified, (false, "Required".to_owned()));
    }
}
