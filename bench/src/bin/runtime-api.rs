//! `runtime-api EVENTS PROGRAM [ARGUMENT]…`: imitates Lambda's Runtime API on 127.0.0.1, for one
//! execution environment.
//!
//! Starts the program as Lambda starts a `bootstrap`, hands it the events of a file (a JSON list)
//! one after the other, and ends it when it asks for one more. The measurements go to standard
//! output as JSON, the program's output to standard error.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::VecDeque;
use std::env;
use std::fs;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::oneshot;

/// The longest timeout of a Lambda function.
const TIMEOUT: Duration = Duration::from_secs(900);

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:downpipe";

/// The program and its progress through the events.
struct Environment {
    pid: Pid,
    started: Instant,
    /// The time of the program's first request for an event.
    ready: Option<Moment>,
    events: VecDeque<Value>,
    /// The time when the current event was handed out.
    handed_out: Option<Moment>,
    invocations: Vec<Value>,
    /// Signals that no event is left.
    over: Option<oneshot::Sender<()>>,
}

/// The program's running time and its CPU time, and the time of day.
#[derive(Clone, Copy)]
struct Moment {
    wall: Duration,
    cpu: Duration,
    since_1970: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = env::args_os().skip(1);
    let (events, program) =
        args.next().zip(args.next()).context("usage: runtime-api EVENTS PROGRAM [ARGUMENT]…")?;
    let events = fs::read(&events).with_context(|| format!("cannot read {events:?}"))?;
    let events = serde_json::from_slice(&events).context("the events are no JSON list")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut command = Command::new(&program);
    command.args(args).env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string());
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start {program:?}"))?;
    let (over, is_over) = oneshot::channel();
    let environment = Environment {
        pid: Pid::from_raw(i32::try_from(child.id().context("the program ended at once")?)?),
        started,
        ready: None,
        events,
        handed_out: None,
        invocations: Vec::new(),
        over: Some(over),
    };
    let environment = Arc::new(Mutex::new(environment));
    let served = tokio::select! {
        served = serve(&listener, &environment) => served,
        _ = is_over => Ok(()),
        status = child.wait() => Err(anyhow!("the program ended by itself, with {}", status?)),
        () = tokio::time::sleep(TIMEOUT) => Err(anyhow!("the events took longer than Lambda allows")),
    };
    let report = served.and_then(|()| lock(&environment).report());
    // A process that has already ended must also be waited for.
    child.kill().await?;
    println!("{}", report?);
    Ok(())
}

/// Serves requests for as long as it is polled.
async fn serve(listener: &TcpListener, environment: &Arc<Mutex<Environment>>) -> Result<()> {
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let environment = Arc::clone(environment);
        let answer = service_fn(move |request: Request<Incoming>| {
            let environment = Arc::clone(&environment);
            async move {
                let path = request.uri().path().to_owned();
                // Taken before the body is read, which is not the program's work.
                let moment = lock(&environment).moment();
                let body = request.into_body().collect().await?.to_bytes();
                let answer = lock(&environment).answer(&path, moment?, &body)?;
                match answer {
                    Some(answer) => anyhow::Ok(answer),
                    // Lambda freezes an idle environment, so the request stays open.
                    None => std::future::pending().await,
                }
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), answer));
    }
}

impl Environment {
    fn answer(&mut self, path: &str, moment: Moment, body: &Bytes) -> Result<Option<Response<Full<Bytes>>>> {
        match path.trim_start_matches("/2018-06-01/runtime/").split('/').collect::<Vec<_>>()[..] {
            ["invocation", "next"] => self.next(moment),
            ["invocation", _, outcome @ ("response" | "error")] => {
                self.done(moment, outcome, body)?;
                Ok(Some(Response::builder().status(StatusCode::ACCEPTED).body(Full::default())?))
            }
            _ => bail!("{path}: {}", String::from_utf8_lossy(body)),
        }
    }

    fn next(&mut self, moment: Moment) -> Result<Option<Response<Full<Bytes>>>> {
        self.ready.get_or_insert(moment);
        let Some(event) = self.events.pop_front() else {
            self.over.take().map(|over| over.send(()));
            return Ok(None);
        };
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH)? + TIMEOUT;
        let answer = Response::builder()
            .header("lambda-runtime-aws-request-id", format!("invocation-{}", self.invocations.len()))
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header("lambda-runtime-invoked-function-arn", FUNCTION)
            .header("content-type", "application/json")
            .body(Full::from(event.to_string()))?;
        self.handed_out = Some(self.moment()?);
        Ok(Some(answer))
    }

    fn done(&mut self, moment: Moment, outcome: &str, body: &Bytes) -> Result<()> {
        let handed_out = self.handed_out.take().context("an answer to an event that was not handed out")?;
        self.invocations.push(json!({
            "outcome": outcome,
            "answer": String::from_utf8_lossy(body),
            "handed_out_unix_ms": milliseconds(handed_out.since_1970),
            "wall_ms": milliseconds(moment.wall - handed_out.wall),
            "cpu_ms": milliseconds(moment.cpu - handed_out.cpu),
        }));
        Ok(())
    }

    /// Returns the current times. A process's clock counts all its threads, ended ones included.
    fn moment(&self) -> Result<Moment> {
        let clock: ClockId = clock_getcpuclockid(self.pid).context("the program has ended")?;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Moment { wall: self.started.elapsed(), cpu: Duration::from(clock.now()?), since_1970 })
    }

    fn report(&self) -> Result<Value> {
        let ready = self.ready.context("the program never asked for an event")?;
        Ok(json!({
            "start_wall_ms": milliseconds(ready.wall),
            "start_cpu_ms": milliseconds(ready.cpu),
            "invocations": self.invocations,
            "peak_kib": self.peak_kib()?,
        }))
    }

    fn peak_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak.context("no peak in /proc/PID/status")?.parse().context("the peak is no number")
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Locks the environment. No code panics while it holds the lock.
fn lock(environment: &Mutex<Environment>) -> MutexGuard<'_, Environment> {
    environment.lock().unwrap_or_else(PoisonError::into_inner)
}
