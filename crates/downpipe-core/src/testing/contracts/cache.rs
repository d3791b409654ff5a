//! The rules of every cache.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::cache::{Cache, CacheError};
use crate::error_chain::error_chain;

const A_WHILE: Duration = Duration::from_secs(60);
/// The shortest time that a value may be kept.
const SHORTEST: Duration = Duration::from_secs(1);
/// How late an expired value may go. Memcached's clock ticks once a second.
const EXPIRY_TIMEOUT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// Tries the rules of every cache. `key` makes a key of a rule's name, which no other test uses.
///
/// # Panics
/// When a rule is broken.
pub async fn cache_contract<C: Cache>(cache: &C, key: impl Fn(&str) -> String) {
    missing_key_has_no_value(cache, &key("missing")).await;
    value_that_was_set_is_returned(cache, &key("set")).await;
    later_value_replaces_the_earlier(cache, &key("overwrite")).await;
    keys_do_not_share_values(cache, &key("one"), &key("other")).await;
    values_of_any_bytes_are_returned(cache, &key).await;
    deleted_value_is_gone(cache, &key("delete")).await;
    expired_value_is_gone(cache, &key("expiry")).await;
    later_ttl_replaces_the_earlier(cache, &key("ttl")).await;
    keys_of_any_form_are_taken(cache, &key).await;
}

async fn missing_key_has_no_value(cache: &impl Cache, key: &str) {
    assert_eq!(get(cache, key).await, None, "a key that was never set has no value");
    worked(cache.delete(key).await, "deleting a key without a value is success");
}

async fn value_that_was_set_is_returned(cache: &impl Cache, key: &str) {
    set(cache, key, b"value", A_WHILE).await;
    assert_eq!(get(cache, key).await.as_deref(), Some(&b"value"[..]), "the value that was set is returned");
    assert_eq!(get(cache, key).await.as_deref(), Some(&b"value"[..]), "reading does not take the value away");
}

async fn later_value_replaces_the_earlier(cache: &impl Cache, key: &str) {
    set(cache, key, b"the earlier, longer value", A_WHILE).await;
    set(cache, key, b"the later", A_WHILE).await;
    let rule = "the later value stands in place of the earlier";
    assert_eq!(get(cache, key).await.as_deref(), Some(&b"the later"[..]), "{rule}");
}

async fn keys_do_not_share_values(cache: &impl Cache, one: &str, other: &str) {
    set(cache, one, b"one", A_WHILE).await;
    set(cache, other, b"other", A_WHILE).await;
    worked(cache.delete(other).await, "a value is deleted");
    let rule = "what happens to one key does not reach another";
    assert_eq!(get(cache, one).await.as_deref(), Some(&b"one"[..]), "{rule}");
}

async fn values_of_any_bytes_are_returned(cache: &impl Cache, key: &impl Fn(&str) -> String) {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let values: [(&str, &[u8]); 5] = [
        ("every byte", &every_byte),
        ("line ends", b"\r\nEND\r\n$-1\r\n\0"),
        ("empty", b""),
        ("text", "注文".as_bytes()),
        ("long", &every_byte.repeat(400)),
    ];
    for (name, value) in values {
        let key = key(&name.replace(' ', "-"));
        set(cache, &key, value, A_WHILE).await;
        let rule = format!("a value comes back byte for byte: {name}");
        assert!(get(cache, &key).await.is_some_and(|got| got == value), "{rule}");
    }
}

async fn deleted_value_is_gone(cache: &impl Cache, key: &str) {
    set(cache, key, b"value", A_WHILE).await;
    worked(cache.delete(key).await, "a value is deleted");
    assert_eq!(get(cache, key).await, None, "a deleted value is gone");
}

async fn expired_value_is_gone(cache: &impl Cache, key: &str) {
    set(cache, key, b"value", SHORTEST).await;
    let set_at = Instant::now();
    while get(cache, key).await.is_some() {
        assert!(set_at.elapsed() < EXPIRY_TIMEOUT, "a value is gone after its time");
        sleep(POLL).await;
    }
}

async fn later_ttl_replaces_the_earlier(cache: &impl Cache, key: &str) {
    set(cache, key, b"value", A_WHILE).await;
    set(cache, key, b"value", SHORTEST).await;
    let set_at = Instant::now();
    while get(cache, key).await.is_some() {
        assert!(set_at.elapsed() < EXPIRY_TIMEOUT, "the time of the later value counts");
        sleep(POLL).await;
    }
}

async fn keys_of_any_form_are_taken(cache: &impl Cache, key: &impl Fn(&str) -> String) {
    for form in [" a space", "line\r\nend", "注文", "{tag}", &"long".repeat(200)] {
        let key = key(form);
        set(cache, &key, form.as_bytes(), A_WHILE).await;
        let rule = format!("a key of any form has a value: {form:?}");
        assert!(get(cache, &key).await.is_some_and(|got| got == form.as_bytes()), "{rule}");
        worked(cache.delete(&key).await, &rule);
        assert_eq!(get(cache, &key).await, None, "{rule}");
    }
}

async fn get(cache: &impl Cache, key: &str) -> Option<Bytes> {
    worked(cache.get(key).await, "a value is asked for")
}

async fn set(cache: &impl Cache, key: &str, value: &[u8], ttl: Duration) {
    worked(cache.set(key, Bytes::copy_from_slice(value), ttl).await, "a value is set");
}

fn worked<T>(result: Result<T, CacheError>, rule: &str) -> T {
    result.unwrap_or_else(|error| panic!("expected to work: {rule}, got {}", error_chain(&error)))
}
