//! A proxy in front of AWS: passes requests from a client to LocalStack or MiniStack, counts them
//! by operation, and applies rules to them.
//!
//! The proxy holds requests and answers in memory as a whole. Parts are small enough for that, and
//! a byte of one can be changed.

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
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::protocol::{Protocol, operation};

type Answer = Response<Full<Bytes>>;

/// The effect of a rule on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Answers with this status and code, without passing the request on. An error within a 200 is
    /// `(200, "InternalError")`; without a code the answer is empty.
    Answer(u16, &'static str),
    /// Resets the connection, without passing the request on.
    Reset,
    /// Passes the request on, and resets the connection instead of answering.
    LoseAnswer,
    /// Reads nothing of the request's body for so long, and then passes it on.
    HoldRequest(Duration),
    /// Passes the request on, and holds its answer back for so long.
    HoldAnswer(Duration),
    /// Flips a bit in the middle of the request's body.
    Corrupt,
    /// Never answers the request. Passes it on when a request of this operation has come, before
    /// that one is passed on.
    ArriveAfter(&'static str),
}

/// An action, and the requests that it applies to.
#[derive(Debug, Clone)]
pub struct Rule {
    operation: Option<&'static str>,
    part: Option<u32>,
    skip: u32,
    times: u32,
    action: Action,
}

impl Rule {
    /// Applies an action to the next request of any operation.
    #[must_use]
    pub fn any(action: Action) -> Self {
        Self { operation: None, part: None, skip: 0, times: 1, action }
    }

    /// Applies an action to the next request of an operation, by AWS's name (`UploadPart`,
    /// `Publish`).
    #[must_use]
    pub fn on(operation: &'static str, action: Action) -> Self {
        Self { operation: Some(operation), ..Self::any(action) }
    }

    /// Restricts the rule to the part of this number.
    #[must_use]
    pub fn part(self, number: u32) -> Self {
        Self { part: Some(number), ..self }
    }

    /// Starts with the `k`-th matching request from now, from 1.
    #[must_use]
    pub fn starting_at(self, k: u32) -> Self {
        Self { skip: k - 1, ..self }
    }

    /// Applies the rule to so many requests in a row.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Applies the rule to every matching request.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    fn matches(&self, request: &ProxiedRequest) -> bool {
        self.operation.is_none_or(|operation| operation == request.operation)
            && self.part.is_none_or(|part| Some(part) == request.part)
    }
}

/// A request that the proxy received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxiedRequest {
    /// The request's number among all requests, from 1.
    pub number: u32,
    /// AWS's name of the operation.
    pub operation: String,
    /// The part number, if the request has one.
    pub part: Option<u32>,
}

/// A step of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The proxy has received the request, and has not passed it on.
    Received,
    /// The server has executed the request, and the client has no answer yet.
    Executed,
}

type Watcher = Arc<dyn Fn(&ProxiedRequest, Moment) + Send + Sync>;

/// The proxy. Dropping it closes all its connections.
#[derive(Debug)]
pub struct HttpProxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

struct State {
    /// `host:port`
    upstream: String,
    record: Mutex<Record>,
    watcher: Mutex<Option<Watcher>>,
    /// Changes when every connection is to be reset. Each connection holds a receiver.
    cut: watch::Sender<()>,
}

#[derive(Default)]
struct Record {
    rules: Vec<Rule>,
    requests: Vec<ProxiedRequest>,
    injected: u32,
    held: Vec<(&'static str, Request<Bytes>)>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

impl HttpProxy {
    /// Starts a proxy in front of this endpoint (`http://host:port`).
    pub async fn start(endpoint: &str) -> Self {
        let upstream = endpoint.strip_prefix("http://").expect("an endpoint on this machine").to_owned();
        let (cut, _) = watch::channel(());
        let state = Arc::new(State { upstream, record: Mutex::default(), watcher: Mutex::default(), cut });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state))).abort_handle();
        Self { address, state, accepting }
    }

    /// Returns the endpoint for clients.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a rule for later requests. Rules apply in the order in which they were added; one
    /// action applies to a request.
    pub fn add_rule(&self, rule: Rule) {
        self.state.record().rules.push(rule);
    }

    /// Removes all rules.
    pub fn clear_rules(&self) {
        self.state.record().rules.clear();
    }

    /// Resets every connection, and returns how many there were. A request under way is executed or not.
    pub fn cut_connections(&self) -> u32 {
        let open = self.state.cut.receiver_count();
        self.state.cut.send_replace(());
        u32::try_from(open).unwrap()
    }

    /// Calls this at every step of every request, and continues the request when the call has
    /// returned. A test can thus kill a process at an exact step.
    pub fn watch(&self, watcher: impl Fn(&ProxiedRequest, Moment) + Send + Sync + 'static) {
        *lock(&self.state.watcher) = Some(Arc::new(watcher));
    }

    /// Returns how many requests an action was applied to.
    pub fn injected(&self) -> u32 {
        self.state.record().injected
    }

    /// Returns the requests received so far, in order.
    pub fn requests(&self) -> Vec<ProxiedRequest> {
        self.state.record().requests.clone()
    }

    /// Counts the requests of an operation.
    pub fn count(&self, operation: &str) -> usize {
        self.state.record().requests.iter().filter(|proxied| proxied.operation == operation).count()
    }
}

impl Drop for HttpProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    fn record(&self) -> MutexGuard<'_, Record> {
        lock(&self.record)
    }

    fn notify_watcher(&self, proxied: &ProxiedRequest, moment: Moment) {
        let watcher = lock(&self.watcher).clone();
        if let Some(watcher) = watcher {
            watcher(proxied, moment);
        }
    }
}

impl Record {
    /// Numbers a request, and returns the action that applies to it.
    fn register(&mut self, operation: String, part: Option<u32>) -> (ProxiedRequest, Option<Action>) {
        let number = u32::try_from(self.requests.len()).unwrap() + 1;
        let proxied = ProxiedRequest { number, operation, part };
        self.requests.push(proxied.clone());
        let mut action = None;
        for rule in self.rules.iter_mut().filter(|rule| rule.matches(&proxied)) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if action.is_none() && rule.times > 0 {
                rule.times -= 1;
                action = Some(rule.action.clone());
            }
        }
        self.injected += u32::from(action.is_some());
        (proxied, action)
    }

    fn release_held(&mut self, operation: &str) -> Vec<Request<Bytes>> {
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

/// Serves one connection until its end, or until an action resets it.
async fn serve(stream: TcpStream, state: Arc<State>) {
    let (to_reset, mut cut) = (Notify::new(), state.cut.subscribe());
    let service = service_fn(|request| pass(request, &state, &to_reset));
    let mut connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = &mut connection => return,
        () = to_reset.notified() => {}
        _ = cut.changed() => {}
    }
    connection.into_parts().io.into_inner().set_zero_linger().unwrap();
}

/// Answers one request.
async fn pass(request: Request<Incoming>, state: &State, to_reset: &Notify) -> Result<Answer, hyper::Error> {
    let (head, mut body) = request.into_parts();
    let is_form =
        head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    let form = if is_form { (&mut body).collect().await?.to_bytes() } else { Bytes::new() };
    let protocol = Protocol::of(&head, is_form);
    let (operation, part) = operation(&head, &form);
    let (proxied, action) = state.record().register(operation, part);
    state.notify_watcher(&proxied, Moment::Received);
    let reset = async || {
        to_reset.notify_one();
        std::future::pending::<Answer>().await
    };
    if let Some(Action::HoldRequest(time)) = action {
        tokio::time::sleep(time).await;
    }
    let body = if is_form { form } else { body.collect().await?.to_bytes() };
    let request = Request::from_parts(head, body);
    let released = state.record().release_held(&proxied.operation);
    for late in released {
        state.forward(late).await;
    }
    let answer = match action {
        Some(Action::Answer(status, code)) => return Ok(protocol.refusal(status, code)),
        Some(Action::Reset) => return Ok(reset().await),
        Some(Action::ArriveAfter(operation)) => {
            state.record().held.push((operation, request));
            return Ok(std::future::pending().await);
        }
        Some(Action::Corrupt) => state.forward(request.map(corrupted)).await,
        _ => state.forward(request).await,
    };
    state.notify_watcher(&proxied, Moment::Executed);
    match action {
        Some(Action::LoseAnswer) => Ok(reset().await),
        Some(Action::HoldAnswer(time)) => {
            tokio::time::sleep(time).await;
            Ok(answer)
        }
        _ => Ok(answer),
    }
}

impl State {
    /// Passes a request on unchanged, its `Host` header included.
    async fn forward(&self, mut request: Request<Bytes>) -> Answer {
        // These two headers concern the client and the proxy, which has already read the body.
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
