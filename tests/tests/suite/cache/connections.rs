//! One connection serves all operations. It is replaced when it is old, closed or silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use downpipe_aws::CacheLimits;
use downpipe_core::cache::{Cache as _, CacheFault};
use downpipe_tests::caches::{Judged, TestJudge, patient};
use downpipe_tests::{eventually, unique};
use xtask::stack::{Paths, PrivateValkey};

const A_WHILE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn operations_at_the_same_time_share_one_connection() {
    let judge = TestJudge::start(Judged::default()).await;
    let (cache, test) = (Arc::new(judge.cache(patient())), unique("shared"));
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let (cache, key) = (Arc::clone(&cache), format!("{test}:{number}"));
            tokio::spawn(async move {
                let value = Bytes::from(number.to_string());
                cache.set(&key, value.clone(), A_WHILE).await.unwrap();
                assert_eq!(cache.get(&key).await.unwrap(), Some(value));
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((judge.count("connected"), judge.count("accepted")), (1, 1));
}

/// ElastiCache closes a connection twelve hours after its login. Here that is shorter.
#[tokio::test]
async fn connection_is_replaced_with_a_new_token_before_the_server_closes_it() {
    static SIGNED: AtomicUsize = AtomicUsize::new(0);
    let clock = || {
        SIGNED.fetch_add(1, Ordering::Relaxed);
        SystemTime::now()
    };
    let lifetime = Duration::from_secs(5);
    let judge = TestJudge::start(Judged { lifetime, ..Judged::default() }).await;
    let max_age = Duration::from_millis(200);
    let cache = judge.cache(CacheLimits { max_age, clock, ..patient() });
    let replaced_thrice = async || {
        assert_eq!(cache.get("key").await.unwrap(), None);
        (judge.count("accepted") > 3).then_some(())
    };
    eventually("three connections are replaced", replaced_thrice).await;
    assert_eq!(judge.count("closed"), 0);
    assert_eq!(SIGNED.load(Ordering::Relaxed), judge.count("accepted"));
}

#[tokio::test]
async fn operation_after_the_server_closed_the_connection_works() {
    let lifetime = Duration::from_millis(200);
    let judge = TestJudge::start(Judged { lifetime, ..Judged::default() }).await;
    let cache = judge.cache(patient());
    for closed in 1..4 {
        assert_eq!(cache.get("key").await.unwrap(), None);
        let is_closed = async || (judge.count("closed") >= closed).then_some(());
        eventually("the judge closes the connection", is_closed).await;
    }
    assert_eq!(cache.get("key").await.unwrap(), None);
    assert_eq!(judge.count("accepted"), 4);
}

#[tokio::test]
async fn operation_after_a_restart_of_the_server_works() {
    let start = || PrivateValkey::start(&Paths::of_workspace(), &[]).unwrap();
    let mut valkey = tokio::task::spawn_blocking(start).await.unwrap();
    let judge = TestJudge::start(Judged { valkey: valkey.port(), ..Judged::default() }).await;
    let cache = judge.cache(patient());
    cache.set("key", Bytes::from_static(b"value"), A_WHILE).await.unwrap();
    valkey.stop();
    let error = cache.get("key").await.unwrap_err();
    assert_eq!(error.fault, CacheFault::Connection);
    valkey.start_again().unwrap();
    assert_eq!(cache.get("key").await.unwrap(), None);
    cache.set("key", Bytes::from_static(b"value"), A_WHILE).await.unwrap();
    assert_eq!(cache.get("key").await.unwrap().as_deref(), Some(&b"value"[..]));
}

/// On this test's only thread nothing sees the end of the connection before the operation begins.
#[tokio::test]
async fn operation_that_begins_on_a_closed_connection_is_repeated_on_another() {
    let start = || PrivateValkey::start(&Paths::of_workspace(), &[]).unwrap();
    let mut valkey = tokio::task::spawn_blocking(start).await.unwrap();
    let judge = TestJudge::start(Judged { valkey: valkey.port(), ..Judged::default() }).await;
    let cache = judge.cache(patient());
    cache.set("key", Bytes::from_static(b"value"), A_WHILE).await.unwrap();
    valkey.stop();
    valkey.start_again().unwrap();
    assert_eq!(cache.get("key").await.unwrap(), None);
    assert_eq!(judge.count("accepted"), 2);
}

#[tokio::test]
async fn connection_that_does_not_answer_in_time_is_replaced() {
    let judge = TestJudge::start(Judged::default()).await;
    let cache = judge.cache(CacheLimits { operation: Duration::from_secs(1), ..patient() });
    assert_eq!(cache.get("key").await.unwrap(), None);
    judge.freeze(true);
    assert_eq!(cache.get("key").await.unwrap_err().fault, CacheFault::Timeout);
    judge.freeze(false);
    assert_eq!(cache.get("key").await.unwrap(), None);
    assert_eq!(judge.count("accepted"), 2);
}

/// The core gives an operation up after 50 ms, with whatever future it has.
#[tokio::test]
async fn connection_of_an_operation_that_was_given_up_is_replaced() {
    let judge = TestJudge::start(Judged::default()).await;
    let cache = judge.cache(patient());
    assert_eq!(cache.get("key").await.unwrap(), None);
    judge.freeze(true);
    let given_up = tokio::time::timeout(Duration::from_millis(50), cache.get("key")).await;
    assert!(given_up.is_err());
    judge.freeze(false);
    assert_eq!(cache.get("key").await.unwrap(), None);
    assert_eq!(judge.count("accepted"), 2);
}
