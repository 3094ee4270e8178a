//! Accepting connections, so many and for so long.

use super::{plain, reply};
use axum::{
    BoxError, Router,
    body::{Bytes, HttpBody},
    http::{Request, StatusCode, header},
    response::Response,
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    socket::{setsockopt, sockopt::TcpUserTimeout},
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

const MAX_CONNECTIONS: usize = 4096;
/// Between connecting, or the last response, and the end of the next request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A machine that was switched off in the middle of a download acknowledges nothing any more.
const SILENCE_MILLISECONDS: u32 = 60_000;

/// Serves the routes on every connection; connections end when this is dropped.
pub async fn run(listener: TcpListener, routes: Router) -> protocol::failure::Result<()> {
    let routes = Routes(TowerToHyperService::new(routes));
    raise_open_files();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return Ok(()) };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                let routes = routes.clone();
                connections.spawn(async move {
                    connection(stream, routes).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("accepting an HTTP connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// What the requests mean, whichever way they come.
#[derive(Clone)]
pub struct Routes(TowerToHyperService<Router>);

impl Routes {
    /// The answer; a file is in it as a [`reply::FilePart`].
    pub async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let Ok(mut response) = self.0.call(request).await;
        if response.status() == StatusCode::NOT_MODIFIED {
            // It would be the length of the file (RFC 9110 section 8.6), where axum puts that of this body.
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        response
    }
}

async fn connection(stream: TcpStream, routes: Routes) {
    let peer = stream.peer_addr();
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(&stream, TcpUserTimeout, &SILENCE_MILLISECONDS);
    if let Err(error) = requests(stream, routes).await {
        tracing::debug!(?peer, "HTTP connection: {error}");
    }
}

async fn requests(mut stream: TcpStream, routes: Routes) -> Result<(), BoxError> {
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
