//! The cache that a fault breaks: the stack's or one of its own, behind a proxy.

use std::path::PathBuf;
use std::process::Command;

use downpipe_aws::{AnyCache, CacheAddress};
use tempfile::NamedTempFile;
use xtask::stack::{Paths, PrivateValkey};

use super::proxy::CacheProxy;
use crate::caches::{Judged, TestJudge, caches, patient, settings, stack_authority};

/// A cache behind a proxy.
pub(super) struct Server {
    /// The address without the proxy.
    address: CacheAddress,
    /// The address for workers, through the proxy.
    url: String,
    /// The file of the authorities that workers trust.
    authority: PathBuf,
    pub(super) proxy: CacheProxy,
    judge: Option<(TestJudge, NamedTempFile)>,
    /// The Valkey, if it is this fault's own.
    valkey: Option<PrivateValkey>,
}

impl Server {
    /// Returns the stack's Valkey, with the stack's judge of tokens before it.
    pub(super) async fn valkey() -> Self {
        Self::at(&caches().valkey_url).await
    }

    /// Returns the stack's Memcached.
    pub(super) async fn memcached() -> Self {
        Self::at(&caches().memcached_url).await
    }

    /// Starts a Valkey with these options, and a judge before it.
    pub(super) async fn own_valkey(options: &'static [&'static str]) -> Self {
        let start = || PrivateValkey::start(&Paths::of_workspace(), options).unwrap();
        let valkey = tokio::task::spawn_blocking(start).await.unwrap();
        let judged = Judged { valkey: valkey.port(), ..Judged::default() };
        Self { valkey: Some(valkey), ..Self::judged(judged).await }
    }

    /// Starts a judge before the stack's Valkey, whose clock is so many seconds ahead of the worker's, or behind.
    pub(super) async fn valkey_with_clock(seconds_ahead: i64) -> Self {
        Self::judged(Judged { seconds_ahead, ..Judged::default() }).await
    }

    async fn judged(judged: Judged<'_>) -> Self {
        let judge = TestJudge::start(judged).await;
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), judge.authority_pem()).unwrap();
        let authority = file.path().to_owned();
        let url = judge_url(&judge);
        Self { authority, judge: Some((judge, file)), ..Self::at(&url).await }
    }

    async fn at(url: &str) -> Self {
        let address: CacheAddress = url.parse().unwrap();
        let server = match &address {
            CacheAddress::Valkey(valkey) => &valkey.server,
            CacheAddress::Memcached(server) => server,
            CacheAddress::None => panic!("{url} is no cache"),
        };
        let proxy = CacheProxy::start(server.to_string()).await;
        let proxied = format!("{}:{}", server.host, proxy.port());
        let url = url.replacen(&server.to_string(), &proxied, 1);
        let authority = caches().authority.clone();
        Self { url, address, authority, proxy, judge: None, valkey: None }
    }

    /// Lets workers use another address.
    pub(super) fn change_url(&mut self, change: impl FnOnce(&str) -> String) {
        self.url = change(&self.url);
    }

    /// Lets workers use a port on which no server listens.
    pub(super) fn vacate_port(&mut self) {
        let (port, unused) = (format!(":{}", self.proxy.port()), crate::caches::unused_port());
        self.change_url(|url| url.replacen(&port, &format!(":{unused}"), 1));
    }

    /// Names the cache in a worker's environment.
    pub(super) fn configure(&self, command: &mut Command) {
        command.env("DOWNPIPE_CACHE", &self.url).env("DOWNPIPE_CACHE_CA", &self.authority);
    }

    /// Returns the cache as it is behind the proxy, for which a busy machine has time.
    pub(super) fn cache(&self) -> AnyCache {
        let authorities = self.judge.as_ref().map_or_else(stack_authority, |(judge, _)| judge.authority());
        AnyCache::at(&self.address, &authorities, &settings(), patient()).unwrap()
    }

    /// Runs a command with every right at the fault's own Valkey.
    pub(super) fn administer(&self, arguments: &[&str]) -> String {
        self.valkey.as_ref().unwrap().administer(arguments).unwrap()
    }
}

fn judge_url(judge: &TestJudge) -> String {
    let address = judge.address();
    format!("valkey://{}@{}/{}", address.user, address.server, address.cache)
}
