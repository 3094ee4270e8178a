//! A binary cache over TLS that speaks HTTP/2 or HTTP/1.1, whichever the client agrees to.

use hyper::{
    Request, Response,
    body::{Body, Bytes, Frame, Incoming},
    header,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use qemu_tests::certificates::Ca;
use rustls::ServerConfig;
use std::{
    collections::VecDeque,
    convert::Infallible,
    fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio_rustls::TlsAcceptor;

/// What was asked for: version and path.
type Log = Arc<Mutex<Vec<String>>>;

/// A server; it ends with the test.
pub struct TlsServer {
    pub url: String,
    log: Log,
}

impl TlsServer {
    /// Serves `folder` with a certificate of `ca`, by the first of `protocols` that the client has too. Every
    /// body ends with an error after `cut` bytes.
    pub fn start(folder: &Path, ca: &Ca, protocols: &[&str], cut: usize) -> Self {
        let log = Log::default();
        let acceptor = TlsAcceptor::from(Arc::new(config(ca, protocols)));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let serving = serve(listener, acceptor, folder.to_owned(), log.clone(), cut);
        std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(serving));
        Self { url, log }
    }

    /// What was asked for, in order; forgets it.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

fn config(ca: &Ca, protocols: &[&str]) -> ServerConfig {
    let leaf = ca.leaf();
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der, ca.der.clone()], leaf.key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

async fn serve(listener: std::net::TcpListener, acceptor: TlsAcceptor, folder: PathBuf, log: Log, cut: usize) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, folder, log) = (acceptor.clone(), folder.clone(), log.clone());
        tokio::spawn(async move {
            // A client that refuses the certificate is what some tests are about.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(|request| std::future::ready(answer(&request, &folder, &log, cut)));
            let builder = auto::Builder::new(TokioExecutor::new());
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

fn answer(request: &Request<Incoming>, folder: &Path, log: &Log, cut: usize) -> Result<Response<Pieces>, Infallible> {
    let path = request.uri().path().trim_start_matches('/');
    log.lock().unwrap().push(format!("{:?} {path}", request.version()));
    let Ok(bytes) = fs::read(folder.join(path)) else {
        return Ok(Response::builder().status(404).body(Pieces::new(&[], cut)).unwrap());
    };
    let range = request.headers().get(header::RANGE).map(|value| value.to_str().unwrap());
    let begin = range.map(|range| range["bytes=".len()..].trim_end_matches('-').parse::<usize>().unwrap());
    let body = &bytes[begin.unwrap_or(0)..];
    let mut answer = Response::builder().header(header::CONTENT_LENGTH, body.len());
    if let Some(begin) = begin {
        let range = format!("bytes {begin}-{}/{}", bytes.len() - 1, bytes.len());
        answer = answer.status(206).header(header::CONTENT_RANGE, range);
    }
    Ok(answer.body(Pieces::new(body, cut)).unwrap())
}

struct Pieces {
    rest: VecDeque<Bytes>,
    /// Before the error, so that what came before it is on its way.
    wait: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Pieces {
    fn new(bytes: &[u8], cut: usize) -> Self {
        let end = bytes.len().min(cut);
        let rest = bytes[..end].chunks(1 << 14).map(Bytes::copy_from_slice).collect();
        let wait = (end < bytes.len()).then(|| Box::pin(tokio::time::sleep(Duration::from_millis(100))));
        Self { rest, wait }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(piece) = self.rest.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let Some(wait) = &mut self.wait else { return Poll::Ready(None) };
        wait.as_mut().poll(context).map(|()| Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }
}
