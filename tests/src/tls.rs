//! Imitates MySQL's handshake with any certificate, to record what a client sends to which server.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// An authority that issues certificates.
#[derive(Debug)]
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    /// The authority's certificate.
    pub pem: String,
}

/// A server's certificate with its key.
#[derive(Debug)]
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The key in PEM.
    pub key_pem: String,
}

impl CertificateAuthority {
    /// Creates an authority.
    #[expect(clippy::new_without_default, reason = "no two are alike")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "An authority of a test's own");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Issues a certificate for a host name or an address.
    pub fn certificate(&self, name: &str) -> Certificate {
        self.sign(CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// Issues a certificate that has expired.
    pub fn expired_certificate(&self, name: &str) -> Certificate {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (certificate_pem, key_pem) = (certificate.pem(), key.serialize_pem());
        Certificate { chain: vec![certificate.der().clone()], key: key.into(), certificate_pem, key_pem }
    }
}

/// A server that asks for the password in clear text, records what it receives, and refuses every
/// login.
#[derive(Debug)]
pub struct RecordingServer {
    /// The port on 127.0.0.1.
    pub port: u16,
    received: Arc<Mutex<Received>>,
}

/// What clients have sent.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// The number of connections.
    pub connections: usize,
    /// The answers to the greeting, with user name and first proof.
    pub logins: Vec<Vec<u8>>,
    /// The answers to the request for the password in clear text.
    pub passwords: Vec<String>,
}

// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
const CLIENT_CONNECT_WITH_DB: u32 = 1 << 3;
const CLIENT_PROTOCOL_41: u32 = 1 << 9;
const CLIENT_SSL: u32 = 1 << 11;
const CLIENT_SECURE_CONNECTION: u32 = 1 << 15;
const CLIENT_PLUGIN_AUTH: u32 = 1 << 19;
const CLEAR_PASSWORD_PLUGIN: &str = "mysql_clear_password";

impl RecordingServer {
    /// Starts a server that proposes this authentication plugin. Without a certificate it offers no
    /// TLS.
    pub fn start(certificate: Option<Certificate>, plugin: &'static str) -> Self {
        let tls = certificate.map(|Certificate { chain, key, .. }| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            Arc::new(builder.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap())
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Received::default()));
        let recording = Arc::clone(&received);
        // The thread ends with the process. A client that disconnects is the expected case.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let record = |note: &dyn Fn(&mut Received)| {
                    note(&mut recording.lock().unwrap_or_else(PoisonError::into_inner))
                };
                record(&|received| received.connections += 1);
                drop(serve(client, tls.as_ref(), plugin, &record));
            }
        });
        Self { port, received }
    }

    /// Returns what clients have sent so far.
    pub fn received(&self) -> Received {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

type Recorder<'a> = dyn Fn(&dyn Fn(&mut Received)) + 'a;

fn serve(
    mut client: TcpStream,
    tls: Option<&Arc<ServerConfig>>,
    plugin: &str,
    record: &Recorder<'_>,
) -> io::Result<()> {
    let ssl = if tls.is_some() { CLIENT_SSL } else { 0 };
    write_packet(&mut client, 0, &greeting(ssl, plugin))?;
    let Some(tls) = tls else { return request_password(client, plugin, record) };
    // A client that wants TLS sends the first 32 bytes of its answer unencrypted: its capabilities,
    // and no user name.
    let (_, request) = read_packet(&mut client)?;
    if request.len() != 32 {
        record(&|received| received.logins.push(request.clone()));
        return Ok(());
    }
    let connection = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
    request_password(StreamOwned::new(connection, client), plugin, record)
}

fn request_password(mut client: impl Read + Write, plugin: &str, record: &Recorder<'_>) -> io::Result<()> {
    let (mut sequence, login) = read_packet(&mut client)?;
    record(&|received| received.logins.push(login.clone()));
    if plugin != CLEAR_PASSWORD_PLUGIN {
        // Asks the client to switch to another plugin.
        write_packet(
            &mut client,
            sequence + 1,
            &[b"\xfe", CLEAR_PASSWORD_PLUGIN.as_bytes(), b"\0"].concat(),
        )?;
        let (answered, password) = read_packet(&mut client)?;
        sequence = answered;
        let password = String::from_utf8_lossy(&password).trim_end_matches('\0').to_owned();
        record(&|received| received.passwords.push(password.clone()));
    }
    write_packet(&mut client, sequence + 1, b"\xff\x15\x04#28000Access denied") // error 1045
}

fn greeting(ssl: u32, plugin: &str) -> Vec<u8> {
    let capabilities =
        CLIENT_CONNECT_WITH_DB | CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH | ssl;
    let [low, high] =
        [capabilities & 0xffff, capabilities >> 16].map(|half| u16::try_from(half).unwrap().to_le_bytes());
    let mut packet = b"\x0a8.4.0\0".to_vec();
    packet.extend([1, 0, 0, 0]); // the connection's id
    packet.extend(b"12345678\0"); // the first eight bytes of the nonce
    packet.extend(low);
    packet.extend([255, 2, 0]); // utf8mb4, autocommit
    packet.extend(high);
    packet.push(21); // the nonce's length
    packet.extend([0; 10]);
    packet.extend(b"901234567890\0"); // the rest of the nonce
    packet.extend(plugin.as_bytes());
    packet.push(0);
    packet
}

fn write_packet(client: &mut impl Write, sequence: u8, payload: &[u8]) -> io::Result<()> {
    let [low, middle, high, _] = u32::try_from(payload.len()).map_err(io::Error::other)?.to_le_bytes();
    client.write_all(&[&[low, middle, high, sequence], payload].concat())?;
    client.flush()
}

fn read_packet(client: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 4];
    client.read_exact(&mut header)?;
    let [low, middle, high, sequence] = header;
    let mut payload =
        vec![0; usize::try_from(u32::from_le_bytes([low, middle, high, 0])).map_err(io::Error::other)?];
    client.read_exact(&mut payload)?;
    Ok((sequence, payload))
}
