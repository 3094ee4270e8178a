//! Calls to members of a cluster: mTLS, bounded in time and size, with failures that speak of the cluster.

use bytes::Bytes;
use host::{
    http::{Client, Identity, Trust, refused_certificate, tls_config},
    retry::Attempt,
};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use protocol::{Code, Failure, cluster_address::Peer, failure::Result};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName},
};
use serde::Serialize;
use std::{
    io::ErrorKind,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::client::TlsStream;

/// No message of gRPC that is asked for here is larger.
const MAX_MESSAGE: usize = 64 << 10;

/// A client for the members of the cluster.
#[derive(Clone)]
pub struct PeerClient {
    http: Client,
    tls: Arc<ClientConfig>,
    limit: Duration,
    remedies: Remedies,
}

/// What to do about a member that cannot be spoken to, as it looks from where the call is made.
#[derive(Debug, Clone, Copy)]
pub struct Remedies {
    /// What it is that nobody answers.
    pub code: Code,
    /// Nobody answers.
    pub unreachable: &'static str,
    /// One side refused the other's certificate.
    pub refused: &'static str,
}

impl PeerClient {
    /// A client that trusts these CAs, shows the certificate and gives each call `limit`.
    ///
    /// # Errors
    /// `E-TLS` where the certificates cannot be used.
    pub fn new(
        roots: Vec<CertificateDer<'static>>,
        identity: &Identity,
        limit: Duration,
        remedies: Remedies,
    ) -> Result<Self> {
        let trust = Trust::Roots(roots);
        let identity = || Some(identity.clone());
        let http = Client::new(&trust, identity(), SystemTime::UNIX_EPOCH)?;
        let tls = Arc::new(tls_config(&trust, identity(), SystemTime::UNIX_EPOCH)?);
        Ok(Self { http, tls, limit, remedies })
    }

    /// The same client, for calls that fail otherwise.
    #[must_use]
    pub fn with(&self, remedies: Remedies) -> Self {
        Self { remedies, ..self.clone() }
    }

    /// The same client, for calls that may take longer.
    #[must_use]
    pub fn patient(&self, limit: Duration) -> Self {
        Self { limit, ..self.clone() }
    }

    /// A call of gRPC with one message in its frame; the frame of the answer, empty where it was refused.
    ///
    /// # Errors
    /// As [`PeerClient::call`].
    pub async fn grpc(&self, url: &str, frame: &[u8]) -> Result<Bytes> {
        let activity = format!("POST {url}");
        let unusable = |error: hyper::http::Error| Failure::from_error(Code::Internal, &activity, &error);
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(Full::new(Bytes::copy_from_slice(frame)))
            .map_err(unusable)?;
        let exchange = async {
            let answer = self.http.send(request).await?;
            let is_grpc = answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/grpc");
            if !answer.status().is_success() || !is_grpc {
                return Ok(Bytes::new());
            }
            let body = Limited::new(answer.into_body(), MAX_MESSAGE).collect().await;
            body.map(Collected::to_bytes)
                .map_err(|error| Failure::new(Code::Protocol, format!("{activity}: reading the answer: {error}")))
        };
        self.within_limit(&activity, exchange).await
    }

    /// One call; the answer's status is the caller's to judge.
    ///
    /// # Errors
    /// `E-TLS` where one side refused the other's certificate, else `E-CLUSTER-UNREACHABLE`.
    pub async fn call(
        &self,
        method: Method,
        url: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<(StatusCode, Bytes)> {
        self.call_as(None, method, url, body).await
    }

    /// As [`PeerClient::call`], with a bearer token.
    ///
    /// # Errors
    /// As [`PeerClient::call`].
    pub async fn call_as(
        &self,
        token: Option<&str>,
        method: Method,
        url: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<(StatusCode, Bytes)> {
        let activity = format!("{method} {url}");
        let call = self.http.call_raw_as(token, method, url, body);
        self.within_limit(&activity, call).await
    }

    /// A POST whose answer of success is a stream, which the caller bounds.
    ///
    /// # Errors
    /// As [`PeerClient::call`]; `E-CLUSTER-UNREACHABLE` where the member refuses.
    pub async fn stream(&self, url: &str, body: &(impl Serialize + Sync)) -> Result<Response<Incoming>> {
        self.within_limit(&format!("POST {url}"), self.http.stream(Method::POST, url, Some(body))).await
    }

    async fn within_limit<T>(&self, activity: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let unreachable = |cause| Failure::new(self.remedies.code, cause).with_remedy(self.remedies.unreachable);
        match timeout(self.limit, call).await {
            Ok(answer) => answer.map_err(|failure| match failure.code {
                Code::Tls => self.tls_refused(failure.cause),
                _ => unreachable(failure.cause),
            }),
            Err(_) => Err(unreachable(format!("{activity}: no answer within {} ms", self.limit.as_millis()))),
        }
    }

    fn tls_refused(&self, cause: String) -> Failure {
        Failure::new(Code::Tls, cause).with_remedy(self.remedies.refused)
    }

    /// A GET.
    ///
    /// # Errors
    /// As [`PeerClient::call`].
    pub async fn get(&self, url: &str) -> Result<(StatusCode, Bytes)> {
        self.call(Method::GET, url, None::<&()>).await
    }

    /// Whether a member can be reached; name, port and TLS fail apart, each with its own remedy.
    ///
    /// # Errors
    /// `E-CLUSTER-UNREACHABLE` or `E-TLS`.
    pub async fn reach(&self, peer: &Peer) -> Result<()> {
        let unreachable =
            |cause: String, remedy: String| Err(Failure::new(Code::ClusterUnreachable, cause).with_remedy(remedy));
        let addresses = match lookup_host((peer.host.as_str(), peer.port)).await {
            Ok(addresses) => addresses.collect::<Vec<_>>(),
            Err(error) => {
                let remedy = format!("make the name {} resolvable on this node (DNS, /etc/hosts)", peer.host);
                return unreachable(format!("resolving {}: {error}", peer.host), remedy);
            }
        };
        let stream = match timeout(self.limit, TcpStream::connect(&*addresses)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let remedy = format!("check that the leader runs and listens on port {}", peer.port);
                return unreachable(format!("connecting to {peer}: {error}"), remedy);
            }
            Err(_) => {
                let remedy = format!("check routes and firewalls between this node and {peer}");
                return unreachable(format!("connecting to {peer}: no answer"), remedy);
            }
        };
        let name = ServerName::try_from(peer.host.clone())
            .map_err(|error| self.tls_refused(format!("TLS to {peer}: {error}")))?;
        let exchange = async {
            let connector = tokio_rustls::TlsConnector::from(self.tls.clone());
            hear(connector.connect(name, stream).await?, peer).await
        };
        match timeout(self.limit, exchange).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if refused_certificate(&error) => Err(self.tls_refused(format!("TLS to {peer}: {error}"))),
            Ok(Err(error)) => {
                let remedy = format!("check that what listens on {peer} is the cluster's service and speaks TLS");
                unreachable(format!("TLS to {peer}: {error}"), remedy)
            }
            Err(_) => {
                let remedy = format!("check that what listens on {peer} speaks TLS and is not overloaded");
                unreachable(format!("TLS to {peer}: no answer"), remedy)
            }
        }
    }
}

/// Asks for something and waits for the first byte: with TLS 1.3 a server refuses the client's certificate only
/// after the handshake, and the HTTP client may see no more of it than a closed connection.
async fn hear(mut stream: TlsStream<TcpStream>, peer: &Peer) -> std::io::Result<()> {
    let request = format!("GET /health HTTP/1.1\r\nhost: {peer}\r\nconnection: close\r\n\r\n");
    // Where this fails, the reason is still to be read.
    drop(stream.write_all(request.as_bytes()).await);
    drop(stream.flush().await);
    match stream.read(&mut [0]).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// The failure of a member whose answer is none of its service's.
pub fn babbled(failure: Failure) -> Failure {
    Failure { code: Code::Protocol, ..failure }
        .with_remedy("check that what listens there is the service that is asked for, in a release that is supported")
}

/// Whether a failed call is worth another: certificates do not mend themselves, everything else may.
pub fn call_failed<T>(failure: Failure) -> Attempt<T> {
    if failure.code == Code::Tls { Attempt::Never(failure) } else { Attempt::Again(failure) }
}

/// Whether a status may turn into success by itself.
pub fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::TOO_MANY_REQUESTS
}

/// The beginning of a body that may be anything.
pub fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(200)]).escape_debug().collect()
}
