//! Accepting connections, so many and for so long.

use super::{Routes, plain, reply};
use crate::base::places::{Place, Places};
use axum::{BoxError, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    socket::{setsockopt, sockopt::TcpUserTimeout},
};
use protocol::{
    Code,
    failure::{OrFail, Result},
};
use std::{
    convert::Infallible,
    num::NonZero,
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
};

const MAX_CONNECTIONS: usize = 4096;
/// A machine fetches a few dozen files at once.
const OF_ONE_SOURCE: usize = 256;
/// A full house is told so often.
const TOLD: Duration = Duration::from_secs(60);
/// Between connecting, or the last response, and the end of the next request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A machine that was switched off in the middle of a download acknowledges nothing any more.
const SILENCE_MILLISECONDS: u32 = 60_000;

/// Serves the routes on every connection; connections end when this is dropped.
///
/// # Errors
/// `E-SYSTEM` where there can be no threads.
pub async fn run(listener: TcpListener, routes: Routes) -> Result<()> {
    raise_open_files();
    let (places, local) = (Places::new(MAX_CONNECTIONS, OF_ONE_SOURCE), Places::new(MAX_CONNECTIONS, MAX_CONNECTIONS));
    let mut told = None;
    let count = std::thread::available_parallelism().map_or(1, NonZero::get);
    let workers: Vec<Worker> = (0..count).map(|_| Worker::start(&routes)).collect::<Result<_>>()?;
    for worker in workers.iter().cycle() {
        let accepted = listener.accept().await;
        let (stream, peer) = match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("accepting an HTTP connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let room = if peer.ip().to_canonical().is_loopback() { &local } else { &places };
        match room.take(peer.ip()) {
            Ok(place) => worker.take(Accepted { stream, place }),
            Err(full) => {
                if told.is_none_or(|told: Instant| told.elapsed() > TOLD) {
                    told = Some(Instant::now());
                    tracing::warn!(%peer, ?full, taken = room.taken(), "an HTTP connection found no place");
                }
            }
        }
    }
    Ok(())
}

/// A connection and its place among the so many.
struct Accepted {
    stream: std::net::TcpStream,
    place: Place,
}

/// A thread with an event loop of its own. Connections stay with theirs: handing single requests between the threads of
/// one loop, as tokio's own does, costs a third of the processor where requests are small.
struct Worker(UnboundedSender<Accepted>);

impl Worker {
    fn start(routes: &Routes) -> Result<Self> {
        let (sender, mut accepted) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.or_fail(Code::System, || "starting an event loop for HTTP")?;
        let routes = routes.clone();
        let serve = move || {
            runtime.block_on(serve_accepted(&mut accepted, routes));
            runtime.shutdown_background();
        };
        let started = std::thread::Builder::new().name("http".to_owned()).spawn(serve);
        started.or_fail(Code::System, || "starting a thread for HTTP")?;
        Ok(Self(sender))
    }

    fn take(&self, accepted: Accepted) {
        if self.0.send(accepted).is_err() {
            tracing::error!("a thread for HTTP has ended");
        }
    }
}

/// Until the sender is dropped.
async fn serve_accepted(accepted: &mut UnboundedReceiver<Accepted>, routes: Routes) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            next = accepted.recv() => {
                let Some(Accepted { stream, place }) = next else { return };
                let routes = routes.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = connection(stream, routes) => {}
                        () = place.lost() => {}
                    }
                    drop(place);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: std::net::TcpStream, routes: Routes) {
    let peer = stream.peer_addr();
    let routes = peer.as_ref().map_or_else(|_| routes.clone(), |peer| routes.of(peer.ip()));
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(&stream, TcpUserTimeout, &SILENCE_MILLISECONDS);
    let served = async { requests(TcpStream::from_std(stream)?, routes).await };
    if let Err(error) = served.await {
        tracing::debug!(?peer, "HTTP connection: {error}");
    }
}

async fn requests(mut stream: TcpStream, routes: Routes) -> std::result::Result<(), BoxError> {
    let plain::End::Other(begun) = plain::serve(&mut stream, &routes, HEAD_TIMEOUT).await? else { return Ok(()) };
    let (read, write) = stream.into_split();
    let stream = tokio::io::join(std::io::Cursor::new(begun).chain(read), write);
    let answer = service_fn(|request: Request<Incoming>| async {
        Ok::<_, Infallible>(reply::streamed(routes.answer(request).await))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), answer)
        .await?;
    Ok(())
}

/// A thousand machines at once need more files than the usual soft limit of 1024.
fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!("raising the limit of open files: {error}");
    }
}
