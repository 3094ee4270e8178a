//! An HTTP proxy in front of the binary cache: counts what is fetched, and can stop answering.

use crate::network::{HOST, Network};
use anyhow::{Context, Result};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Port that the proxy listens on; it passes on to the boot-server's 8080.
pub const PORT: u16 = 9090;
/// Longest head of a request or an answer.
const MAX_HEAD: u64 = 16 << 10;

#[derive(Debug)]
struct Shared {
    namespace: Arc<Network>,
    requests: Mutex<Vec<String>>,
    nars_until_silence: AtomicUsize,
    ended: AtomicBool,
}

/// The proxy; ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts it. `nars_until_silence` NARs are passed on, and those after them are never answered.
    ///
    /// # Errors
    /// The port is taken.
    pub fn start(network: &Arc<Network>, nars_until_silence: usize) -> Result<Self> {
        let listener = network
            .inside(|| TcpListener::bind((HOST, PORT)).with_context(|| format!("listening on {HOST}:{PORT}")))?;
        let shared = Arc::new(Shared {
            namespace: Arc::clone(network),
            requests: Mutex::default(),
            nars_until_silence: AtomicUsize::new(nars_until_silence),
            ended: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                if serving.ended.load(Ordering::SeqCst) {
                    return;
                }
                let serving = Arc::clone(&serving);
                thread::spawn(move || serving.answer(&client));
            }
        });
        Ok(Proxy { shared })
    }

    /// The paths that were asked for since the last call, in order.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Passes on that many more NARs.
    pub fn pass_nars(&self, count: usize) {
        self.shared.nars_until_silence.store(count, Ordering::SeqCst);
    }

    /// Whether all NARs that may pass have passed.
    pub fn is_silent(&self) -> bool {
        self.shared.nars_until_silence.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the listener, so that its port is free again.
        let _ = self.shared.namespace.inside(|| Ok(TcpStream::connect((HOST, PORT))?));
    }
}

impl Shared {
    /// One request for each connection: simple, and clients must bear it.
    fn answer(&self, client: &TcpStream) {
        let _ = self.try_answer(client);
        let _ = client.shutdown(Shutdown::Both);
    }

    fn try_answer(&self, mut client: &TcpStream) -> Result<()> {
        let head = read_head(client)?;
        let path = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let is_nar = path.contains("/nar/");
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(path);
        if is_nar && !self.may_pass() {
            while !self.ended.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(100));
            }
            return Ok(());
        }
        let upstream: SocketAddr = format!("{HOST}:8080").parse().context("an address")?;
        let mut upstream = self.namespace.inside(|| Ok(TcpStream::connect(upstream)?))?;
        upstream.write_all(one_shot(&head).as_bytes())?;
        std::io::copy(&mut upstream, &mut client)?;
        Ok(())
    }

    fn may_pass(&self) -> bool {
        let less_one = |left: usize| left.checked_sub(1);
        self.nars_until_silence.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less_one).is_ok()
    }
}

/// A request's head, up to the empty line.
fn read_head(client: &TcpStream) -> Result<String> {
    let mut reader = BufReader::new(client.take(MAX_HEAD));
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    Ok(head)
}

/// The head with `Connection: close` in place of what it said of the connection.
fn one_shot(head: &str) -> String {
    let kept = head.lines().filter(|line| !line.is_empty() && !line.to_ascii_lowercase().starts_with("connection:"));
    kept.chain(["Connection: close", "", ""]).collect::<Vec<_>>().join("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_that_is_passed_on_asks_for_one_answer() {
        let head = "GET /cache/x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(one_shot(head), "GET /cache/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
}
