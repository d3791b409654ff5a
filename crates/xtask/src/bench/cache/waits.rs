//! How long a worker waits for AWS: a proxy before the local AWS that notes when each request begins and its answer ends.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// A proxy and its notes. It serves until the process ends.
pub(super) struct Waits {
    address: SocketAddr,
    notes: Arc<Mutex<Notes>>,
}

impl Waits {
    /// Starts a proxy before the server at `http://HOST:PORT`.
    pub(super) fn start(endpoint: &str) -> Result<Self> {
        let server = endpoint.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
        let waits = Self { address: listener.local_addr()?, notes: Arc::default() };
        let notes = Arc::clone(&waits.notes);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client whose connection is closed sees the same as of a server that is away.
                let _ = serve(client, &server, &notes);
            }
        });
        Ok(waits)
    }

    /// Returns the proxy's address.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns for how many milliseconds between two times, in milliseconds since 1970, at least one request was under way.
    pub(super) fn between(&self, begin: f64, end: f64) -> f64 {
        under_way(&lock(&self.notes).exchanges, begin, end)
    }
}

/// Passes on what one client and the server send, in threads of their own.
fn serve(client: TcpStream, server: &str, notes: &Arc<Mutex<Notes>>) -> Result<()> {
    let upstream = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let connection = lock(notes).connect();
    let (requests, answers) = (client.try_clone()?, upstream.try_clone()?);
    let (asked, answered) = (Arc::clone(notes), Arc::clone(notes));
    thread::spawn(move || forward(requests, upstream, || lock(&asked).asked(connection, now())));
    thread::spawn(move || forward(answers, client, || lock(&answered).answered(connection, now())));
    Ok(())
}

fn forward(mut from: TcpStream, mut to: TcpStream, note: impl Fn()) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        note();
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _ = to.shutdown(Shutdown::Write);
}

/// Requests and answers, by their times in milliseconds since 1970.
#[derive(Debug, Default)]
struct Notes {
    exchanges: Vec<Exchange>,
    /// The current exchange of each connection.
    current: Vec<Option<usize>>,
}

/// A request, from its first byte to the last byte of its answer so far.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    began: f64,
    ended: f64,
    is_answered: bool,
}

impl Notes {
    /// Returns the number of a new connection.
    fn connect(&mut self) -> usize {
        self.current.push(None);
        self.current.len() - 1
    }

    /// Notes bytes of a request. HTTP/1.1 clients send the next one after the answer, so the first bytes after an answer begin one.
    fn asked(&mut self, connection: usize, now: f64) {
        let continues = self.exchange(connection).is_some_and(|exchange| !exchange.is_answered);
        if !continues {
            self.current[connection] = Some(self.exchanges.len());
            self.exchanges.push(Exchange { began: now, ended: now, is_answered: false });
        }
    }

    /// Notes bytes of an answer.
    fn answered(&mut self, connection: usize, now: f64) {
        if let Some(exchange) = self.exchange(connection) {
            exchange.ended = now;
            exchange.is_answered = true;
        }
    }

    fn exchange(&mut self, connection: usize) -> Option<&mut Exchange> {
        self.exchanges.get_mut(self.current[connection]?)
    }
}

/// Returns how long at least one exchange was under way between two times.
fn under_way(exchanges: &[Exchange], begin: f64, end: f64) -> f64 {
    let clipped = exchanges.iter().map(|exchange| (exchange.began.max(begin), exchange.ended.min(end)));
    let mut clipped: Vec<(f64, f64)> = clipped.filter(|(began, ended)| began < ended).collect();
    clipped.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut total, mut covered) = (0.0, begin);
    for (began, ended) in clipped {
        total += (ended - began.max(covered)).max(0.0);
        covered = covered.max(ended);
    }
    total
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
}

/// Locks the notes. No code panics while it holds the lock.
fn lock(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_at_the_same_time_are_waited_for_once() {
        let exchange = |began, ended| Exchange { began, ended, is_answered: true };
        let exchanges =
            [exchange(10.0, 20.0), exchange(15.0, 18.0), exchange(16.0, 25.0), exchange(30.0, 50.0)];
        assert_eq!(under_way(&exchanges, 0.0, 100.0), 35.0);
        assert_eq!(under_way(&exchanges, 12.0, 40.0), 23.0);
        assert_eq!(under_way(&exchanges, 26.0, 29.0), 0.0);
    }

    #[test]
    fn request_of_several_packets_is_one_and_the_next_one_another() {
        let mut notes = Notes::default();
        let (one, two) = (notes.connect(), notes.connect());
        notes.asked(one, 1.0);
        notes.asked(one, 2.0);
        notes.asked(two, 3.0);
        notes.answered(one, 4.0);
        notes.answered(one, 5.0);
        notes.asked(one, 7.0);
        notes.answered(two, 8.0);
        notes.answered(one, 9.0);
        let times: Vec<(f64, f64)> = notes.exchanges.iter().map(|e| (e.began, e.ended)).collect();
        assert_eq!(times, [(1.0, 5.0), (3.0, 8.0), (7.0, 9.0)]);
    }

    #[test]
    fn proxy_passes_on_what_both_sides_send_and_notes_when() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let waits = Waits::start(&format!("http://{}", server.local_addr().unwrap())).unwrap();
        let begin = now();
        let mut client = TcpStream::connect(waits.address).unwrap();
        client.write_all(b"question").unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        let mut question = [0; 8];
        accepted.read_exact(&mut question).unwrap();
        accepted.write_all(b"answer").unwrap();
        drop(accepted);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!((&question, answer.as_str()), (b"question", "answer"));
        let waited = waits.between(begin, now());
        assert!(waited > 0.0 && waited <= now() - begin, "{waited}");
    }
}
