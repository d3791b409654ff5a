//! The whole way of a message through the worker, on fakes of everything around it. Time is paused and jumps, so that
//! minutes of waiting take none.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod accidents;
mod bench;
mod deliver;
mod endings;
mod faulty_ledger;
mod leases;
mod logs;
mod notices;
mod parts;
mod retries;
mod runs;
mod sweep;
