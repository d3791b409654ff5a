//! How to reach the caches, as part of the stack's environment.

use std::path::PathBuf;

const VALKEY_URL: &str = "DOWNPIPE_STACK_VALKEY_URL";
const VALKEY_ADDRESS: &str = "DOWNPIPE_STACK_VALKEY_ADDRESS";
const AUTHORITY: &str = "DOWNPIPE_STACK_CACHE_CA";
const MEMCACHED_URL: &str = "DOWNPIPE_STACK_MEMCACHED_URL";

/// The caches, which only the tests need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caches {
    /// `valkey://USER@HOST:PORT/CACHE-NAME`: the judge before Valkey, which takes tokens.
    pub valkey_url: String,
    /// `HOST:PORT` of Valkey itself, which takes a password.
    pub valkey_address: String,
    /// Who has issued the certificate of both.
    pub authority: PathBuf,
    /// `memcached://HOST:PORT`
    pub memcached_url: String,
}

impl Caches {
    /// Returns the variables that name them.
    pub(super) fn vars(&self) -> [(&'static str, String); 4] {
        [
            (VALKEY_URL, self.valkey_url.clone()),
            (VALKEY_ADDRESS, self.valkey_address.clone()),
            (AUTHORITY, self.authority.to_string_lossy().into_owned()),
            (MEMCACHED_URL, self.memcached_url.clone()),
        ]
    }

    /// Reads them from their variables. `None` when one is missing.
    pub(super) fn take(variable: &mut dyn FnMut(&str) -> Option<String>) -> Option<Self> {
        let [valkey_url, valkey_address, authority, memcached_url] =
            [VALKEY_URL, VALKEY_ADDRESS, AUTHORITY, MEMCACHED_URL].map(variable);
        let authority = authority?.into();
        Some(Self {
            valkey_url: valkey_url?,
            valkey_address: valkey_address?,
            authority,
            memcached_url: memcached_url?,
        })
    }

    /// Returns `HOST:PORT` of each.
    pub(super) fn addresses(&self) -> [String; 3] {
        let urls = [&self.valkey_url, &self.memcached_url].map(|url| host(url).to_owned());
        let [valkey, memcached] = urls;
        [valkey, self.valkey_address.clone(), memcached]
    }
}

/// Returns `HOST:PORT` of `SCHEME://[USER@]HOST:PORT[/NAME]`.
fn host(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_of_a_cache_is_without_user_and_name() {
        assert_eq!(host("valkey://u@localhost:6379/stack"), "localhost:6379");
        assert_eq!(host("memcached://127.0.0.1:11211"), "127.0.0.1:11211");
    }
}
