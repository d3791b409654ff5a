//! Tests `downpipe check --cache` on real caches.

use downpipe_tests::caches::{caches, unused_port};

use super::{CommandOutput, Shell};

fn check(url: &str, ca: Option<&str>) -> CommandOutput {
    let shell = Shell::new().with("DOWNPIPE_CACHE", url);
    match ca {
        Some(ca) => shell.with("DOWNPIPE_CACHE_CA", ca),
        None => shell,
    }
    .run(&["check", "--cache"])
}

fn stack_ca() -> Option<&'static str> {
    caches().authority.to_str()
}

/// Checks the words of a success: the value that was fetched is the one that was inserted.
fn assert_success(said: &str, kind: &str) {
    let values = said
        .strip_prefix("Success: Inserted ")
        .and_then(|said| said.strip_suffix(&format!(" from {kind}.\n"))?.split_once(". Fetched "));
    let (inserted, fetched) = values.unwrap_or_else(|| panic!("{said}"));
    assert_eq!((inserted, inserted.len()), (fetched, 32));
}

#[test]
fn check_of_a_cache_that_works_prints_the_value() {
    assert_success(&check(&caches().valkey_url, stack_ca()).printed(), "Valkey");
    assert_success(&check(&caches().memcached_url, None).printed(), "Memcached");
}

#[test]
fn check_of_a_cache_as_json_has_the_value() {
    let shell = Shell::new().with("DOWNPIPE_CACHE", &caches().memcached_url);
    let said = shell.run(&["--json", "check", "--cache"]).json();
    assert_eq!(said["cache"], "Memcached");
    assert!(said["inserted"].is_string() && said["inserted"] == said["fetched"], "{said}");
}

#[test]
fn check_of_a_cache_and_a_definition_at_once_is_refused() {
    let said = Shell::new().run(&["check", "orders", "--cache"]).refused(2);
    assert!(said.contains("cannot be used with"), "{said}");
}

#[test]
fn check_of_a_cache_that_cannot_be_used_says_what_is_wrong() {
    let ours = &caches().valkey_url;
    let closed = format!("memcached://127.0.0.1:{}", unused_port());
    let another_cache = ours.replace("/stack", "/another");
    for (url, ca, fault) in [
        ("valkey://downpipe@no-such-host.invalid:6379/stack", None, "has a host name without an address"),
        (&closed, None, "could not be reached"),
        (ours, None, "has a certificate that cannot be verified"),
        (&another_cache, stack_ca(), "refused the user or the token"),
    ] {
        let said = check(url, ca).refused(1);
        assert!(said.starts_with("downpipe: SET of a random value failed (check "), "{said}");
        assert!(said.contains(fault), "{said}");
        assert!(!said.contains("X-Amz"), "{said}");
    }
}

#[test]
fn check_of_a_cache_without_usable_settings_is_wrong_usage() {
    let said = check("none", None).refused(2);
    assert_eq!(said, "downpipe: DOWNPIPE_CACHE: expected the address of a cache, got none\n");
    let said = check(&caches().valkey_url, Some("nowhere.pem")).refused(2);
    assert!(said.contains("DOWNPIPE_CACHE_CA: the file nowhere.pem cannot be read"), "{said}");
    let said = check("redis://cache:6379", None).refused(2);
    assert!(said.contains("DOWNPIPE_CACHE: expected none, valkey://"), "{said}");
}
