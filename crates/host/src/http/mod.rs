//! The one HTTP client: to the boot-server with a pinned CA, to caches, to the cluster.

mod download;
pub mod pem;
mod pin;
mod proxy;
mod refused;
mod role;

pub use download::{Broken, download};
pub use proxy::Proxies;
pub use refused::refused_certificate;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full, Limited, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header,
};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::{OrFail, Result},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime},
    time_provider::TimeProvider,
};
use serde::Serialize;
use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// No JSON answer is larger than this.
const MAX_JSON: usize = 8 << 20;
/// Pieces of a body are at most this long.
const MAX_PIECE: usize = 128 << 10;
/// HTTP/2: what may come unread on one stream. At 20 ms to the server and back it gives 25 MB/s to each.
const STREAM_WINDOW: u32 = 512 << 10;
/// HTTP/2: what may come unread over one connection. It has room for the windows of all streams that a pull
/// keeps waiting, so that these never hold up the ones that are read.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// HTTP/2: a connection over which nothing comes for so long is asked whether it is there, and given up.
const PING_AFTER: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A JSON call that has not been answered by then is given up.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Whom the other side's certificate must lead to.
#[derive(Debug, Clone)]
pub enum Trust {
    /// A CA with one of these SubjectPublicKeyInfo hashes, presented in the chain.
    Pinned(Vec<Sha256>),
    /// As `Pinned`, whatever the time: for the call from which this machine learns the time, whose answer is signed and
    /// fresh in itself.
    PinnedAtAnyTime(Vec<Sha256>),
    /// For this host as `Pinned`; for others the CAs of this system as well.
    PinnedFor(String, Vec<Sha256>),
    /// One of these CA certificates.
    Roots(Vec<CertificateDer<'static>>),
    /// As `Roots`, and the other side is the boot-server: where the name is one that every machine has for itself, it must
    /// show the role.
    BootServer(Vec<CertificateDer<'static>>),
    /// The CAs of this system.
    System,
}

/// This side's certificate chain and key.
#[derive(Debug)]
pub struct Identity {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// What is sent: bytes that are there, or come as they are sent.
type Sent = UnsyncBoxBody<Bytes, io::Error>;

/// A client with a pool of connections; clones share it.
#[derive(Clone)]
pub struct Client {
    inner: HyperClient<HttpsConnector<proxy::Connector>, Sent>,
    proxies: Proxies,
}

/// The system's clock, but never before `floor`: a machine without a battery starts in 1970.
#[derive(Debug)]
struct FlooredClock {
    floor: SystemTime,
}

impl TimeProvider for FlooredClock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = SystemTime::now().max(self.floor);
        now.duration_since(SystemTime::UNIX_EPOCH).ok().map(UnixTime::since_unix_epoch)
    }
}

impl Client {
    /// A client that trusts `trust`, shows `identity` where asked, and takes no time before `floor` as now.
    ///
    /// # Errors
    /// `E-TLS` where the certificates or the key cannot be used.
    pub fn new(trust: &Trust, identity: Option<Identity>, floor: SystemTime) -> Result<Self> {
        Self::through(Proxies::default(), trust, identity, floor)
    }

    /// As [`Client::new`], through proxies.
    ///
    /// # Errors
    /// `E-TLS` where the certificates or the key cannot be used.
    pub fn through(proxies: Proxies, trust: &Trust, identity: Option<Identity>, floor: SystemTime) -> Result<Self> {
        let tls = tls_config(trust, identity, floor)?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_keepalive(Some(Duration::from_secs(30)));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(proxy::Connector::new(connector, proxies.clone()));
        let inner = HyperClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            // Bounds what one connection may hold; bodies come in pieces of at most this size.
            .http1_max_buf_size(MAX_PIECE)
            .timer(TokioTimer::new())
            .http2_max_frame_size(MAX_PIECE as u32)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PING_AFTER)
            .build(connector);
        Ok(Self { inner, proxies })
    }

    /// Sends a request and returns the answer's head with its body still to be read.
    ///
    /// # Errors
    /// `E-TLS` where the certificate was refused, else `E-SERVER-UNREACHABLE`.
    pub async fn send<B>(&self, request: Request<B>) -> Result<Response<Incoming>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let mut request = request.map(|body| body.map_err(io::Error::other).boxed_unsync());
        if let Some(value) = self.proxies.authorization(request.uri()) {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, value);
        }
        let activity = format!("{} {}", request.method(), request.uri());
        self.inner.request(request).await.map_err(|error| {
            let code = if refused_certificate(&error) { Code::Tls } else { Code::ServerUnreachable };
            let failure = Failure::from_error(code, activity, &error);
            match refused::remedy(&error) {
                Some(remedy) => failure.with_remedy(remedy),
                None => failure,
            }
        })
    }

    /// GET of a file: the answer of success with its body still to be read.
    ///
    /// # Errors
    /// Those of [`Client::send`]; the server's own failure; `E-PROTOCOL` for anything else.
    pub async fn fetch(&self, url: &str) -> Result<Response<Incoming>> {
        self.stream(Method::GET, url, None::<&()>).await
    }

    /// A call whose answer of success is still to be read.
    ///
    /// # Errors
    /// Those of [`Client::send`]; the server's own failure; `E-PROTOCOL` for anything else.
    pub async fn stream(
        &self,
        method: Method,
        url: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Response<Incoming>> {
        let activity = format!("{method} {url}");
        let request = request(None, method, url, body).map_err(|failure| failure.context(&activity))?;
        let exchange = async {
            let answer = self.send(request).await?;
            let status = answer.status();
            if status.is_success() {
                return Ok(answer);
            }
            let said = Limited::new(answer.into_body(), MAX_JSON).collect().await;
            Err(refusal(&activity, status, &said.map(Collected::to_bytes).unwrap_or_default()))
        };
        tokio::time::timeout(CALL_TIMEOUT, exchange).await.unwrap_or_else(|_| Err(no_answer(&activity)))
    }

    /// A call that takes and gives JSON, with a bearer token where there is one; what status and body mean is the caller's to
    /// judge.
    ///
    /// # Errors
    /// Those of [`Client::send`]; `E-PROTOCOL` for a body that is too large or breaks off.
    pub async fn call_raw_as(
        &self,
        token: Option<&str>,
        method: Method,
        url: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<(StatusCode, Bytes)> {
        let activity = format!("{method} {url}");
        let wrong = |text: String| Failure::new(Code::Protocol, format!("{activity}: {text}"));
        let request = request(token, method, url, body).map_err(|failure| failure.context(&activity))?;
        let exchange = async {
            let answer = self.send(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_JSON).collect().await;
            let body = body.map_err(|error| wrong(format!("reading the answer: {error}")))?;
            Ok((status, body.to_bytes()))
        };
        tokio::time::timeout(CALL_TIMEOUT, exchange).await.unwrap_or_else(|_| Err(no_answer(&activity)))
    }
}

/// A request that takes and gives JSON.
fn request(
    token: Option<&str>,
    method: Method,
    url: &str,
    body: Option<&(impl Serialize + Sync)>,
) -> Result<Request<Full<Bytes>>> {
    let mut request = Request::builder().method(method).uri(url).header(header::ACCEPT, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let bytes = match body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            serde_json::to_vec(body).or_fail(Code::Protocol, || "writing the body")?.into()
        }
        None => Bytes::new(),
    };
    request.body(Full::new(bytes)).or_fail(Code::Protocol, || "making the request")
}

/// The server's own failure, or one made of the status.
pub fn refusal(activity: &str, status: StatusCode, body: &[u8]) -> Failure {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let code = if status.is_server_error() { Code::ServerUnreachable } else { Code::Protocol };
        Failure::new(code, format!("{activity}: the answer was {status}"))
    })
}

fn no_answer(activity: &str) -> Failure {
    Failure::new(Code::ServerUnreachable, format!("{activity}: no answer within {} s", CALL_TIMEOUT.as_secs()))
}

/// The TLS settings of [`Client::new`], for a connection that is not HTTP.
///
/// # Errors
/// `E-TLS` where the certificates or the key cannot be used.
pub fn tls_config(trust: &Trust, identity: Option<Identity>, floor: SystemTime) -> Result<ClientConfig> {
    let unusable = |error: rustls::Error| Failure::new(Code::Tls, format!("setting up TLS: {error}"));
    let provider = Arc::new(default_provider());
    let builder = ClientConfig::builder_with_details(provider.clone(), Arc::new(FlooredClock { floor }))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match trust {
        Trust::Pinned(pins) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(pin::PinnedCa::new(pins.clone(), provider)))
        }
        Trust::PinnedAtAnyTime(pins) => {
            let verifier = pin::PinnedCa::new(pins.clone(), provider).at_any_time();
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        Trust::PinnedFor(host, pins) => {
            let verifier = pin::PinnedCa::new(pins.clone(), provider).except(host, system_roots());
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        Trust::Roots(certificates) => builder.with_root_certificates(store(certificates).map_err(unusable)?),
        Trust::BootServer(certificates) => {
            let verifier = role::OfTheBootServer::new(store(certificates).map_err(unusable)?, provider)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        Trust::System => builder.with_root_certificates(system_roots()),
    };
    match identity {
        Some(identity) => builder.with_client_auth_cert(identity.chain, identity.key).map_err(unusable),
        None => Ok(builder.with_no_client_auth()),
    }
}

/// A store of these roots.
///
/// # Errors
/// rustls' own, for what is no certificate that it can read.
pub fn store(certificates: &[CertificateDer<'static>]) -> std::result::Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    certificates.iter().try_for_each(|certificate| roots.add(certificate.clone()))?;
    Ok(roots)
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
