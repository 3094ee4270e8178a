//! The plain HTTP of the boot network: script, kernel, initrd, iPXE itself, the binary cache, health.
//!
//! Nothing secret passes here, and nothing that a client sends is trusted: labels go to the policy,
//! names go through a grammar.

pub mod body;
mod cache;
mod conditions;
mod head;
mod images;
mod listener;
mod plain;
mod reply;
mod script;

use crate::{
    base::{files, requests::Cost},
    cache::Cache,
    netboot::{
        context::Context,
        site::{Boots, Site},
    },
};
use axum::{
    BoxError, Json, Router,
    body::{Body, Bytes, HttpBody},
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, Request, StatusCode, header},
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use images::Images;
pub use images::indexes;
use protocol::{Code, Failure, encoding::Sha256, failure::Result, names::NodeName};
use reply::Refusal;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};
use tokio::{net::TcpListener, runtime::Handle, task::JoinError};

/// `[http]` of config.toml.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where; the boot port of the server's address where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}

/// What is served, from other sections of the configuration.
#[derive(Clone)]
pub struct Folders {
    /// `[ipxe] dir`.
    pub ipxe: PathBuf,
    /// `[images] dir`.
    pub images: PathBuf,
    /// `[images] default_profile`: serves the profiles without an image of their own.
    pub default_profile: NodeName,
    /// The Nix binary cache.
    pub cache: Arc<Cache>,
}

/// Serves on a socket that is bound already.
///
/// # Errors
/// None by itself; it ends when it is dropped.
pub async fn serve_on(listener: TcpListener, folders: Folders, context: Context) -> Result<()> {
    context.health.set("http", "running");
    listener::run(listener, Routes::new(folders, context)).await
}

/// What a machine fetches while it boots, for the HTTPS port: an iPXE that was built with a root fetches nothing else.
pub fn over_tls(folders: Folders, context: Context) -> Router {
    let site = Site { boots: Boots::OverTls, ..context.site };
    let shared = Arc::new(Shared::new(folders, Context { site, ..context }));
    boot_routes().layer(map_response(async |response: Response| reply::streamed(response))).with_state(shared)
}

fn boot_routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/boot/ipxe/boot.ipxe", get(boot_script))
        .route("/boot/ipxe/{file}", get(ipxe_file))
        .route("/boot/nixos/{profile}/{file}", get(image_file))
}

/// What requests mean, whichever way they come.
#[derive(Clone)]
struct Routes {
    shared: Arc<Shared>,
    router: TowerToHyperService<Router>,
    /// The event loop of the state and the policy.
    home: Handle,
    /// Who asks.
    source: IpAddr,
}

impl Routes {
    fn new(folders: Folders, context: Context) -> Self {
        let shared = Arc::new(Shared::new(folders, context));
        let router = boot_routes()
            .route("/cache/{*path}", get(cache_file).put(pushed_here))
            .route("/v1/closure/{hash}", get(closure))
            .route("/health", get(health))
            .fallback(nothing_here)
            .with_state(shared.clone());
        let (router, home) = (TowerToHyperService::new(router), Handle::current());
        Self { shared, router, home, source: IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
    }

    /// The same for one connection.
    fn of(&self, source: IpAddr) -> Self {
        Self { source, ..self.clone() }
    }

    /// The refusal where the source asks too much.
    fn too_much(&self) -> Option<Response> {
        let heard = self.shared.context.requests.hears(self.source, Cost::File, Instant::now());
        heard.err().map(|after| Refusal::busy(after).into_response())
    }

    /// The answer; a file is in it as a [`reply::FilePart`].
    async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        if let Some(refused) = self.too_much() {
            return refused;
        }
        let mut response = match self.home.spawn(self.router.call(request)).await {
            Ok(Ok(response)) => response,
            Err(error) => panicked(&error),
        };
        if response.status() == StatusCode::NOT_MODIFIED {
            // It would be the length of the file (RFC 9110 section 8.6), where axum puts that of this body.
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        response
    }

    /// As [`Routes::answer`], for a GET or HEAD, with a shorter way to what is asked for most.
    async fn answer_plain(&self, request: Request<Body>) -> Response {
        let path = request.uri().path();
        match path.strip_prefix("/cache/").filter(|member| !member.is_empty() && !member.contains('%')) {
            Some(_) if let Some(refused) = self.too_much() => refused,
            Some(member) => cache::serve(&self.shared.cache, request.headers(), member).await.into_response(),
            None => self.answer(request).await,
        }
    }
}

struct Shared {
    ipxe: PathBuf,
    cache: Arc<Cache>,
    images: Images,
    context: Context,
}

impl Shared {
    fn new(folders: Folders, context: Context) -> Self {
        let images = Images { folder: folders.images, default_profile: folders.default_profile };
        Self { ipxe: folders.ipxe, cache: folders.cache, images, context }
    }
}

async fn boot_script(
    State(shared): State<Arc<Shared>>,
    query: std::result::Result<Query<script::Query>, QueryRejection>,
) -> Response {
    // Whoever sends nonsense is asked who it is.
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let script = script::script(&query, &shared.images, &shared.context).await;
    ([(header::CONTENT_TYPE, "text/plain"), (header::CACHE_CONTROL, "no-store")], script).into_response()
}

async fn ipxe_file(State(shared): State<Arc<Shared>>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    match files::open_soon(&shared.ipxe, &[&file]).await {
        Ok((file, metadata)) => {
            reply::file(&headers, file, metadata.len(), &reply::tag_of(&metadata), "application/octet-stream")
        }
        Err(error) => Refusal::from_open("such iPXE file", &error).into_response(),
    }
}

async fn image_file(
    State(shared): State<Arc<Shared>>,
    Path((profile, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    on_disk(move || shared.images.serve(&headers, &profile, &file)).await
}

async fn cache_file(State(shared): State<Arc<Shared>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    cache::serve(&shared.cache, &headers, &path).await.into_response()
}

/// Nothing is taken in without TLS: an admin's token would go with it.
async fn pushed_here() -> Response {
    let failure = Failure::new(Code::Forbidden, "putting a file into the cache: this port only serves it")
        .with_remedy("push to the HTTPS port: nix copy --to https://SERVER:8443/cache PATH");
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], Json(failure)).into_response()
}

async fn closure(State(shared): State<Arc<Shared>>, Path(hash): Path<String>, headers: HeaderMap) -> Response {
    cache::closure(&shared.cache, &headers, &hash).await.into_response()
}

/// A file of the cache, for the HTTPS port, which serves the same. `path` is behind `/cache/`.
pub async fn serve_cache(cache: &Cache, headers: &HeaderMap, path: &str) -> Response {
    reply::streamed(cache::serve(cache, headers, path).await.into_response())
}

/// All narinfos of a closure, likewise.
pub async fn serve_closure(cache: &Cache, headers: &HeaderMap, hash: &str) -> Response {
    cache::closure(cache, headers, hash).await.into_response()
}

/// An artefact of a deployed image by its hash, for the HTTPS port.
pub async fn serve_artefact(images: PathBuf, headers: HeaderMap, hash: String) -> Response {
    reply::streamed(on_disk(move || images::artefact(&images, &headers, &hash)).await)
}

/// An open file that was found by its hash, for the HTTPS port.
pub fn serve_file(headers: &HeaderMap, file: File, size: u64, sha256: &Sha256) -> Response {
    reply::streamed(reply::file(headers, file, size, &format!("\"{sha256}\""), "application/octet-stream"))
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let report = shared.context.health.report();
    let status = if report.status == "healthy" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

async fn nothing_here() -> Refusal {
    Refusal::not_found(Failure::new(Code::NotFound, "there is nothing at this address"))
}

/// Opens files away from the event loop: a cold disk must not stop the other machines.
async fn on_disk(answer: impl FnOnce() -> std::result::Result<Response, Refusal> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refusal.into_response(),
        Err(error) => panicked(&error),
    }
}

fn panicked(error: &JoinError) -> Response {
    Refusal::internal(Failure::from_error(Code::Internal, "answering a request", error)).into_response()
}

/// Reads the head of a request as it is read from the network, for [`super::properties`].
#[cfg(any(test, fuzzing))]
pub(super) fn read(bytes: &[u8]) {
    if let head::Head::Plain(plain) = head::read(bytes) {
        assert!(plain.length <= bytes.len());
        script::read(plain.request.uri());
    }
}

/// The script for this query.
#[cfg(any(test, fuzzing))]
pub(super) fn read_query(query: &str) {
    if let Ok(uri) = format!("/boot/ipxe/boot.ipxe?{query}").parse() {
        script::read(&uri);
    }
}
