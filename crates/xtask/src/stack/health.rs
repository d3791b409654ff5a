//! Checks that a server answers in the right protocol. Time limits are short: a healthy local server answers at
//! once.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, IpAddr, ServerName, pem::PemObject as _},
};

const TIMEOUT: Duration = Duration::from_secs(5);
/// The version of MySQL's client protocol, the first byte of the server's greeting.
const MYSQL_PROTOCOL: u8 = 10;
/// The packet header of an error that MySQL sends in place of a greeting, such as "Too many connections".
const MYSQL_ERROR: u8 = 0xff;

/// Returns a body of `GET http://ADDRESS/PATH`; an answer other than 200 is an error.
pub(crate) fn http_get(address: &str, path: &str) -> Result<String> {
    get(connect(address)?, address, path)
}

/// Checks that `GET https://ADDRESS/PATH` is answered with 200, by a server with a certificate of this authority.
pub(super) fn https_get(address: &str, path: &str, authority: &Path) -> Result<()> {
    get(connect_tls(address, authority)?, address, path).map(drop)
}

fn get(mut stream: impl Read + Write, address: &str, path: &str) -> Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .with_context(|| format!("cannot send to {address}"))?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // A server that closes the connection without the end of TLS has answered all the same.
        Err(err) if err.kind() == io::ErrorKind::UnexpectedEof && !answer.is_empty() => {}
        read => drop(read.with_context(|| format!("no answer from {address}{path}"))?),
    }
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_ascii_whitespace().nth(1).unwrap_or("nothing");
    ensure!(status == "200", "{address}{path} answered {status}");
    Ok(body.to_owned())
}

/// Returns the version that a MySQL server names in its greeting.
pub(super) fn mysql_greeting(address: &str) -> Result<String> {
    let mut stream = connect(address)?;
    let mut header = [0; 4];
    stream.read_exact(&mut header).with_context(|| format!("no greeting from {address}"))?;
    let length = usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
    let mut packet = Vec::new();
    // A greeting is about a hundred bytes; a server of another kind must not make us read megabytes.
    let length = u64::try_from(length.min(1024)).context("an impossible packet length")?;
    stream.take(length).read_to_end(&mut packet).with_context(|| format!("no greeting from {address}"))?;
    parse_greeting(&packet).with_context(|| format!("{address} is not a MySQL server in good health"))
}

/// Reads the start of MySQL's `HandshakeV10`: protocol version, server version up to a NUL.
fn parse_greeting(packet: &[u8]) -> Result<String> {
    match packet.split_first() {
        Some((&MYSQL_PROTOCOL, rest)) => {
            let end = rest.iter().position(|&byte| byte == 0).context("the greeting ends in its version")?;
            Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
        }
        // The error's two-byte code comes before its text.
        Some((&MYSQL_ERROR, rest)) => {
            bail!("it says: {}", String::from_utf8_lossy(rest.get(2..).unwrap_or(rest)))
        }
        Some((version, _)) => bail!("its greeting has protocol version {version}, expected {MYSQL_PROTOCOL}"),
        None => bail!("its greeting is empty"),
    }
}

/// Checks that a Valkey with a certificate of this authority answers, and asks for a login.
pub(super) fn valkey_refusal(address: &str, authority: &Path) -> Result<()> {
    let answer = question(connect_tls(address, authority)?, "PING")
        .with_context(|| format!("no answer from {address}"))?;
    ensure!(answer.starts_with("-NOAUTH"), "{address} answered {answer:?}, expected -NOAUTH");
    Ok(())
}

/// Returns the version that a Memcached names.
pub(super) fn memcached_version(address: &str) -> Result<String> {
    let answer =
        question(connect(address)?, "version").with_context(|| format!("no answer from {address}"))?;
    let version = answer.strip_prefix("VERSION ");
    Ok(version.with_context(|| format!("{address} answered {answer:?}, expected VERSION"))?.to_owned())
}

/// Sends a line and reads the first line of the answer.
fn question(mut stream: impl Read + Write, line: &str) -> Result<String> {
    stream.write_all(format!("{line}\r\n").as_bytes()).context("cannot send")?;
    stream.flush().context("cannot send")?;
    let mut answer = String::new();
    BufReader::new(stream.take(1024)).read_line(&mut answer).context("cannot read")?;
    Ok(answer.trim_end().to_owned())
}

/// Connects by TLS to a server with a certificate of this authority.
fn connect_tls(address: &str, authority: &Path) -> Result<StreamOwned<ClientConnection, TcpStream>> {
    let pem = fs::read(authority).with_context(|| format!("cannot read {}", authority.display()))?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).context("the authority is no certificate")?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = connect(address)?;
    let host = ServerName::IpAddress(IpAddr::from(stream.peer_addr().context("no address")?.ip()));
    let connection = ClientConnection::new(Arc::new(config), host).context("no TLS")?;
    Ok(StreamOwned::new(connection, stream))
}

fn connect(address: &str) -> Result<TcpStream> {
    let resolved = address.to_socket_addrs().with_context(|| format!("{address} is not an address"))?;
    let mut last = None;
    for candidate in resolved {
        match TcpStream::connect_timeout(&candidate, TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT)).context("cannot limit the waiting time")?;
                stream.set_write_timeout(Some(TIMEOUT)).context("cannot limit the waiting time")?;
                return Ok(stream);
            }
            Err(err) => last = Some(err),
        }
    }
    match last {
        Some(err) => Err(err).with_context(|| format!("cannot connect to {address}")),
        None => bail!("{address} has no address"),
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    fn answering(bytes: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(bytes).unwrap();
            // Reads what the client sends, so that closing is not a reset that swallows the answer.
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let _ = stream.read(&mut [0; 256]);
        });
        address
    }

    #[test]
    fn greeting_gives_the_version() {
        assert_eq!(parse_greeting(b"\x0a9.7.4\0more").unwrap(), "9.7.4");
        assert_eq!(mysql_greeting(&answering(b"\x07\0\0\0\x0a8.4.1\0")).unwrap(), "8.4.1");
    }

    #[test]
    fn other_greeting_is_refused_with_the_reason() {
        let error = |packet: &[u8]| parse_greeting(packet).unwrap_err().to_string();
        assert_eq!(error(b"\xff\x10\x04Too many connections"), "it says: Too many connections");
        assert_eq!(error(b"\xff"), "it says: ");
        assert_eq!(error(b"H"), "its greeting has protocol version 72, expected 10");
        assert_eq!(error(b"\x0a9.7"), "the greeting ends in its version");
        assert_eq!(error(b""), "its greeting is empty");
    }

    #[test]
    fn server_that_closes_at_once_is_not_healthy() {
        assert!(mysql_greeting(&answering(b"")).is_err());
        assert!(mysql_greeting(&answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")).is_err());
    }

    #[test]
    fn memcached_is_known_by_its_version() {
        assert_eq!(memcached_version(&answering(b"VERSION 1.6.18\r\n")).unwrap(), "1.6.18");
        assert!(memcached_version(&answering(b"ERROR\r\n")).is_err());
    }

    #[test]
    fn http_answer_other_than_200_is_not_healthy() {
        assert_eq!(http_get(&answering(b"HTTP/1.1 200 OK\r\n\r\n{}"), "/health").unwrap(), "{}");
        let err = http_get(&answering(b"HTTP/1.1 503 Busy\r\n\r\n"), "/health").unwrap_err();
        assert!(err.to_string().ends_with("/health answered 503"), "{err}");
        assert!(http_get(&answering(b""), "/").is_err());
    }
}
