//! Memcached: the nodes of a cluster, and what can be wrong with them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use downpipe_aws::{CacheLimits, HostPort, MemcachedCache};
use downpipe_core::cache::{Cache as _, CacheFault};
use downpipe_core::error_chain::error_chain;
use downpipe_tests::caches::{PrivateMemcached, patient, unused_port};

const A_WHILE: Duration = Duration::from_secs(60);

fn cache_on(port: u16, limits: CacheLimits) -> MemcachedCache {
    MemcachedCache::new(HostPort { host: "127.0.0.1".to_owned(), port }, limits)
}

/// Answers every question as a configuration endpoint of ElastiCache does, and returns its port.
fn configuration_endpoint(nodes: &[&PrivateMemcached]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let nodes: Vec<_> = nodes.iter().map(|node| format!("localhost|127.0.0.1|{}", node.port)).collect();
    let config = format!("12\n{}\n", nodes.join(" "));
    let answer = format!("CONFIG cluster 0 {}\r\n{config}\r\nEND\r\n", config.len());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut question = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut question).unwrap();
            assert_eq!(question, "config get cluster\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    port
}

#[tokio::test]
async fn keys_are_spread_over_the_nodes_that_the_endpoint_names() {
    let (one, other) = (PrivateMemcached::start().await, PrivateMemcached::start().await);
    let cache = cache_on(configuration_endpoint(&[&one, &other]), patient());
    for number in 0..40 {
        let value = Bytes::from(number.to_string());
        cache.set(&format!("key-{number}"), value, A_WHILE).await.unwrap();
    }
    assert!(one.items() >= 8 && other.items() >= 8, "{} and {}", one.items(), other.items());
    assert_eq!(one.items() + other.items(), 40);
    // Another worker finds them, whatever the order of the nodes.
    let another = cache_on(configuration_endpoint(&[&other, &one]), patient());
    for number in 0..40 {
        let value = another.get(&format!("key-{number}")).await.unwrap();
        assert_eq!(value, Some(Bytes::from(number.to_string())));
    }
}

#[tokio::test]
async fn node_that_is_gone_is_a_fault_of_the_connection_until_the_endpoint_names_others() {
    let node = PrivateMemcached::start().await;
    let cache = cache_on(node.port, patient());
    cache.set("key", Bytes::from_static(b"value"), A_WHILE).await.unwrap();
    drop(node);
    let error = cache.get("key").await.unwrap_err();
    assert_eq!(error.fault, CacheFault::Connection, "{}", error_chain(&error));
    let error = cache.get("key").await.unwrap_err();
    assert_eq!(error.fault, CacheFault::Connection, "{}", error_chain(&error));
}

#[tokio::test]
async fn memcached_that_cannot_be_used_is_told_apart() {
    let name = HostPort { host: "no-such-host.invalid".to_owned(), port: 11211 };
    let error = MemcachedCache::new(name, patient()).get("key").await.unwrap_err();
    assert_eq!(error.fault, CacheFault::Name, "{}", error_chain(&error));
    let error = cache_on(unused_port(), patient()).get("key").await.unwrap_err();
    assert_eq!(error.fault, CacheFault::Connection, "{}", error_chain(&error));
    let black_hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = CacheLimits { connect: Duration::from_millis(100), ..patient() };
    let error = cache_on(black_hole.local_addr().unwrap().port(), limits).get("key").await.unwrap_err();
    assert_eq!(error.fault, CacheFault::Timeout, "{}", error_chain(&error));
}

#[tokio::test]
async fn value_that_is_too_long_for_memcached_is_refused() {
    let node = PrivateMemcached::start().await;
    let cache = cache_on(node.port, patient());
    let error = cache.set("key", vec![7; 2 << 20].into(), A_WHILE).await.unwrap_err();
    assert_eq!(error.fault, CacheFault::Refused, "{}", error_chain(&error));
    assert_eq!(cache.get("key").await.unwrap(), None);
}
