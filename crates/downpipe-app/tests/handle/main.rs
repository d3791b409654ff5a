//! The whole way of a message through the worker, on ports in memory. Time is paused and jumps, so that minutes of waiting take none.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod accidents;
mod cache;
mod clicks;
mod deliver;
mod endings;
mod estimates;
mod faulty_table;
mod leases;
mod logs;
mod notices;
mod parts;
mod poll;
mod renew;
mod retries;
mod runs;
mod shared;
mod sweep;
mod test_worker;
