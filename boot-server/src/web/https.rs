//! The HTTPS leg: our own accept loop, so that a client's certificate reaches the routes, a handshake cannot take
//! for ever, and the server's leaf is renewed while it runs.

use super::{api, peer::Peer};
use crate::{base::clock, server::Services, trust::ca};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use protocol::{
    Code, Failure,
    calls::{self, Call},
    encoding::Sha256,
    failure::{OrFail, Result},
};
use rustls::{RootCertStore, ServerConfig, crypto::ring::default_provider, server::WebPkiClientVerifier};
use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECTIONS: usize = 4096;
const RENEWAL: Duration = Duration::from_secs(24 * 3600);
/// A connection whose key was revoked is cut off then.
const LAST_WORD: Duration = Duration::from_secs(2);
/// Streams have been told to end; who has not by then is cut off.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// Serves until the server stops.
///
/// # Errors
/// `E-TLS` where the server's certificate cannot be made.
pub async fn serve(services: Arc<Services>, listener: TcpListener) -> Result<()> {
    let tls = Arc::new(RwLock::new(Arc::new(tls_config(&services)?)));
    let routes = TowerToHyperService::new(api::router(services.clone()));
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = Arc::new(GracefulShutdown::new());
    let mut stopping = services.stop.listen();
    let mut renewal = tokio::time::interval_at(tokio::time::Instant::now() + RENEWAL, RENEWAL);
    services.health.set("https", "running");
    loop {
        let permit = tokio::select! {
            permit = connections.clone().acquire_owned() => permit.or_fail(Code::Internal, || "counting connections")?,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = renewal.tick() => { renew(&services, &tls); continue; }
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let acceptor = TlsAcceptor::from(tls.read().unwrap_or_else(PoisonError::into_inner).clone());
        let (routes, watcher) = (routes.clone(), graceful.watcher());
        let services = services.clone();
        tokio::spawn(async move {
            let _permit = permit;
            serve_connection(&services, acceptor, stream, address, routes, watcher).await;
        });
    }
    drop(listener);
    if let Some(graceful) = Arc::into_inner(graceful)
        && tokio::time::timeout(LAST_ANSWERS, graceful.shutdown()).await.is_err()
    {
        tracing::warn!("some HTTPS connections did not end by themselves");
    }
    Ok(())
}

type Routes = TowerToHyperService<axum::Router>;

async fn serve_connection(
    services: &Arc<Services>,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    routes: Routes,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "TLS handshake");
            return;
        }
        Err(_) => {
            tracing::debug!(%address, "the TLS handshake took too long");
            return;
        }
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = Peer { address, key: certificate.and_then(|leaf| ca::spki_of(leaf)) };
    let key = peer.key;
    let asked = services.clone();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        // The one report that may be repeated after it has revoked the key that it came with.
        let refused = request.uri().path() != calls::Wiped::PATH
            && peer.key.is_some_and(|key| asked.state.memory.revoked.holds(&key));
        let answer = (!refused).then(|| hyper::service::Service::call(&routes, request));
        async move {
            match answer {
                Some(answer) => answer.await,
                None => Ok(api::revoked()),
            }
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(64).keep_alive_interval(Duration::from_secs(30));
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    tokio::select! {
        ended = watcher.watch(connection) => {
            if let Err(error) = ended {
                tracing::debug!(%address, %error, "a connection broke off");
            }
        }
        () = revoked(services, key) => tracing::info!(%address, "closed the connection of a key that was revoked"),
    }
}

/// Ends some moments after the key was revoked: an answer that is under way gets out.
async fn revoked(services: &Services, key: Option<Sha256>) {
    services.state.memory.revoked.wait_for(key).await;
    tokio::time::sleep(LAST_WORD).await;
}

fn renew(services: &Services, current: &RwLock<Arc<ServerConfig>>) {
    match tls_config(services) {
        Ok(config) => *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config),
        Err(failure) => tracing::error!(%failure, "renewing the server's certificate"),
    }
}

fn tls_config(services: &Services) -> Result<ServerConfig> {
    let unusable = |error: &(dyn std::error::Error + 'static)| Failure::from_error(Code::Tls, "setting up TLS", error);
    let (chain, key) = services.ca.server_identity(&services.config.server_names(), clock::now())?;
    let mut roots = RootCertStore::empty();
    roots.add(services.ca.certificate().clone()).map_err(|error| unusable(&error))?;
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(&error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
