//! Floods of the HTTPS port.

use super::Held;
use crate::network::HOST;
use anyhow::{Context, Result, ensure};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring::{cipher_suite::TLS13_AES_128_GCM_SHA256, default_provider},
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// How many connections are held at once: more than one address is given.
const HELD: usize = 100;
const PATIENCE: Duration = Duration::from_secs(2);
/// 32 bytes.
const NONCE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const NO_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: u8 = 6;

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Trusts the server's authority, and shows no certificate.
#[derive(Clone)]
pub struct Client {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Client {
    pub fn new(ca: &Path) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).with_context(|| format!("reading {}", ca.display()))?)?;
        let config = |protocol: &str| -> Result<Arc<ClientConfig>> {
            let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots.clone())
                .with_no_client_auth();
            config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
            Ok(Arc::new(config))
        };
        Ok(Self { http1: config("http/1.1")?, http2: config("h2")? })
    }

    fn connect(config: &Arc<ClientConfig>) -> Result<Stream> {
        let connection = ClientConnection::new(config.clone(), HOST.try_into()?)?;
        let mut stream = StreamOwned::new(connection, dial()?);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(stream)
    }

    /// One request on a connection of its own, and the JSON that comes back.
    fn ask(&self, path: &str, body: &[u8]) -> Result<Value> {
        let mut stream = Self::connect(&self.http1)?;
        write!(stream, "{}Content-Length: {}\r\n\r\n", head(path), body.len())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        // The end of the connection may come without the end of TLS.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer without an end of its head")?;
        serde_json::from_str(body).with_context(|| format!("reading {answer}"))
    }
}

fn dial() -> Result<TcpStream> {
    let address: SocketAddr = format!("{HOST}:8443").parse().context("an address")?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn head(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Type: application/json\r\n")
}

/// A connection that is held; the last hold is the one of HTTP/2 that answers pings.
enum Connection {
    Plain(#[expect(dead_code, reason = "held open")] TcpStream),
    Tls(#[expect(dead_code, reason = "held open")] Box<Stream>),
    Pings(Box<Stream>),
}

/// The connections that are held.
#[derive(Default)]
pub struct Silent(VecDeque<Connection>);

impl Silent {
    fn hold(&mut self, connection: Connection) {
        self.0.push_back(connection);
        if self.0.len() > HELD {
            self.0.pop_front();
        }
    }

    fn answer_pings(&mut self) {
        for connection in &mut self.0 {
            if let Connection::Pings(stream) = connection {
                answer_pings(stream);
            }
        }
    }
}

/// One more connection that falls silent, in the next of the ways.
pub fn fall_silent(held: &mut Held) -> Result<Duration> {
    let client = &held.tls;
    let after = |first: &[u8]| -> Result<Connection> {
        let mut stream = Client::connect(&client.http1)?;
        stream.write_all(first)?;
        Ok(Connection::Tls(Box::new(stream)))
    };
    held.connections.answer_pings();
    let connection = match held.count % 6 {
        0 => Connection::Plain(dial()?),
        1 => after(b"")?,
        2 => after(b"P")?,
        3 => after(b"GET / HT")?,
        4 => after(&PREFACE[..PREFACE.len() - 4])?,
        _ => {
            let mut stream = Client::connect(&client.http2)?;
            stream.write_all(&[PREFACE, NO_SETTINGS].concat())?;
            stream.sock.set_nonblocking(true)?;
            Connection::Pings(Box::new(stream))
        }
    };
    held.connections.hold(connection);
    Ok(Duration::from_millis(100))
}

fn answer_pings(stream: &mut Stream) {
    let mut frames = [0; 1024];
    let Ok(length) = stream.read(&mut frames) else { return };
    let mut rest = &frames[..length];
    while let [a, b, c, kind, flags, _, _, _, _, tail @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((body, next)) = tail.split_at_checked(length) else { return };
        if *kind == PING && flags & 1 == 0 {
            let _ = stream.write_all(&[&[0, 0, 8, PING, 1, 0, 0, 0, 0], body].concat());
        }
        rest = next;
    }
}

/// Four megabytes: of a hello, of telemetry, or of a body that never ends.
pub fn send_much(held: &mut Held) -> Result<Duration> {
    const MUCH: usize = 4 << 20;
    let much = "x".repeat(MUCH - 1024);
    match held.count % 3 {
        0 => drop(held.tls.ask("/v1/enrol/hello", json!({ "nonce": much }).to_string().as_bytes())?),
        1 => {
            let greeted = greet(&held.tls, &"0".repeat(64))?;
            let note = json!({ "seq": 1, "time": "2026-01-01T00:00:00Z", "since_start_ms": 1, "step": "disk",
                "event": "note", "text": much });
            let told = json!({ "run": "flood", "session": greeted, "events": [note] });
            drop(held.tls.ask("/v1/telemetry", told.to_string().as_bytes())?);
        }
        _ => {
            let mut stream = Client::connect(&held.tls.http1)?;
            write!(stream, "{}Content-Length: {MUCH}\r\n\r\n{{", head("/v1/enrol/hello"))?;
            stream.write_all(&much.as_bytes()[..MUCH / 2])?;
            held.connections.hold(Connection::Tls(Box::new(stream)));
        }
    }
    Ok(Duration::from_millis(100))
}

/// Says hello with this hash of a request; the session.
fn greet(client: &Client, csr_sha256: &str) -> Result<Value> {
    let hello = json!({ "nonce": NONCE, "csr_sha256": csr_sha256 }).to_string();
    let mut greeted = client.ask("/v1/enrol/hello", hello.as_bytes())?;
    ensure!(greeted["session"].is_string(), "no session: {greeted}");
    Ok(greeted["session"].take())
}

/// A new machine every time, as large as it can be.
pub fn enrol(held: &mut Held) -> Result<Duration> {
    let request = CertificateParams::default().serialize_request(&KeyPair::generate()?)?;
    let hash = TLS13_AES_128_GCM_SHA256.tls13().context("a suite of TLS 1.3")?.common.hash_provider;
    let hash: String = hash.hash(request.der()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let session = greet(&held.tls, &hash)?;
    let pem = request.pem()?;
    let csr: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let macs: Vec<String> =
        (0..20_000).map(|card| format!("02:00:00:{:02x}:{:02x}:00", card / 256, card % 256)).collect();
    let enrolment = json!({
        "session": session, "csr": csr, "run": format!("flood-{}", held.count), "agent_version": "v".repeat(100_000),
        "claims": { "uuid": null, "serial": format!("FLOOD-{}", held.count), "macs": macs },
        "inventory": { "kernel": "k".repeat(1 << 20) },
    });
    held.tls.ask("/v1/enrol", enrolment.to_string().as_bytes())?;
    let lines: Vec<Value> = (1..=500)
        .map(|seq| {
            json!({ "seq": seq, "time": "2026-01-01T00:00:00Z", "level": "info", "source": "flood",
                "message": "x".repeat(4000) })
        })
        .collect();
    let told = json!({ "run": format!("flood-{}", held.count), "session": session, "events": [], "lines": lines });
    held.tls.ask("/v1/telemetry", told.to_string().as_bytes())?;
    Ok(Duration::from_millis(50))
}
