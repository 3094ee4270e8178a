//! Plays a service of the cluster: a small HTTPS server that asks for a client certificate and answers as it is told.

pub mod documented;
pub mod faults;

use anyhow::{Context, Result, bail, ensure};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use serde_json::Value;
use std::{
    fmt::Debug,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, ToSocketAddrs},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// No head and no body of a request is larger.
const LARGEST: u64 = 1 << 20;
/// How long a connection may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// `METHOD PATH VERSION`.
    pub line: String,
    /// The bearer token.
    pub token: Option<String>,
    /// Null where it is not JSON.
    pub body: Value,
    /// The body as it came, as far as it is text.
    pub text: String,
}

impl Request {
    /// In capitals.
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// With its query.
    pub fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// What it is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// A status and a body; 204 goes out without one.
    Json(u16, Value),
    /// 200 and a file.
    File(Vec<u8>),
    /// The head promises more than comes.
    Half,
    /// 302 to another address.
    Moved(String),
    /// Nothing for so long, then the end of the connection.
    Slow(Duration),
}

/// A server in this process. It listens on every address of this machine, so that one peer can play the service of
/// several nodes.
pub struct Peer {
    /// Where it listens.
    pub port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Peer {
    /// Listens on a port that is free.
    ///
    /// # Errors
    /// There is none.
    pub fn start(tls: Arc<ServerConfig>, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Result<Self> {
        Self::at("0.0.0.0:0", tls, handler)
    }

    /// Listens on this address.
    ///
    /// # Errors
    /// It is taken, or not this machine's.
    pub fn at(
        address: impl ToSocketAddrs + Debug,
        tls: Arc<ServerConfig>,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(&address).with_context(|| format!("listening on {address:?}"))?;
        let port = listener.local_addr().context("asking for the port")?.port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        // Ends with the process; it holds nothing but a port.
        thread::spawn(move || {
            serve(&listener, &tls, move |request| {
                lock(&seen).push(request.clone());
                handler(request)
            });
        });
        Ok(Self { port, requests })
    }

    /// The requests whose line begins so, in order.
    pub fn requests(&self, line: &str) -> Vec<Request> {
        lock(&self.requests).iter().filter(|request| request.line.starts_with(line)).cloned().collect()
    }

    /// The bodies of the requests whose line begins so, in order.
    pub fn bodies(&self, line: &str) -> Vec<Value> {
        self.requests(line).into_iter().map(|request| request.body).collect()
    }
}

/// The server's side of mutual TLS: only clients with a certificate of this CA are heard.
///
/// # Errors
/// The certificates or the key cannot be used.
pub fn tls(
    ca: CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(ca).context("reading the CA")?;
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build()?;
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_client_cert_verifier(verifier).with_single_cert(chain, key)?))
}

/// The same for whoever connects, with a certificate or without.
///
/// # Errors
/// Where the chain and the key cannot be used.
pub fn tls_of_anyone(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Arc<ServerConfig>> {
    let config =
        ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_no_client_auth().with_single_cert(chain, key)?))
}

/// Answers whoever connects, each on a thread of its own, for ever. What goes wrong is said on standard error.
pub fn serve(
    listener: &TcpListener,
    tls: &Arc<ServerConfig>,
    handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) {
    let handler = Arc::new(handler);
    for stream in listener.incoming() {
        let (tls, handler) = (tls.clone(), handler.clone());
        thread::spawn(move || {
            let served = stream.map_err(Into::into).and_then(|stream| converse(stream, tls, &*handler));
            if let Err(error) = served {
                eprintln!("{error:#}");
            }
        });
    }
}

fn converse(stream: TcpStream, tls: Arc<ServerConfig>, handler: &dyn Fn(&Request) -> Reply) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(tls)?, stream));
    while let Some(request) = read(&mut stream)? {
        let out = stream.get_mut();
        match handler(&request) {
            Reply::Json(204, _) => write!(out, "HTTP/1.1 204 X\r\n\r\n")?,
            Reply::Json(status, body) => {
                let body = body.to_string();
                write!(out, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
            }
            Reply::File(bytes) => {
                write!(out, "HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", bytes.len())?;
                out.write_all(&bytes)?;
            }
            Reply::Moved(to) => write!(out, "HTTP/1.1 302 X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")?,
            Reply::Half => {
                write!(out, "HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{{\"half")?;
                break;
            }
            Reply::Slow(span) => {
                thread::sleep(span);
                break;
            }
        }
        out.flush()?;
    }
    let out = stream.get_mut();
    out.conn.send_close_notify();
    // Whoever did not wait is gone.
    drop(out.flush());
    Ok(())
}

/// The next request, or nothing where the client has gone or was not let in.
fn read(stream: &mut impl BufRead) -> Result<Option<Request>> {
    let mut head = stream.by_ref().take(LARGEST);
    let mut line = String::new();
    if head.read_line(&mut line).unwrap_or(0) == 0 {
        return Ok(None);
    }
    let (mut length, mut token) = (0, None);
    loop {
        let mut header = String::new();
        match head.read_line(&mut header)? {
            0 => bail!("the request ends in its head"),
            1 | 2 => break,
            _ => {}
        }
        let (name, value) = header.split_once(':').context("a header has a name")?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().context("reading a length")?,
            "authorization" => token = value.trim().strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    ensure!(length <= LARGEST, "a request of {length} bytes");
    let mut body = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut body)?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Request { line: line.trim().to_owned(), token, body, text }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_are_read_one_after_the_other() {
        let mut bytes = &b"POST /a?b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nContent-Length: 7\r\n\r\n{\"c\":1}GET /d HTTP/1.1\r\n\r\n"[..];
        let first = read(&mut bytes).unwrap().unwrap();
        assert_eq!((first.method(), first.path()), ("POST", "/a?b"));
        assert_eq!((first.token.as_deref(), &first.body), (Some("t"), &json!({"c": 1})));
        let second = read(&mut bytes).unwrap().unwrap();
        assert_eq!((second.method(), second.path(), &second.token), ("GET", "/d", &None));
        assert_eq!(read(&mut bytes).unwrap(), None);
    }

    #[test]
    fn requests_that_are_cut_off_or_too_large_are_refused() {
        let endless = "x".repeat(LARGEST as usize + 1);
        for request in [
            "GET / HTTP/1.1\r\nhost: x\r\n".to_owned(),
            "GET / HTTP/1.1\r\ncontent-length: 5\r\n\r\n1".to_owned(),
            "POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n".to_owned(),
            "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n".to_owned(),
            format!("GET / HTTP/1.1\r\n{endless}"),
            endless,
        ] {
            assert!(read(&mut request.as_bytes()).is_err());
        }
    }
}
