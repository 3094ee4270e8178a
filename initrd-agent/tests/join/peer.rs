//! A small HTTPS server that asks for a client certificate and answers as a test tells it to.

use crate::certificates::Ca;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, server::WebPkiClientVerifier};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub line: String,
    /// The bearer token.
    pub token: Option<String>,
    pub body: Value,
}

pub enum Reply {
    Json(u16, Value),
    /// The head promises more than comes.
    Half,
    /// Nothing for so long, then the end of the connection.
    Slow(Duration),
}

/// Listens on every address of this machine, so that one peer can play the service of several nodes.
pub struct Peer {
    pub port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Peer {
    pub fn start(ca: &Ca, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tls, requests) = (tls(ca), Arc::new(Mutex::new(Vec::new())));
        let (handler, seen) = (Arc::new(handler), requests.clone());
        // Ends with the test process; it holds nothing but a port.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, handler, seen) = (tls.clone(), handler.clone(), seen.clone());
                thread::spawn(move || drop(serve(stream, tls, &*handler, &seen)));
            }
        });
        Self { port, requests }
    }

    /// The requests whose line begins so, in order.
    pub fn requests(&self, line: &str) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| request.line.starts_with(line)).cloned().collect()
    }

    /// The bodies of the requests whose line begins so, in order.
    pub fn bodies(&self, line: &str) -> Vec<Value> {
        self.requests(line).into_iter().map(|request| request.body).collect()
    }
}

fn tls(ca: &Ca) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
    let leaf = ca.leaf();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![leaf.der, ca.der.clone()], leaf.key)
        .unwrap();
    Arc::new(config)
}

fn serve(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
    handler: &dyn Fn(&Request) -> Reply,
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(tls).unwrap(), stream));
    let (mut line, mut length, mut token) = (String::new(), 0, None);
    stream.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header)? <= 2 {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if let Some((_, value)) = header.split_once(": Bearer ").or_else(|| header.split_once(":Bearer ")) {
            token = Some(value.trim().to_owned());
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let request = Request { line: line.trim().to_owned(), token, body };
    seen.lock().unwrap().push(request.clone());
    let stream = stream.get_mut();
    match handler(&request) {
        Reply::Json(status, body) => {
            let body = body.to_string();
            let length = body.len();
            write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")?;
        }
        Reply::Half => write!(stream, "HTTP/1.1 200 X\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{{\"half")?,
        Reply::Slow(span) => thread::sleep(span),
    }
    stream.conn.send_close_notify();
    stream.flush()
}
