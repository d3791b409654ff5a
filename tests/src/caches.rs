//! Caches for one test: a judge of tokens before a real Valkey, and Memcached.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use aws_config::{Region, SdkConfig};
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use downpipe_aws::{CacheAuthorities, CacheLimits, HostPort, ValkeyAddress, ValkeyCache};
use tempfile::TempDir;
use xtask::stack::{CacheJudge, Caches, JudgeOptions, Paths};

use crate::tls::{Certificate, CertificateAuthority};
use crate::{STACK, eventually};

/// The user and the region that judges expect.
pub const USER: &str = "downpipe";
const REGION: &str = "us-east-1";
/// The cache that a test's own judge expects.
pub const CACHE: &str = "popular";

/// Returns the stack's caches.
pub fn caches() -> &'static Caches {
    STACK.caches.as_ref().expect("`cargo xtask stack up` starts the caches, too")
}

/// Returns limits that a busy machine keeps.
pub fn patient() -> CacheLimits {
    CacheLimits {
        connect: Duration::from_secs(20),
        operation: Duration::from_secs(10),
        ..CacheLimits::default()
    }
}

/// Returns AWS settings whose tokens a judge accepts.
pub fn settings() -> SdkConfig {
    settings_in(REGION)
}

/// Returns AWS settings for a region.
pub fn settings_in(region: &'static str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// Returns the authority of the stack's certificates.
pub fn stack_authority() -> CacheAuthorities {
    CacheAuthorities::from_pem(&std::fs::read(&caches().authority).unwrap()).unwrap()
}

/// A judge before a Valkey, with a certificate of its own.
#[derive(Debug)]
pub struct TestJudge {
    judge: CacheJudge,
    authority: String,
    _folder: TempDir,
}

/// What differs from judge to judge.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The name in the certificate.
    pub host: &'a str,
    /// The port of the Valkey behind it.
    pub valkey: u16,
    /// Whether the cache is a serverless one.
    pub serverless: bool,
    /// How long after a login a connection is closed.
    pub lifetime: Duration,
    /// How far the judge's clock is ahead of this machine's.
    pub seconds_ahead: i64,
}

impl Default for Judged<'_> {
    /// The stack's Valkey, as nodes.
    fn default() -> Self {
        let (_, port) = caches().valkey_address.split_once(':').unwrap();
        let lifetime = Duration::from_secs(12 * 3600);
        Self {
            host: "localhost",
            valkey: port.parse().unwrap(),
            serverless: false,
            lifetime,
            seconds_ahead: 0,
        }
    }
}

impl TestJudge {
    /// Starts a judge.
    pub async fn start(judged: Judged<'_>) -> Self {
        let authority = CertificateAuthority::new();
        let folder = tempfile::tempdir().unwrap();
        let Certificate { certificate_pem, key_pem, .. } = authority.certificate(judged.host);
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
        std::fs::write(&certificate, certificate_pem).unwrap();
        std::fs::write(&key, key_pem).unwrap();
        let Judged { valkey, serverless, lifetime, seconds_ahead, .. } = judged;
        let start = move || {
            let (certificate, key) = (&certificate, &key);
            let cache = CACHE;
            let options =
                JudgeOptions { valkey, certificate, key, cache, serverless, lifetime, seconds_ahead };
            CacheJudge::start(&Paths::of_workspace(), &options).unwrap()
        };
        let judge = tokio::task::spawn_blocking(start).await.unwrap();
        Self { judge, authority: authority.pem, _folder: folder }
    }

    /// Returns the address that the judge expects.
    pub fn address(&self) -> ValkeyAddress {
        let server = HostPort { host: "localhost".to_owned(), port: self.judge.port() };
        ValkeyAddress { user: USER.to_owned(), server, cache: CACHE.to_owned(), serverless: false }
    }

    /// Returns the root certificate of its authority, in PEM.
    pub fn authority_pem(&self) -> &str {
        &self.authority
    }

    /// Returns the authority of its certificate.
    pub fn authority(&self) -> CacheAuthorities {
        CacheAuthorities::from_pem(self.authority.as_bytes()).unwrap()
    }

    /// Returns a cache behind the judge.
    pub fn cache(&self, limits: CacheLimits) -> ValkeyCache {
        self.cache_at(self.address(), limits)
    }

    /// Returns a cache with another address.
    pub fn cache_at(&self, address: ValkeyAddress, limits: CacheLimits) -> ValkeyCache {
        ValkeyCache::new(address, self.authority(), &settings(), limits).unwrap()
    }

    /// Returns how often this has happened: `connected`, `accepted`, `closed`.
    pub fn count(&self, event: &str) -> usize {
        self.events().iter().filter(|happened| *happened == event).count()
    }

    /// Returns what happened so far.
    pub fn events(&self) -> Vec<String> {
        self.judge.events().unwrap()
    }

    /// Waits until this has happened.
    pub async fn happened(&self, event: &str) {
        let seen = async || self.events().iter().any(|happened| happened == event).then_some(());
        eventually(&format!("the judge says: {event}"), seen).await;
    }

    /// Stops it in the middle of everything, or lets it continue.
    pub fn freeze(&self, frozen: bool) {
        self.judge.freeze(frozen).unwrap();
    }
}

/// Returns the time 16 minutes ago, when a token was signed that has expired since.
pub fn sixteen_minutes_ago() -> SystemTime {
    SystemTime::now() - Duration::from_secs(16 * 60)
}

/// Returns a clock that is a day ahead.
pub fn tomorrow() -> SystemTime {
    SystemTime::now() + Duration::from_secs(24 * 3600)
}

/// Returns a port on which no server listens.
pub fn unused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A Memcached of one test.
#[derive(Debug)]
pub struct PrivateMemcached {
    child: Child,
    /// The port on 127.0.0.1.
    pub port: u16,
}

impl PrivateMemcached {
    /// Starts a Memcached, and waits until it answers.
    pub async fn start() -> Self {
        let port = unused_port();
        let mut command = Command::new("memcached");
        command.args(["--listen=127.0.0.1", "--udp-port=0", "--user=nobody", &format!("--port={port}")]);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let memcached = Self { child, port };
        eventually("Memcached answers", async || TcpStream::connect(("127.0.0.1", port)).ok()).await;
        memcached
    }

    /// Counts its values.
    pub fn items(&self) -> u64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"stats\r\n").unwrap();
        let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
        let items = lines.find_map(|line| line.strip_prefix("STAT curr_items ").map(str::to_owned));
        items.unwrap().parse().unwrap()
    }
}

impl Drop for PrivateMemcached {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
