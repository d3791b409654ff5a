//! `measure FILE PROGRAM [ARGUMENT]…`: runs a program to its end, and writes its resource usage
//! into a file, as JSON.
//!
//! The system reports peak memory only for all children of a process together, so each program gets
//! its own `measure` process. It is small: a child inherits less from it than any program needs.

use std::env;
use std::fs;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde_json::json;

fn main() -> Result<ExitCode> {
    let mut args = env::args_os().skip(1);
    let (file, program) = args.next().zip(args.next()).context("usage: measure FILE PROGRAM [ARGUMENT]…")?;
    let started = Instant::now();
    let status =
        Command::new(&program).args(args).status().with_context(|| format!("cannot run {program:?}"))?;
    let wall = started.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let json = json!({
        "wall_seconds": wall,
        "user_seconds": seconds(usage.user_time()),
        "system_seconds": seconds(usage.system_time()),
        "peak_kib": usage.max_rss(),
    });
    fs::write(&file, json.to_string()).with_context(|| format!("cannot write {file:?}"))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)))
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}
