//! Injects faults into exports between real parts.
//!
//! Two proxies stand between the parts: an [HTTP proxy](http_proxy) in front of AWS and [one in
//! front of MySQL](mysql_proxy). A fault is a function that sets up a [scene](scene::Scene), breaks
//! something, makes attempts as the worker would, and inspects what is left. Faults of [whole
//! workers](workers) happen to real processes, and so do those of [their cache](caches). [`FAULTS`] lists all of them: the tests inject each
//! a few times, `cargo xtask faults` many times.

pub mod caches;
pub mod fault_run;
pub mod http_proxy;
pub mod mysql;
pub mod mysql_proxy;
mod protocol;
pub mod s3;
pub mod scene;
pub mod workers;

use futures_util::future::LocalBoxFuture;
use xtask::demo::LedgerChoice;
use xtask::faults::Outcome;

use self::caches::{content, login, memcached, network};
use self::fault_run::{FaultRun, Plan};
use self::workers::{broken, delivery, dynamodb, kill_loop, killed, memory, runs, secrets};

/// A fault that can be injected.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// The name on the command line: `s3-reset`.
    pub name: &'static str,
    /// The default number of injections.
    pub times: u32,
    /// The number of injections in the tests. 0 for a fault that needs the whole machine, because
    /// it would slow down the faults beside it.
    pub times_in_tests: u32,
    inject: for<'a> fn(&'a FaultRun, &'a Plan) -> LocalBoxFuture<'a, Outcome>,
}

/// Faults of workers for which a ledger in DynamoDB changes nothing, or without which there is none.
const OF_THE_DATABASE: [&str; 2] = ["worker-secret-rotated", "worker-wrong-authority"];

impl Fault {
    /// Injects the fault. The outcome of a ledger in DynamoDB has a name of its own.
    pub async fn inject(&self, fault_run: &FaultRun, plan: &Plan) -> Outcome {
        let outcome = (self.inject)(fault_run, plan).await;
        match fault_run.ledger() {
            LedgerChoice::Mysql => outcome,
            LedgerChoice::Dynamodb => {
                Outcome { fault: format!("{}, ledger in DynamoDB", outcome.fault), ..outcome }
            }
        }
    }

    /// Returns whether the fault is injected with the ledger there. Some faults need no ledger, and some are always those of a ledger
    /// in DynamoDB.
    #[must_use]
    pub fn concerns(&self, ledger: LedgerChoice) -> bool {
        let of_workers = self.name.starts_with("worker-") && !self.name.starts_with("worker-dynamodb-");
        ledger == LedgerChoice::Mysql || (of_workers && !OF_THE_DATABASE.contains(&self.name))
    }
}

macro_rules! fault {
    ($name:literal, $times:literal, $times_in_tests:literal, $inject:path) => {
        Fault {
            name: $name,
            times: $times,
            times_in_tests: $times_in_tests,
            inject: |fault_run, plan| Box::pin($inject(fault_run, plan)),
        }
    };
}

/// All faults. The longest come first, because some run at the same time.
pub const FAULTS: &[Fault] = &[
    fault!("s3-blackhole", 6, 2, s3::blackhole),
    fault!("worker-kill-loop", 40, 0, kill_loop::steady),
    fault!("worker-fast-kill-loop", 40, 0, kill_loop::fast),
    fault!("worker-continuation", 2, 2, runs::continuation),
    fault!("worker-killed-at-request", 90, 6, killed::at_requests),
    fault!("worker-killed-at-statement", 90, 6, killed::at_statements),
    fault!("worker-killed-at-time", 40, 4, killed::at_times),
    fault!("worker-zombie", 16, 4, runs::zombie),
    fault!("worker-deadline", 2, 1, runs::deadline),
    fault!("worker-duplicates-at-once", 6, 2, delivery::concurrent),
    fault!("worker-duplicates-late", 4, 2, delivery::late),
    fault!("worker-sns-throttled", 4, 2, delivery::throttled),
    fault!("worker-notified-and-killed", 4, 1, killed::after_publish),
    fault!("worker-mysql-cut", 16, 4, broken::mysql_cut),
    fault!("worker-mysql-restart", 6, 2, broken::mysql_restart),
    fault!("worker-s3-500", 20, 4, broken::s3_500),
    fault!("worker-dynamodb-lost", 30, 6, dynamodb::lost_answer),
    fault!("worker-dynamodb-throttled", 20, 4, dynamodb::throttled),
    fault!("worker-dynamodb-killed", 40, 6, dynamodb::killed),
    fault!("cache-down-at-start", 4, 1, network::down_at_start),
    fault!("cache-down-midway", 4, 1, network::down_midway),
    fault!("cache-slow", 4, 1, network::slow),
    fault!("cache-black-hole", 4, 1, network::black_hole),
    fault!("cache-full", 2, 1, content::full),
    fault!("cache-evicted", 2, 1, content::evicted),
    fault!("cache-wrong-type", 2, 1, content::wrong_type),
    fault!("cache-stale-object", 4, 2, content::stale_object),
    fault!("cache-forged-entry", 6, 3, content::forged_entry),
    fault!("cache-clock", 4, 2, content::clock),
    fault!("cache-bad-token", 6, 1, login::bad_token),
    fault!("cache-clock-of-login", 4, 2, login::clock),
    fault!("cache-memcached-down", 4, 1, memcached::down),
    fault!("cache-memcached-black-hole", 4, 1, memcached::black_hole),
    fault!("cache-memcached-wrong-value", 4, 2, memcached::wrong_value),
    fault!("worker-panic", 6, 3, broken::panicked),
    fault!("worker-secret-rotated", 4, 1, secrets::rotated),
    fault!("worker-wrong-authority", 2, 1, secrets::wrong_authority),
    fault!("worker-out-of-memory", 4, 2, memory::exhausted),
    fault!("s3-stall", 8, 2, s3::stall),
    fault!("s3-500", 16, 5, s3::error_500),
    fault!("s3-503", 16, 5, s3::slow_down),
    fault!("s3-reset", 16, 5, s3::reset),
    fault!("s3-corrupted-part", 16, 5, s3::corrupted_part),
    fault!("s3-lost-part", 16, 5, s3::lost_part_answer),
    fault!("s3-lost-beginning", 6, 2, s3::lost_beginning),
    fault!("s3-stopped-beginning", 6, 2, s3::stopped_beginning),
    fault!("s3-lost-completion", 6, 2, s3::lost_completion),
    fault!("s3-200-error", 6, 2, s3::error_in_200),
    fault!("s3-no-such-upload", 6, 2, s3::no_such_upload),
    fault!("s3-409", 6, 2, s3::conflict_409),
    fault!("s3-412", 6, 2, s3::precondition_412),
    fault!("s3-taken-key", 4, 2, s3::taken_key),
    fault!("s3-part-10001", 4, 1, s3::part_10001),
    fault!("s3-late-part", 8, 2, s3::late_part),
    fault!("s3-every-request", 48, 12, s3::every_request),
    fault!("s3-rename-every-request", 60, 10, s3::every_request_of_renaming),
    fault!("s3-broken-off", 32, 8, s3::broken_off),
    fault!("s3-rename-broken-off", 40, 10, s3::renaming_broken_off),
    fault!("s3-late-completion", 6, 2, s3::late_completion),
    fault!("mysql-cut", 100, 8, mysql::cut),
    fault!("mysql-kill-connection", 20, 2, mysql::kill_connection),
    fault!("mysql-kill-query", 20, 2, mysql::kill_query),
    fault!("mysql-restart", 20, 2, mysql::restart),
    fault!("mysql-blackhole", 6, 1, mysql::blackhole),
    fault!("mysql-unreachable", 4, 1, mysql::unreachable),
];
