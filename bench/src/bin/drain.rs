//! `drain HOST:PORT USER DATABASE SQL`: reads a query's result in MySQL's text protocol and drops
//! it. Its time is the floor.
//!
//! No program that reads the rows over one connection is faster, unless it makes the server send
//! something else. The account has no password, so that the login takes one packet. The connection
//! is not encrypted.

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

/// The number of bytes of one read.
const BUFFER: usize = 64 * 1024;

/// `CLIENT_LONG_PASSWORD`, `CLIENT_CONNECT_WITH_DB`, `CLIENT_PROTOCOL_41`, `CLIENT_TRANSACTIONS`,
/// `CLIENT_SECURE_CONNECTION` and `CLIENT_PLUGIN_AUTH`. Without `CLIENT_DEPRECATE_EOF` a packet of
/// five bytes ends columns and rows.
const CAPABILITIES: u32 = 0x0000_0001 | 0x0000_0008 | 0x0000_0200 | 0x0000_2000 | 0x0000_8000 | 0x0008_0000;

/// `utf8mb4_0900_ai_ci`.
const COLLATION: u8 = 255;

/// The longest payload of a packet. A longer one continues in the next packet.
const LONGEST_PAYLOAD: usize = 0xff_ffff;

const OK: u8 = 0x00;
const EOF: u8 = 0xfe;
const ERROR: u8 = 0xff;
const QUERY: u8 = 0x03;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [address, user, database, sql] = &args[..] else { bail!("usage: drain HOST:PORT USER DATABASE SQL") };
    let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    let mut connection = Connection { stream, buffer: vec![0; BUFFER], at: 0, end: 0, bytes: 0 };
    connection.log_in(user, database)?;
    let rows = connection.query(sql)?;
    println!("{}", json!({ "rows": rows, "bytes": connection.bytes }));
    Ok(())
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// The number of bytes read so far.
    bytes: u64,
}

impl Connection {
    fn log_in(&mut self, user: &str, database: &str) -> Result<()> {
        let greeting = self.payload()?;
        ensure!(
            greeting.first() == Some(&10),
            "expected version 10 of the protocol, got {:?}",
            greeting.first()
        );
        let mut answer = CAPABILITIES.to_le_bytes().to_vec();
        answer.extend(u32::MAX.to_le_bytes());
        answer.push(COLLATION);
        answer.extend([0; 23]);
        // An empty proof logs in without a password.
        for text in [user, "", database, "caching_sha2_password"] {
            answer.extend(text.as_bytes());
            answer.push(0);
        }
        self.send(1, &answer)?;
        let verdict = self.payload()?;
        ensure!(verdict.first() == Some(&OK), "cannot log in: {}", message(&verdict));
        Ok(())
    }

    /// Runs the query and counts its rows.
    fn query(&mut self, sql: &str) -> Result<u64> {
        self.send(0, &[&[QUERY], sql.as_bytes()].concat())?;
        let columns = self.payload()?;
        ensure!(![Some(&OK), Some(&ERROR)].contains(&columns.first()), "no rows: {}", message(&columns));
        while self.skip_packet()? {}
        let mut rows = 0;
        while self.skip_packet()? {
            rows += 1;
        }
        Ok(rows)
    }

    /// Skips a row or a column's description. Returns false at the end.
    fn skip_packet(&mut self) -> Result<bool> {
        let length = self.length()?;
        let first = self.byte()?;
        if first == EOF && length < 9 || first == ERROR {
            let rest = (1..length).map(|_| self.byte()).collect::<Result<Vec<u8>>>()?;
            ensure!(first == EOF, "the result broke off: {}", message(&[&[ERROR], &rest[..]].concat()));
            return Ok(false);
        }
        self.skip(length - 1)?;
        let mut last = length;
        while last == LONGEST_PAYLOAD {
            last = self.length()?;
            self.skip(last)?;
        }
        Ok(true)
    }

    fn payload(&mut self) -> Result<Vec<u8>> {
        let length = self.length()?;
        (0..length).map(|_| self.byte()).collect()
    }

    /// Reads a packet's header.
    fn length(&mut self) -> Result<usize> {
        let header = [self.byte()?, self.byte()?, self.byte()?, self.byte()?];
        // The last byte is the packet's number.
        Ok(usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16)
    }

    fn byte(&mut self) -> Result<u8> {
        if self.at == self.end {
            self.fill()?;
        }
        self.at += 1;
        Ok(self.buffer[self.at - 1])
    }

    fn skip(&mut self, mut count: usize) -> Result<()> {
        while count > self.end - self.at {
            count -= self.end - self.at;
            self.fill()?;
        }
        self.at += count;
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        self.at = 0;
        self.end = self.stream.read(&mut self.buffer)?;
        self.bytes += self.end as u64;
        ensure!(self.end > 0, "the server closed the connection");
        Ok(())
    }

    fn send(&mut self, number: u8, payload: &[u8]) -> Result<()> {
        let [a, b, c, ..] = payload.len().to_le_bytes();
        Ok(self.stream.write_all(&[&[a, b, c, number], payload].concat())?)
    }
}

/// Returns an error packet's message, which follows its mark, a number and a state of six bytes.
fn message(packet: &[u8]) -> String {
    String::from_utf8_lossy(packet.get(9..).unwrap_or_default()).into_owned()
}
