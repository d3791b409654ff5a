//! Faults, injected into an export on real parts, and the means to inject them.
//!
//! Between the parts stand proxies, an [HTTP one](http_proxy) before AWS and [one before MySQL](mysql_proxy), that break what they
//! are told to. A fault is a function that sets a [scene](scene::Scene) as often as it is asked to, breaks something, lets the
//! export be attempted as the worker would, and looks at what is left. What can happen to [whole workers](workers) happens to real
//! processes. All of them are in [`FAULTS`]: a few times each in the
//! tests, many times in `cargo xtask faults`.

pub mod http_proxy;
pub mod lab;
pub mod mysql;
pub mod mysql_proxy;
mod protocol;
pub mod s3;
pub mod scene;
pub mod workers;

use futures_util::future::LocalBoxFuture;
use xtask::faults::Outcome;

use self::lab::{Lab, Plan};
use self::workers::{broken, delivery, killed, memory, runs, secrets};

/// A fault that can be injected.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// What it is called on the command line: `s3-reset`.
    pub name: &'static str,
    /// How often it is injected when nobody says how often.
    pub times: u32,
    /// How often in the tests.
    pub few: u32,
    /// Injects it.
    pub inject: for<'a> fn(&'a Lab, &'a Plan) -> LocalBoxFuture<'a, Outcome>,
}

macro_rules! fault {
    ($name:literal, $times:literal, $few:literal, $inject:path) => {
        Fault { name: $name, times: $times, few: $few, inject: |lab, plan| Box::pin($inject(lab, plan)) }
    };
}

/// All of them. What takes longest comes first, as some are injected at the same time.
pub const FAULTS: &[Fault] = &[
    fault!("s3-blackhole", 6, 2, s3::blackhole),
    fault!("worker-continuation", 2, 2, runs::continuation),
    fault!("worker-killed-at-request", 90, 6, killed::at_requests),
    fault!("worker-killed-at-statement", 90, 6, killed::at_statements),
    fault!("worker-killed-at-time", 40, 4, killed::at_times),
    fault!("worker-zombie", 16, 4, runs::zombie),
    fault!("worker-deadline", 2, 1, runs::deadline),
    fault!("worker-duplicates-at-once", 6, 2, delivery::at_once),
    fault!("worker-duplicates-late", 4, 2, delivery::late),
    fault!("worker-sns-throttled", 4, 2, delivery::throttled),
    fault!("worker-told-and-killed", 4, 1, killed::after_publish),
    fault!("worker-mysql-cut", 16, 4, broken::mysql_cut),
    fault!("worker-mysql-restart", 6, 2, broken::mysql_restart),
    fault!("worker-s3-500", 20, 4, broken::s3_500),
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
