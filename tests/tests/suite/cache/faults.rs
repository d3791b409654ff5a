//! Every fault of a Valkey is told apart, and only a verified server gets a token.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use downpipe_aws::{CacheAuthorities, CacheLimits, HostPort, ValkeyAddress, ValkeyCache};
use downpipe_core::cache::{Cache as _, CacheError, CacheFault};
use downpipe_core::error_chain::error_chain;
use downpipe_tests::caches::{
    Judged, TestJudge, patient, settings, settings_in, sixteen_minutes_ago, stack_authority, tomorrow,
    unused_port,
};
use downpipe_tests::tls::CertificateAuthority;
use xtask::stack::{Paths, PrivateValkey};

const A_WHILE: Duration = Duration::from_secs(60);

fn at(host: &str, port: u16) -> ValkeyAddress {
    let server = HostPort { host: host.to_owned(), port };
    ValkeyAddress { user: "downpipe".to_owned(), server, cache: "popular".to_owned(), serverless: false }
}

async fn fault_of(cache: &ValkeyCache) -> CacheError {
    cache.get("key").await.unwrap_err()
}

fn cache_at(address: ValkeyAddress, limits: CacheLimits) -> ValkeyCache {
    ValkeyCache::new(address, stack_authority(), &settings(), limits).unwrap()
}

async fn private_valkey(options: &'static [&'static str]) -> PrivateValkey {
    let start = || PrivateValkey::start(&Paths::of_workspace(), options).unwrap();
    tokio::task::spawn_blocking(start).await.unwrap()
}

#[tokio::test]
async fn host_without_an_address_is_a_fault_of_the_name() {
    let error = fault_of(&cache_at(at("no-such-host.invalid", 6379), patient())).await;
    assert_eq!(error.fault, CacheFault::Name, "{}", error_chain(&error));
}

#[tokio::test]
async fn port_without_a_server_is_a_fault_of_the_connection() {
    let error = fault_of(&cache_at(at("127.0.0.1", unused_port()), patient())).await;
    assert_eq!(error.fault, CacheFault::Connection, "{}", error_chain(&error));
}

#[tokio::test]
async fn server_that_never_answers_is_a_timeout() {
    let black_hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = CacheLimits { connect: Duration::from_millis(100), ..patient() };
    let error = fault_of(&cache_at(at("127.0.0.1", black_hole.local_addr().unwrap().port()), limits)).await;
    assert_eq!(error.fault, CacheFault::Timeout, "{}", error_chain(&error));
}

#[tokio::test]
async fn certificate_of_another_authority_gets_no_token() {
    let judge = TestJudge::start(Judged::default()).await;
    let others = CacheAuthorities::from_pem(CertificateAuthority::new().pem.as_bytes()).unwrap();
    let cache = ValkeyCache::new(judge.address(), others, &settings(), patient()).unwrap();
    let error = fault_of(&cache).await;
    assert_eq!(error.fault, CacheFault::Tls);
    assert!(error_chain(&error).contains("got one of another issuer"), "{}", error_chain(&error));
    assert_eq!(judge.events(), Vec::<String>::new());
}

#[tokio::test]
async fn certificate_for_another_host_gets_no_token() {
    let judge = TestJudge::start(Judged { host: "cache.example", ..Judged::default() }).await;
    let error = fault_of(&judge.cache(patient())).await;
    assert_eq!(error.fault, CacheFault::Tls);
    assert!(error_chain(&error).contains("got one for other names"), "{}", error_chain(&error));
    assert_eq!(judge.events(), Vec::<String>::new());
}

#[tokio::test]
async fn server_without_tls_gets_no_token() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(b"-ERR Protocol error: expected a command in clear text\r\n").unwrap();
        let mut sent = Vec::new();
        client.read_to_end(&mut sent).unwrap();
        sent
    });
    let error = fault_of(&cache_at(at("127.0.0.1", port), patient())).await;
    assert_eq!(error.fault, CacheFault::Tls, "{}", error_chain(&error));
    assert!(!String::from_utf8_lossy(&server.join().unwrap()).contains("X-Amz"));
}

#[tokio::test]
async fn token_that_is_not_for_this_login_is_refused() {
    let judge = TestJudge::start(Judged::default()).await;
    let with_clock = |clock| judge.cache(CacheLimits { clock, ..patient() });
    let with = |address| judge.cache_at(address, patient());
    let in_another_region =
        ValkeyCache::new(judge.address(), judge.authority(), &settings_in("eu-central-1"), patient());
    let cases = [
        ("old", with_clock(sixteen_minutes_ago)),
        ("of the future", with_clock(tomorrow)),
        ("another user", with(ValkeyAddress { user: "another".to_owned(), ..judge.address() })),
        ("another cache", with(ValkeyAddress { cache: "another".to_owned(), ..judge.address() })),
        ("another region", in_another_region.unwrap()),
        ("another signature", with(ValkeyAddress { serverless: true, ..judge.address() })),
    ];
    for (reason, cache) in cases {
        let error = fault_of(&cache).await;
        assert_eq!(error.fault, CacheFault::Login, "{reason}: {}", error_chain(&error));
        assert!(!error_chain(&error).contains("X-Amz"), "an error has a token in it");
        judge.happened(&format!("refused: {reason}")).await;
    }
    assert_eq!(judge.count("accepted"), 0);
}

#[tokio::test]
async fn command_outside_the_users_list_is_a_fault_of_permission() {
    let valkey = private_valkey(&[]).await;
    let judge = TestJudge::start(Judged { valkey: valkey.port(), ..Judged::default() }).await;
    let cache = judge.cache(patient());
    valkey.administer(&["ACL", "SETUSER", "downpipe", "-del"]).unwrap();
    let error = cache.delete("key").await.unwrap_err();
    assert_eq!(error.fault, CacheFault::Permission, "{}", error_chain(&error));
    assert_eq!(cache.get("key").await.unwrap(), None);
    assert_eq!(judge.count("connected"), 1);
}

#[tokio::test]
async fn key_outside_the_users_prefix_is_a_fault_of_permission() {
    let valkey = private_valkey(&[]).await;
    let judge = TestJudge::start(Judged { valkey: valkey.port(), ..Judged::default() }).await;
    valkey.administer(&["ACL", "SETUSER", "downpipe", "resetkeys", "~another:*"]).unwrap();
    let error = fault_of(&judge.cache(patient())).await;
    assert_eq!(error.fault, CacheFault::Permission, "{}", error_chain(&error));
}

#[tokio::test]
async fn value_of_another_type_is_refused() {
    let valkey = private_valkey(&[]).await;
    let judge = TestJudge::start(Judged { valkey: valkey.port(), ..Judged::default() }).await;
    valkey.administer(&["LPUSH", "downpipe:key", "value"]).unwrap();
    let cache = judge.cache(patient());
    let error = fault_of(&cache).await;
    assert_eq!(error.fault, CacheFault::Refused);
    assert!(error_chain(&error).contains("WRONGTYPE"), "{}", error_chain(&error));
    cache.set("key", Bytes::from_static(b"value"), A_WHILE).await.unwrap();
    assert_eq!(cache.get("key").await.unwrap().as_deref(), Some(&b"value"[..]));
}

#[tokio::test]
async fn value_for_a_full_cache_is_refused() {
    let valkey = private_valkey(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]).await;
    let judge = TestJudge::start(Judged { valkey: valkey.port(), ..Judged::default() }).await;
    let cache = judge.cache(patient());
    let error = cache.set("key", Bytes::from_static(b"value"), A_WHILE).await.unwrap_err();
    assert_eq!(error.fault, CacheFault::Refused);
    assert!(error_chain(&error).contains("OOM"), "{}", error_chain(&error));
    assert_eq!(cache.get("key").await.unwrap(), None);
}
