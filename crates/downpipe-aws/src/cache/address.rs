//! Where a cache is: the value of `DOWNPIPE_CACHE`.

use std::fmt;
use std::str::FromStr;

/// Where a cache is, and what speaks there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CacheAddress {
    /// `none`: there is no cache.
    #[default]
    None,
    /// `valkey://USER@HOST:PORT/CACHE-NAME[?serverless]`
    Valkey(ValkeyAddress),
    /// `memcached://HOST:PORT`
    Memcached(HostPort),
}

/// Where a Valkey of ElastiCache is, and who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValkeyAddress {
    /// The user's id, which IAM wants to be its name.
    pub user: String,
    /// The endpoint.
    pub server: HostPort,
    /// The cache's name, for which tokens are signed.
    pub cache: String,
    /// Whether it is a serverless cache. Tokens say so.
    pub serverless: bool,
}

/// A host and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name, or an address; one of IPv6 without its brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// A text that is no address of a cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected none, valkey://USER@HOST:PORT/CACHE-NAME[?serverless] or memcached://HOST:PORT, got {0}")]
pub struct InvalidCacheAddress(String);

impl FromStr for CacheAddress {
    type Err = InvalidCacheAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidCacheAddress(format!("{text:?}"));
        if text == "none" {
            Ok(Self::None)
        } else if let Some(rest) = text.strip_prefix("valkey://") {
            if rest.split_once('@').is_some_and(|(user, _)| user.contains(':')) {
                // The value itself is not repeated: it has a secret in it.
                return Err(InvalidCacheAddress("a user with a password, where IAM needs none".to_owned()));
            }
            valkey(rest).map(Self::Valkey).ok_or_else(invalid)
        } else if let Some(rest) = text.strip_prefix("memcached://") {
            HostPort::parse(rest).map(Self::Memcached).ok_or_else(invalid)
        } else if text.contains('@') {
            Err(InvalidCacheAddress("the address of something else".to_owned()))
        } else {
            Err(invalid())
        }
    }
}

fn valkey(rest: &str) -> Option<ValkeyAddress> {
    let (user, rest) = rest.split_once('@')?;
    let (server, name) = rest.split_once('/')?;
    let (cache, serverless) = match name.split_once('?') {
        Some((cache, "serverless")) => (cache, true),
        Some(_) => return None,
        None => (name, false),
    };
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !(is_name(user) && is_name(cache)) {
        return None;
    }
    let server = HostPort::parse(server)?;
    Some(ValkeyAddress { user: user.to_owned(), server, cache: cache.to_owned(), serverless })
}

impl HostPort {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let fits = |byte: u8| {
            byte.is_ascii_alphanumeric() || b"-._".contains(&byte) || (bare.is_some() && byte == b':')
        };
        let port = port.parse().ok().filter(|port| *port != 0)?;
        (!host.is_empty() && host.bytes().all(fits)).then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str, port: u16) -> HostPort {
        HostPort { host: host.to_owned(), port }
    }

    #[test]
    fn cache_address_of_each_kind_is_read() {
        let valkey = |server, serverless| {
            let (user, cache) = ("downpipe".to_owned(), "Popular-1".to_owned());
            Ok(CacheAddress::Valkey(ValkeyAddress { user, server, cache, serverless }))
        };
        assert_eq!("none".parse(), Ok(CacheAddress::None));
        assert_eq!(
            "valkey://downpipe@c.x.cache.amazonaws.com:6379/Popular-1".parse(),
            valkey(server("c.x.cache.amazonaws.com", 6379), false)
        );
        assert_eq!(
            "valkey://downpipe@[::1]:6379/Popular-1?serverless".parse(),
            valkey(server("::1", 6379), true)
        );
        assert_eq!(
            "memcached://10.0.0.7:11211".parse(),
            Ok(CacheAddress::Memcached(server("10.0.0.7", 11211)))
        );
    }

    #[test]
    fn cache_address_that_is_wrong_is_refused_with_what_came() {
        for wrong in [
            "",
            "redis://u@h:6379/c",
            "valkey://h:6379/c",
            "valkey://u@h/c",
            "valkey://u@h:6379",
            "valkey://u@h:6379/",
            "valkey://u@h:6379/c?tls=off",
            "valkey://@h:6379/c",
            "valkey://u@h:0/c",
            "valkey://u@h:6379/c/d",
            "memcached://h",
            "memcached://h:11211/x",
            "memcached://:11211",
        ] {
            let error = wrong.parse::<CacheAddress>().unwrap_err().to_string();
            assert!(error.starts_with("expected none, valkey://USER@HOST:PORT/CACHE-NAME"), "{error}");
        }
    }

    #[test]
    fn cache_address_with_a_password_is_refused_without_a_word_of_it() {
        for wrong in ["valkey://u:hunter2@h:6379/c", "redis://u:hunter2@h:6379/c"] {
            let error = wrong.parse::<CacheAddress>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn host_and_port_are_shown_as_they_are_written() {
        for text in ["h:6379", "[::1]:11211", "127.0.0.1:1"] {
            assert_eq!(HostPort::parse(text).unwrap().to_string(), text);
        }
    }
}
