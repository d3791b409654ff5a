//! A proxy before AWS: between a client of ours and LocalStack or MiniStack, it passes everything on as it is, counts it by
//! operation, and does to a request what it was told to.
//!
//! Requests and answers are held in memory whole. Parts are small enough for that, and a byte can be changed in one.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, EXPECT, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use super::protocol::{Protocol, operation};

type Answer = Response<Full<Bytes>>;

/// What is done to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// It is answered with this status and code, and not passed on. An error within a 200 is `(200, "InternalError")`; without
    /// a code the answer is empty.
    Answer(u16, &'static str),
    /// The connection is reset, and it is not passed on.
    Reset,
    /// It is passed on, and the connection reset instead of an answer.
    LoseAnswer,
    /// Nothing of its body is read for so long; then it is passed on.
    HoldRequest(Duration),
    /// It is passed on, and its answer held back for so long.
    HoldAnswer(Duration),
    /// A bit in the middle of its body is changed on the way.
    Corrupt,
    /// Its sender hears nothing more of it. It arrives when a request of this operation has come, before that is answered.
    ArriveAfter(&'static str),
}

/// Which requests something is done to, and what.
#[derive(Debug, Clone)]
pub struct Rule {
    operation: Option<&'static str>,
    part: Option<u32>,
    skip: u32,
    times: u32,
    act: Act,
}

impl Rule {
    /// Something done to the next request, whatever it is.
    #[must_use]
    pub fn any(act: Act) -> Self {
        Self { operation: None, part: None, skip: 0, times: 1, act }
    }

    /// Something done to the next request of an operation, by AWS's name for it (`UploadPart`, `Publish`).
    #[must_use]
    pub fn on(operation: &'static str, act: Act) -> Self {
        Self { operation: Some(operation), ..Self::any(act) }
    }

    /// Only with the part of this number.
    #[must_use]
    pub fn part(self, number: u32) -> Self {
        Self { part: Some(number), ..self }
    }

    /// Not with the next one, but with the `k`-th from now, from 1.
    #[must_use]
    pub fn from_the(self, k: u32) -> Self {
        Self { skip: k - 1, ..self }
    }

    /// With so many, one after the other.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// With every one.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    fn is_for(&self, request: &Passing) -> bool {
        self.operation.is_none_or(|operation| operation == request.operation)
            && self.part.is_none_or(|part| Some(part) == request.part)
    }
}

/// A request that comes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    /// The how many-th of all requests it is, from 1.
    pub number: u32,
    /// AWS's name for what it asks.
    pub operation: String,
    /// The part, if it brings one.
    pub part: Option<u32>,
}

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It is here, and nothing has been done about it.
    Came,
    /// It has been carried out, and its sender does not know yet.
    CarriedOut,
}

type Watcher = Arc<dyn Fn(&Passing, Moment) + Send + Sync>;

/// The proxy. Gone with this, with all its connections.
#[derive(Debug)]
pub struct HttpProxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

struct State {
    /// `host:port`
    upstream: String,
    told: Mutex<Told>,
    watcher: Mutex<Option<Watcher>>,
}

#[derive(Default)]
struct Told {
    rules: Vec<Rule>,
    passed: Vec<Passing>,
    injected: u32,
    held: Vec<(&'static str, Request<Bytes>)>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

impl HttpProxy {
    /// A proxy before this endpoint (`http://host:port`).
    pub async fn before(endpoint: &str) -> Self {
        let upstream = endpoint.strip_prefix("http://").expect("an endpoint on this machine").to_owned();
        let state = Arc::new(State { upstream, told: Mutex::default(), watcher: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state))).abort_handle();
        Self { address, state, accepting }
    }

    /// The endpoint that a client is to be given.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does something to requests from now on. What was told first goes first; a request has one thing done to it.
    pub fn tell(&self, rule: Rule) {
        self.state.told().rules.push(rule);
    }

    /// Does nothing more to anything.
    pub fn relent(&self) {
        self.state.told().rules.clear();
    }

    /// Calls this at every step of every request, and lets it go on when the call has returned: whoever wants to kill a process
    /// exactly there can.
    pub fn watch(&self, watcher: impl Fn(&Passing, Moment) + Send + Sync + 'static) {
        *lock(&self.state.watcher) = Some(Arc::new(watcher));
    }

    /// How often something was done to a request.
    pub fn injected(&self) -> u32 {
        self.state.told().injected
    }

    /// What has come by, in order.
    pub fn passed(&self) -> Vec<Passing> {
        self.state.told().passed.clone()
    }

    /// How many requests of an operation have come by.
    pub fn count(&self, operation: &str) -> usize {
        self.state.told().passed.iter().filter(|passing| passing.operation == operation).count()
    }
}

impl Drop for HttpProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    fn told(&self) -> MutexGuard<'_, Told> {
        lock(&self.told)
    }

    fn watched(&self, passing: &Passing, moment: Moment) {
        let watcher = lock(&self.watcher).clone();
        if let Some(watcher) = watcher {
            watcher(passing, moment);
        }
    }
}

impl Told {
    /// Numbers a request, and says what is to be done to it.
    fn take(&mut self, operation: String, part: Option<u32>) -> (Passing, Option<Act>) {
        let number = u32::try_from(self.passed.len()).unwrap() + 1;
        let passing = Passing { number, operation, part };
        self.passed.push(passing.clone());
        let mut act = None;
        for rule in self.rules.iter_mut().filter(|rule| rule.is_for(&passing)) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if act.is_none() && rule.times > 0 {
                rule.times -= 1;
                act = Some(rule.act.clone());
            }
        }
        self.injected += u32::from(act.is_some());
        (passing, act)
    }

    fn released(&mut self, operation: &str) -> Vec<Request<Bytes>> {
        let held = std::mem::take(&mut self.held);
        let (released, held) = held.into_iter().partition::<Vec<_>, _>(|(after, _)| *after == operation);
        self.held = held;
        released.into_iter().map(|(_, request)| request).collect()
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => drop(connections.spawn(serve(stream, Arc::clone(&state)))),
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection, until its end or until it is to be reset.
async fn serve(stream: TcpStream, state: Arc<State>) {
    let to_reset = Notify::new();
    let service = service_fn(|request| pass(request, &state, &to_reset));
    let mut connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = &mut connection => {}
        () = to_reset.notified() => connection.into_parts().io.into_inner().set_zero_linger().unwrap(),
    }
}

/// Answers one request.
async fn pass(request: Request<Incoming>, state: &State, to_reset: &Notify) -> Result<Answer, hyper::Error> {
    let (head, mut body) = request.into_parts();
    let is_form =
        head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    let form = if is_form { (&mut body).collect().await?.to_bytes() } else { Bytes::new() };
    let protocol = Protocol::of(&head, is_form);
    let (operation, part) = operation(&head, &form);
    let (passing, act) = state.told().take(operation, part);
    state.watched(&passing, Moment::Came);
    let reset = async || {
        to_reset.notify_one();
        std::future::pending::<Answer>().await
    };
    if let Some(Act::HoldRequest(time)) = act {
        tokio::time::sleep(time).await;
    }
    let body = if is_form { form } else { body.collect().await?.to_bytes() };
    let request = Request::from_parts(head, body);
    let released = state.told().released(&passing.operation);
    for late in released {
        state.forward(late).await;
    }
    let answer = match act {
        Some(Act::Answer(status, code)) => return Ok(protocol.refusal(status, code)),
        Some(Act::Reset) => return Ok(reset().await),
        Some(Act::ArriveAfter(operation)) => {
            state.told().held.push((operation, request));
            return Ok(std::future::pending().await);
        }
        Some(Act::Corrupt) => state.forward(request.map(corrupted)).await,
        _ => state.forward(request).await,
    };
    state.watched(&passing, Moment::CarriedOut);
    match act {
        Some(Act::LoseAnswer) => Ok(reset().await),
        Some(Act::HoldAnswer(time)) => {
            tokio::time::sleep(time).await;
            Ok(answer)
        }
        _ => Ok(answer),
    }
}

impl State {
    /// Passes a request on, with its `Host` header and all else as it came.
    async fn forward(&self, mut request: Request<Bytes>) -> Answer {
        // Those two are between the sender and us. (We have read the body already.)
        request.headers_mut().remove(EXPECT);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let stream = TcpStream::connect(&self.upstream).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let (mut head, body) = sender.send_request(request.map(Full::new)).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        connection.abort();
        head.headers.remove(CONNECTION);
        Response::from_parts(head, Full::new(body))
    }
}

fn corrupted(body: Bytes) -> Bytes {
    let mut body = Vec::from(body);
    if let Some(middle) = body.len().checked_sub(1).map(|last| last / 2) {
        body[middle] ^= 1;
    }
    body.into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
