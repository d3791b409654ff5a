//! The kinds of clicks that are measured.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The definition that is asked for.
pub(super) const EXPORT: &str = "orders";

/// Where the ledger is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Ledger {
    MySql,
    DynamoDb,
}

/// Which cache there is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Cache {
    None,
    Valkey,
    Memcached,
}

/// Whether the requester has asked for the same before.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Click {
    First,
    Second,
}

/// A kind of clicks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Kind {
    pub(super) ledger: Ledger,
    pub(super) cache: Cache,
    pub(super) click: Click,
}

impl Kind {
    /// Returns all kinds. A second click follows its first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let ledgers = [Ledger::MySql, Ledger::DynamoDb].into_iter();
        ledgers.flat_map(|ledger| {
            [Cache::None, Cache::Valkey, Cache::Memcached].into_iter().flat_map(move |cache| {
                [Click::First, Click::Second].map(|click| Self { ledger, cache, click })
            })
        })
    }

    /// Returns what the cache must answer. `None` without a cache.
    pub(super) fn answer(self) -> Option<&'static str> {
        match (self.cache, self.click) {
            (Cache::None, _) => None,
            (_, Click::First) => Some("miss"),
            (_, Click::Second) => Some("hit"),
        }
    }

    /// Returns the ledger for people.
    pub(super) fn ledger_name(self) -> &'static str {
        match self.ledger {
            Ledger::MySql => "MySQL",
            Ledger::DynamoDb => "DynamoDB",
        }
    }

    /// Returns the click for people.
    pub(super) fn click_name(self) -> &'static str {
        match (self.cache, self.click) {
            (Cache::None, Click::First) => "off",
            (Cache::None, Click::Second) => "off, second click",
            (Cache::Valkey, Click::First) => "miss, Valkey",
            (Cache::Valkey, Click::Second) => "hit, Valkey",
            (Cache::Memcached, Click::First) => "miss, Memcached",
            (Cache::Memcached, Click::Second) => "hit, Memcached",
        }
    }

    /// Returns so many events as Lambda's poller brings them, each of another requester. Those of a second click have asked before.
    pub(super) fn events(self, count: usize) -> Vec<Value> {
        let Self { ledger, cache, click } = self;
        let event = |number| {
            let body = json!({
                "export": EXPORT,
                "requested_by": format!("{ledger:?}-{cache:?}-{number}@example.com"),
                "request_id": format!("{click:?}"),
            });
            json!({ "Records": [{
                "messageId": format!("bench-{ledger:?}-{cache:?}-{click:?}-{number}"),
                "receiptHandle": "bench",
                "body": body.to_string(),
                "attributes": { "ApproximateReceiveCount": "1" },
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:bench",
                "awsRegion": "us-east-1",
            }] })
        };
        (0..count).map(event).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Returns the requesters and the idempotency keys of a kind's events.
    fn bodies(kind: Kind) -> BTreeSet<(String, String)> {
        let body = |event: Value| {
            let body: Value = serde_json::from_str(event["Records"][0]["body"].as_str().unwrap()).unwrap();
            let text = |field: &str| body[field].as_str().unwrap().to_owned();
            (text("requested_by"), text("request_id"))
        };
        kind.events(3).into_iter().map(body).collect()
    }

    #[test]
    fn second_click_is_another_request_of_the_same_person() {
        let kind = |click| Kind { ledger: Ledger::MySql, cache: Cache::Valkey, click };
        let [first, second] = [Click::First, Click::Second].map(|click| bodies(kind(click)));
        let people = |bodies: &BTreeSet<(String, String)>| -> Vec<String> {
            bodies.iter().map(|(who, _)| who.clone()).collect()
        };
        assert_eq!(people(&first), people(&second));
        assert_eq!((first.len(), first.intersection(&second).count()), (3, 0));
    }

    #[test]
    fn clicks_with_another_ledger_or_cache_are_of_other_people() {
        let all: BTreeSet<(String, String)> = Kind::all().flat_map(bodies).collect();
        assert_eq!(all.len(), 12 * 3);
    }
}
