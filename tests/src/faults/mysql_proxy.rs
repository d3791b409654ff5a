//! A proxy in front of MySQL: passes bytes on unchanged, and breaks connections where a test asks
//! for it.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::http_proxy::Moment;

/// A greeting that ends after the server's version, in an otherwise valid packet: protocol 10,
/// version 8.
const SHORT_GREETING: [u8; 7] = [3, 0, 0, 0, 10, b'8', 0];

/// The way in which a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Closes the connection on both sides.
    Close,
    /// Resets the client's side.
    Reset,
    /// Passes nothing more on, and leaves both sides open.
    Silence,
    /// Sends the client an incomplete greeting. Only before the server's own.
    ShortGreeting,
}

/// The end of a connection as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Close,
    Reset,
}

/// The state of the network between client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Network {
    #[default]
    Up,
    /// Every connection is cut, new ones included.
    Down,
    /// Every connection is silent; new ones are accepted.
    Silent,
}

/// A fault, and the place in a connection's answers where it happens.
#[derive(Debug, Clone, Copy)]
struct Fault {
    connection: usize,
    after: u64,
    effect: Effect,
}

#[derive(Debug, Clone, Copy)]
enum Effect {
    /// Breaks this connection.
    Break(Break),
    /// Changes the network of all connections.
    Network(Network),
}

type Watcher = Arc<dyn Fn(usize, u64) + Send + Sync>;
type StatementWatcher = Arc<dyn Fn(u32, Moment) + Send + Sync>;

/// The proxy. Dropping it closes all its connections.
#[derive(Debug)]
pub struct MySqlProxy {
    address: SocketAddr,
    /// `host:port`
    upstream: String,
    state: Arc<State>,
    accepting: AbortHandle,
}

struct State {
    network: watch::Sender<Network>,
    record: Mutex<Record>,
    watcher: Mutex<Option<Watcher>>,
    statement_watcher: Mutex<Option<StatementWatcher>>,
}

#[derive(Default)]
struct Record {
    faults: Vec<Fault>,
    /// The number of bytes answered on each connection, in the order of opening.
    answered: Vec<u64>,
    statements: u32,
    injected: u32,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("network", &*self.network.borrow()).finish_non_exhaustive()
    }
}

impl MySqlProxy {
    /// Starts a proxy in front of the server of this URL (`mysql://user:password@host:port/…`).
    pub async fn start(url: &str) -> Self {
        let upstream = host_and_port(url).to_owned();
        let (network, _) = watch::channel(Network::Up);
        let state = Arc::new(State {
            network,
            record: Mutex::default(),
            watcher: Mutex::default(),
            statement_watcher: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(listener, upstream.clone(), Arc::clone(&state))).abort_handle();
        Self { address, upstream, state, accepting }
    }

    /// Returns a URL that goes through this proxy.
    pub fn url(&self, url: &str) -> String {
        url.replacen(&self.upstream, &self.address.to_string(), 1)
    }

    /// Breaks a connection, numbered from 1, when so many bytes of answers have been passed on.
    /// With 0 the connection is accepted, and broken before the server's greeting.
    pub fn break_off(&self, connection: usize, after: u64, how: Break) {
        self.state.record().faults.push(Fault { connection, after, effect: Effect::Break(how) });
    }

    /// Takes the server down: cuts every connection, and every new one at once.
    pub fn go_down(&self) {
        self.state.set_network(Network::Down);
    }

    /// Takes the server down when a connection has been answered so many bytes.
    pub fn go_down_after(&self, connection: usize, after: u64) {
        self.state.record().faults.push(Fault { connection, after, effect: Effect::Network(Network::Down) });
    }

    /// Silences the network: connections stay open, and no byte passes in either direction.
    pub fn fall_silent(&self) {
        self.state.set_network(Network::Silent);
    }

    /// Silences the network when a connection has been answered so many bytes.
    pub fn fall_silent_after(&self, connection: usize, after: u64) {
        self.state.record().faults.push(Fault {
            connection,
            after,
            effect: Effect::Network(Network::Silent),
        });
    }

    /// Restores the network. Silent connections continue where they stopped.
    pub fn recover(&self) {
        self.state.network.send_replace(Network::Up);
    }

    /// Calls this after bytes of an answer were passed on, with the connection's number and its
    /// total. The connection continues when the call has returned. A new connection reports 0.
    pub fn watch(&self, watcher: impl Fn(usize, u64) + Send + Sync + 'static) {
        *lock(&self.state.watcher) = Some(Arc::new(watcher));
    }

    /// Calls this at every statement, which is all that a client sends at once, with its number
    /// from 1. The calls come before the statement is passed on, and before its answer is. The
    /// statement continues when the call has returned.
    pub fn watch_statements(&self, watcher: impl Fn(u32, Moment) + Send + Sync + 'static) {
        *lock(&self.state.statement_watcher) = Some(Arc::new(watcher));
    }

    /// Returns the number of statements.
    pub fn statements(&self) -> u32 {
        self.state.record().statements
    }

    /// Returns the number of faults: connections broken by [`break_off`](Self::break_off), and
    /// changes of the network.
    pub fn injected(&self) -> u32 {
        self.state.record().injected
    }

    /// Returns the number of bytes answered on each connection, in the order of opening.
    pub fn answered(&self) -> Vec<u64> {
        self.state.record().answered.clone()
    }
}

impl Drop for MySqlProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    fn record(&self) -> MutexGuard<'_, Record> {
        lock(&self.record)
    }

    /// Records that a connection was answered so many more bytes.
    fn answered(&self, connection: usize, bytes: u64) {
        let total = {
            let mut record = self.record();
            record.answered[connection - 1] += bytes;
            record.answered[connection - 1]
        };
        let watcher = lock(&self.watcher).clone();
        if let Some(watcher) = watcher {
            watcher(connection, total);
        }
    }

    /// Numbers a statement that has arrived.
    fn register_statement(&self) -> u32 {
        let number = {
            let mut record = self.record();
            record.statements += 1;
            record.statements
        };
        self.notify_statement_watcher(number, Moment::Received);
        number
    }

    fn notify_statement_watcher(&self, statement: u32, moment: Moment) {
        let watcher = lock(&self.statement_watcher).clone();
        if let Some(watcher) = watcher {
            watcher(statement, moment);
        }
    }

    fn set_network(&self, network: Network) {
        self.record().injected += 1;
        self.network.send_replace(network);
    }

    /// Returns how many more bytes a connection may be answered before its next fault.
    fn bytes_until_fault(&self, connection: usize) -> Option<u64> {
        let record = self.record();
        let fault = record.faults.iter().find(|fault| fault.connection == connection)?;
        Some(fault.after.saturating_sub(record.answered[connection - 1]))
    }

    /// Removes and returns the fault that is due on a connection.
    fn take_due_fault(&self, connection: usize) -> Option<Effect> {
        let mut record = self.record();
        let at = record.faults.iter().position(|fault| fault.connection == connection)?;
        Some(record.faults.remove(at).effect)
    }
}

async fn accept(listener: TcpListener, upstream: String, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let number = {
                    let mut record = state.record();
                    record.answered.push(0);
                    record.answered.len()
                };
                drop(connections.spawn(serve(client, upstream.clone(), number, Arc::clone(&state))));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection to its end.
async fn serve(mut client: TcpStream, upstream: String, number: usize, state: Arc<State>) {
    state.answered(number, 0);
    if pump(&mut client, &upstream, number, &state).await == End::Reset {
        client.set_zero_linger().unwrap();
    }
}

/// Passes bytes on in both directions until a fault is due, or one side closes the connection.
async fn pump(client: &mut TcpStream, upstream: &str, number: usize, state: &State) -> End {
    let mut network = state.network.subscribe();
    let mut server = None;
    let mut unanswered = None;
    let (mut request, mut answer) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        let now = *network.borrow_and_update();
        match now {
            Network::Up => {}
            Network::Down => return End::Reset,
            Network::Silent => {
                network.changed().await.unwrap();
                continue;
            }
        }
        let left = state.bytes_until_fault(number);
        if left == Some(0) {
            match state.take_due_fault(number) {
                Some(Effect::Network(network)) => {
                    state.set_network(network);
                    continue;
                }
                Some(Effect::Break(how)) => {
                    state.record().injected += 1;
                    match how {
                        Break::Close => return End::Close,
                        Break::Reset => return End::Reset,
                        // The connection to the server stays open.
                        Break::Silence => pending().await,
                        Break::ShortGreeting => {
                            drop(client.write_all(&SHORT_GREETING).await);
                            return End::Close;
                        }
                    }
                }
                None => {}
            }
        }
        let max = left.map_or(answer.len(), |bytes| answer.len().min(usize::try_from(bytes).unwrap()));
        let server = match &mut server {
            Some(server) => server,
            none => none.insert(TcpStream::connect(upstream).await.unwrap()),
        };
        // Bytes that were read are always written. Otherwise a silenced connection would lose some.
        tokio::select! {
            read = client.read(&mut request) => match read {
                Ok(bytes @ 1..) => {
                    unanswered = Some(state.register_statement());
                    if server.write_all(&request[..bytes]).await.is_err() {
                        return End::Close;
                    }
                }
                _ => return End::Close,
            },
            read = server.read(&mut answer[..max]) => match read {
                Ok(bytes @ 1..) => {
                    if let Some(statement) = unanswered.take() {
                        state.notify_statement_watcher(statement, Moment::Executed);
                    }
                    if client.write_all(&answer[..bytes]).await.is_err() {
                        return End::Close;
                    }
                    state.answered(number, bytes as u64);
                }
                _ => return End::Close,
            },
            changed = network.changed() => changed.unwrap(),
        }
    }
}

/// Returns the `host:port` of a URL.
fn host_and_port(url: &str) -> &str {
    let (_, rest) = url.rsplit_once('@').expect("a URL with a user");
    rest.split(['/', '?']).next().unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
