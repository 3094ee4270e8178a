//! The HTTPS leg: our own accept loop, so that a client's certificate reaches the routes, a handshake cannot take
//! for ever, and the server's leaf is renewed while it runs.

use super::{
    api,
    clients::Clients,
    forwarded::{is_proxy, source},
    listed::only_listed,
    page_certificate::{Page, Shown},
    peer::Peer,
    seat::{Asks, Rooms, Seat},
};
use crate::{
    base::{clock, requests::Cost},
    server::Services,
    trust::{ca, ipxe},
};
use axum::middleware::from_fn;
use host::certificate::Certificate;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
use protocol::{
    Code, Failure, Timestamp,
    calls::{self, Call},
    encoding::Sha256,
    failure::{OrFail, Result},
};
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
};
use tokio_rustls::TlsAcceptor;

const HEADER_TIMEOUT: Duration = Duration::from_secs(20);
/// How often the server's own certificate is looked at, by the wall clock: that one may be set.
const RENEWAL: Duration = Duration::from_secs(60);
/// A full room is told so often.
const TOLD: Duration = Duration::from_secs(60);
/// Who takes nothing of what was sent for so long has gone, or wants to hold its memory.
const SILENCE_MILLISECONDS: u32 = 60_000;
/// A connection has so many requests at once.
const STREAMS: u32 = 32;
/// What a connection may have sent that nobody has asked for yet, and what it may leave unread of each answer; a head of HTTP/1 is
/// no longer.
const WINDOW: u32 = 256 << 10;
const UNREAD: usize = 64 << 10;
/// A connection whose key was revoked is cut off then.
const LAST_WORD: Duration = Duration::from_secs(2);
/// Streams have been told to end; who has not by then is cut off.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// Serves until the server stops; `boot` is what machines fetch while they boot.
///
/// # Errors
/// `E-TLS` where the server's certificate cannot be made.
pub async fn serve(services: Arc<Services>, listener: TcpListener, boot: axum::Router) -> Result<()> {
    let ipxe = ipxe::mark(&services.config.dir);
    let mut made = Made { at: clock::now(), page: Page::load(&services.config)?.map(Arc::new), ipxe };
    made.page.iter().filter_map(|page| page.warning(made.at)).for_each(|text| tracing::warn!("{text}"));
    let tls = Arc::new(RwLock::new(Arc::new(tls_config(&services, &made)?)));
    let routes = TowerToHyperService::new(api::router(services.clone()).merge(boot).layer(from_fn(only_listed)));
    let rooms = Rooms::default();
    let mut told = None;
    let graceful = Arc::new(GracefulShutdown::new());
    let mut stopping = services.stop.listen();
    let mut renewal = tokio::time::interval_at(tokio::time::Instant::now() + RENEWAL, RENEWAL);
    let mut told_to_look = signal(SignalKind::hangup()).or_fail(Code::System, || "listening for signals")?;
    services.health.set("https", "running");
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = renewal.tick() => { renew(&services, &tls, &mut made); continue; }
            _ = told_to_look.recv() => { renew(&services, &tls, &mut made); continue; }
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
        let asks = match is_proxy(address.ip(), &services.config.https.trusted_proxies) {
            true => Asks::ForOthers,
            false => Asks::ForItself,
        };
        let seat = match Seat::take(&rooms, address.ip(), asks) {
            Ok(seat) => seat,
            Err(full) => {
                if told.is_none_or(|told: Instant| told.elapsed() > TOLD) {
                    told = Some(Instant::now());
                    tracing::warn!(%address, ?full, "an HTTPS connection found no place: {}", rooms.report());
                }
                continue;
            }
        };
        let acceptor = TlsAcceptor::from(tls.read().unwrap_or_else(PoisonError::into_inner).clone());
        let (routes, watcher) = (routes.clone(), graceful.watcher());
        let services = services.clone();
        tokio::spawn(async move {
            serve_connection(&services, acceptor, stream, Arrived { address, seat }, routes, watcher).await;
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

/// Who has connected, and the place that is his.
struct Arrived {
    address: SocketAddr,
    seat: Arc<Seat>,
}

async fn serve_connection(
    services: &Arc<Services>,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    Arrived { address, seat }: Arrived,
    routes: Routes,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(&stream, TcpUserTimeout, &SILENCE_MILLISECONDS);
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(seat.handshake(), acceptor.accept(stream)) => shaken,
        () = seat.lost() => return,
    };
    let stream = match shaken {
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
    let read = certificate.and_then(|leaf| Certificate::read(leaf).ok());
    let shown = read.as_ref().map(|leaf| leaf.spki);
    let admin = shown.filter(|key| services.state.memory.admins.holds(key));
    let peer = Peer {
        address: address.ip(),
        key: shown.filter(|_| admin.is_none()),
        admin,
        certificate_ends: read.as_ref().map(|leaf| leaf.until),
        seat: seat.clone(),
    };
    let key = peer.key;
    if admin.is_some() || key.is_some_and(|key| !services.state.memory.revoked.holds(&key)) {
        seat.is_known();
    }
    let asked = services.clone();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let from = source(address.ip(), request.headers(), &asked.config.https.trusted_proxies);
        request.extensions_mut().insert(Peer { address: from, ..peer.clone() });
        // The one report that may be repeated after it has revoked the key that it came with.
        let refused = request.uri().path() != calls::Wiped::PATH
            && peer.key.is_some_and(|key| asked.state.memory.revoked.holds(&key));
        // A handshake asks once, and a connection may last longer than the certificate that it began with.
        let ended = peer.certificate_ends.is_some_and(|ends| clock::now() > ends);
        let exchange = peer.seat.begin();
        // Calls are counted where it is known who may make them.
        let is_counted = !request.uri().path().starts_with("/v1/") && !peer.seat.is_of_known();
        let heard = if is_counted { asked.requests.hears(from, Cost::File, Instant::now()) } else { Ok(()) };
        let answer = (!refused && !ended && heard.is_ok()).then(|| hyper::service::Service::call(&routes, request));
        async move {
            let answer = match (answer, heard) {
                (Some(answer), _) => answer.await?,
                (None, _) if refused => api::revoked(),
                (None, Err(after)) => api::busy(after),
                (None, Ok(())) => api::ended(),
            };
            Ok::<_, std::convert::Infallible>(answer.map(|body| exchange.answered(body)))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(UNREAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_connection_window_size(WINDOW)
        .initial_stream_window_size(WINDOW)
        .max_send_buf_size(UNREAD)
        .keep_alive_interval(Duration::from_secs(30));
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    tokio::select! {
        ended = watcher.watch(connection) => {
            if let Err(error) = ended {
                tracing::debug!(%address, %error, "a connection broke off");
            }
        }
        () = seat.left_idle() => tracing::debug!(%address, "closed a connection that asked nothing"),
        () = revoked(services, key, admin) => tracing::info!(%address, "closed the connection of a key that was revoked"),
    }
}

/// Ends some moments after the key was revoked: an answer that is under way gets out.
async fn revoked(services: &Services, key: Option<Sha256>, admin: Option<Sha256>) {
    let memory = &services.state.memory;
    tokio::select! {
        () = memory.revoked.wait_for(key) => {}
        () = memory.admins.wait_for_end(admin) => {}
    }
    tokio::time::sleep(LAST_WORD).await;
}

/// Of what the certificates are that are shown.
struct Made {
    at: Timestamp,
    page: Option<Arc<Page>>,
    /// As [`ipxe::mark`].
    ipxe: Option<Sha256>,
}

fn renew(services: &Services, current: &RwLock<Arc<ServerConfig>>, made: &mut Made) {
    let now = clock::now();
    let page = Page::load(&services.config).unwrap_or_else(|failure| {
        tracing::error!(%failure, "reading the page's certificate again: the one before it goes on");
        None
    });
    let page = page.filter(|page| page.is_other(made.page.as_deref())).map(Arc::new);
    let another = services.ca.reload().unwrap_or_else(|failure| {
        tracing::error!(%failure, "reading the CA again: the one before it goes on");
        false
    });
    if let Err(failure) = services.signer.reload() {
        tracing::error!(%failure, "reading the manifest key again: the one before it goes on");
    }
    let ipxe = ipxe::mark(&services.config.dir);
    if !another && page.is_none() && ipxe == made.ipxe && !ca::server_renewal_is_due(made.at, now) {
        return;
    }
    let next = Made { at: now, page: page.or_else(|| made.page.clone()), ipxe };
    match tls_config(services, &next) {
        Ok(config) => {
            *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
            *made = next;
            tracing::info!("the server has a new certificate");
        }
        Err(failure) => tracing::error!(%failure, "renewing the server's certificate"),
    }
}

fn tls_config(services: &Services, made: &Made) -> Result<ServerConfig> {
    let unusable = |error: &(dyn std::error::Error + 'static)| Failure::from_error(Code::Tls, "setting up TLS", error);
    let (chain, key) = services.ca.authority().server_identity(&services.config.server_names(), made.at)?;
    let roots = host::http::store(&services.ca.roots()).map_err(|error| unusable(&error))?;
    let provider = Arc::new(default_provider());
    let own = CertifiedKey::from_der(chain, key, &provider).map_err(|error| unusable(&error))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(&error))?;
    let rsa = ipxe::identity(&services.config.dir, &services.config.server_names(), made.at)?;
    let rsa = rsa.map(|(chain, key)| CertifiedKey::from_der(chain, key, &provider)).transpose();
    let rsa = rsa.map_err(|error| unusable(&error))?.map(Arc::new);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_client_cert_verifier(Arc::new(Clients { ours: verifier, memory: services.state.memory.clone() }))
        .with_cert_resolver(Arc::new(Shown { own: Arc::new(own), page: made.page.clone(), rsa }));
    // A session that is taken up again would bring its certificate without a look at its dates.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
