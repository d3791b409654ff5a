//! A proxy before MySQL: it passes bytes on as they are, and breaks connections where and how it was told to.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::http_proxy::Moment;

/// A greeting that ends after the server's version, in a packet that is otherwise well: protocol 10, version 8.
const SHORT_GREETING: [u8; 7] = [3, 0, 0, 0, 10, b'8', 0];

/// How a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Both sides see it closed.
    Close,
    /// The client sees it reset.
    Reset,
    /// Nothing more is passed on, and nobody sees anything.
    Silence,
    /// The client is told something that is no greeting. Only before the server's own.
    ShortGreeting,
}

/// How the client sees a connection end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Close,
    Reset,
}

/// What becomes of all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Weather {
    #[default]
    Fair,
    /// What is there is cut, what comes is cut.
    Down,
    /// What is there is silent, what comes is accepted and silent.
    Silent,
}

/// Where a connection is to break.
#[derive(Debug, Clone, Copy)]
struct Fault {
    connection: usize,
    after: u64,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// To this connection.
    Break(Break),
    /// To all of them.
    Weather(Weather),
}

type Watcher = Arc<dyn Fn(usize, u64) + Send + Sync>;
type StatementWatcher = Arc<dyn Fn(u32, Moment) + Send + Sync>;

/// The proxy. Gone with this, with all its connections.
#[derive(Debug)]
pub struct MySqlProxy {
    address: SocketAddr,
    /// `host:port`
    upstream: String,
    state: Arc<State>,
    accepting: AbortHandle,
}

struct State {
    weather: watch::Sender<Weather>,
    told: Mutex<Told>,
    watcher: Mutex<Option<Watcher>>,
    statement_watcher: Mutex<Option<StatementWatcher>>,
}

#[derive(Default)]
struct Told {
    faults: Vec<Fault>,
    /// The bytes that each connection was answered, in the order in which they were opened.
    answered: Vec<u64>,
    statements: u32,
    injected: u32,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("weather", &*self.weather.borrow()).finish_non_exhaustive()
    }
}

impl MySqlProxy {
    /// A proxy before the server of this URL (`mysql://user:password@host:port/…`).
    pub async fn before(url: &str) -> Self {
        let upstream = host_and_port(url).to_owned();
        let (weather, _) = watch::channel(Weather::Fair);
        let state = Arc::new(State {
            weather,
            told: Mutex::default(),
            watcher: Mutex::default(),
            statement_watcher: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(listener, upstream.clone(), Arc::clone(&state))).abort_handle();
        Self { address, upstream, state, accepting }
    }

    /// The same URL, by way of this proxy.
    pub fn url(&self, url: &str) -> String {
        url.replacen(&self.upstream, &self.address.to_string(), 1)
    }

    /// Breaks a connection (the first one of all is 1) when so many bytes of the server's answers have been passed on. With 0, it
    /// is accepted, and broken before the server's greeting.
    pub fn break_off(&self, connection: usize, after: u64, how: Break) {
        self.state.told().faults.push(Fault { connection, after, what: What::Break(how) });
    }

    /// The server goes down: every connection is cut, and whoever connects is cut off at once.
    pub fn go_down(&self) {
        self.state.blow(Weather::Down);
    }

    /// As [`go_down`](Self::go_down), when a connection has been answered so many bytes.
    pub fn go_down_after(&self, connection: usize, after: u64) {
        self.state.told().faults.push(Fault { connection, after, what: What::Weather(Weather::Down) });
    }

    /// A network that swallows everything: connections stay open, nothing is passed on, in neither direction.
    pub fn fall_silent(&self) {
        self.state.blow(Weather::Silent);
    }

    /// As [`fall_silent`](Self::fall_silent), when a connection has been answered so many bytes.
    pub fn fall_silent_after(&self, connection: usize, after: u64) {
        self.state.told().faults.push(Fault { connection, after, what: What::Weather(Weather::Silent) });
    }

    /// All is well again; silent connections go on where they were.
    pub fn recover(&self) {
        self.state.weather.send_replace(Weather::Fair);
    }

    /// Calls this whenever bytes of an answer have been passed on, with the connection's number and the bytes it was answered so
    /// far, and goes on when the call has returned. A connection that is opened has been answered 0.
    pub fn watch(&self, watcher: impl Fn(usize, u64) + Send + Sync + 'static) {
        *lock(&self.state.watcher) = Some(Arc::new(watcher));
    }

    /// Calls this at every statement, which is whatever a client says at once, with its number among all of them, from 1: before it is
    /// passed on, and before the first of its answer is. It goes on when the call has returned.
    pub fn watch_statements(&self, watcher: impl Fn(u32, Moment) + Send + Sync + 'static) {
        *lock(&self.state.statement_watcher) = Some(Arc::new(watcher));
    }

    /// How many statements have come by.
    pub fn statements(&self) -> u32 {
        self.state.told().statements
    }

    /// How often something was broken: connections by [`break_off`](Self::break_off), all of them at once by the others.
    pub fn injected(&self) -> u32 {
        self.state.told().injected
    }

    /// The bytes that each connection was answered, in the order in which they were opened.
    pub fn answered(&self) -> Vec<u64> {
        self.state.told().answered.clone()
    }
}

impl Drop for MySqlProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    fn told(&self) -> MutexGuard<'_, Told> {
        lock(&self.told)
    }

    /// Notes that a connection was answered so many bytes more.
    fn answered(&self, connection: usize, bytes: u64) {
        let total = {
            let mut told = self.told();
            told.answered[connection - 1] += bytes;
            told.answered[connection - 1]
        };
        let watcher = lock(&self.watcher).clone();
        if let Some(watcher) = watcher {
            watcher(connection, total);
        }
    }

    /// Numbers a statement that has come.
    fn asked(&self) -> u32 {
        let number = {
            let mut told = self.told();
            told.statements += 1;
            told.statements
        };
        self.watched(number, Moment::Came);
        number
    }

    fn watched(&self, statement: u32, moment: Moment) {
        let watcher = lock(&self.statement_watcher).clone();
        if let Some(watcher) = watcher {
            watcher(statement, moment);
        }
    }

    fn blow(&self, weather: Weather) {
        self.told().injected += 1;
        self.weather.send_replace(weather);
    }

    /// How many more bytes a connection may be answered before something happens.
    fn left(&self, connection: usize) -> Option<u64> {
        let told = self.told();
        let fault = told.faults.iter().find(|fault| fault.connection == connection)?;
        Some(fault.after.saturating_sub(told.answered[connection - 1]))
    }

    /// What happens to a connection now that it has been answered so much. It happens once.
    fn due(&self, connection: usize) -> Option<What> {
        let mut told = self.told();
        let at = told.faults.iter().position(|fault| fault.connection == connection)?;
        Some(told.faults.remove(at).what)
    }
}

async fn accept(listener: TcpListener, upstream: String, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let number = {
                    let mut told = state.told();
                    told.answered.push(0);
                    told.answered.len()
                };
                drop(connections.spawn(serve(client, upstream.clone(), number, Arc::clone(&state))));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection to its end, whatever that is.
async fn serve(mut client: TcpStream, upstream: String, number: usize, state: Arc<State>) {
    state.answered(number, 0);
    if pump(&mut client, &upstream, number, &state).await == End::Reset {
        client.set_zero_linger().unwrap();
    }
}

/// Passes bytes on in both directions until the connection is to break, or one side has closed it.
async fn pump(client: &mut TcpStream, upstream: &str, number: usize, state: &State) -> End {
    let mut weather = state.weather.subscribe();
    let mut server = None;
    let mut unanswered = None;
    let (mut asked, mut answer) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        let now = *weather.borrow_and_update();
        match now {
            Weather::Fair => {}
            Weather::Down => return End::Reset,
            Weather::Silent => {
                weather.changed().await.unwrap();
                continue;
            }
        }
        let left = state.left(number);
        if left == Some(0) {
            match state.due(number) {
                Some(What::Weather(weather)) => {
                    state.blow(weather);
                    continue;
                }
                Some(What::Break(how)) => {
                    state.told().injected += 1;
                    match how {
                        Break::Close => return End::Close,
                        Break::Reset => return End::Reset,
                        // With the connection to the server open.
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
        let most = left.map_or(answer.len(), |bytes| answer.len().min(usize::try_from(bytes).unwrap()));
        let server = match &mut server {
            Some(server) => server,
            none => none.insert(TcpStream::connect(upstream).await.unwrap()),
        };
        // What has been read is always written, whatever the weather: a connection that was silent for a while goes on whole.
        tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(bytes @ 1..) => {
                    unanswered = Some(state.asked());
                    if server.write_all(&asked[..bytes]).await.is_err() {
                        return End::Close;
                    }
                }
                _ => return End::Close,
            },
            read = server.read(&mut answer[..most]) => match read {
                Ok(bytes @ 1..) => {
                    if let Some(statement) = unanswered.take() {
                        state.watched(statement, Moment::CarriedOut);
                    }
                    if client.write_all(&answer[..bytes]).await.is_err() {
                        return End::Close;
                    }
                    state.answered(number, bytes as u64);
                }
                _ => return End::Close,
            },
            changed = weather.changed() => changed.unwrap(),
        }
    }
}

/// `host:port` of a URL.
fn host_and_port(url: &str) -> &str {
    let (_, rest) = url.rsplit_once('@').expect("a URL with a user");
    rest.split(['/', '?']).next().unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
