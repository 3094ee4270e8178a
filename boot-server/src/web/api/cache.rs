//! `/cache/...` and `/v1/closure/HASH` on the HTTPS port: read by everybody as on the plain one, written by admins.

use super::{answer::failed, authorise, request::Admin};
use crate::{cache::Member, domain::audit::Actor, netboot::http, server::Services};
use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{Path, State},
    http::{Extensions, HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
    routing::get,
};
use http_body_util::BodyExt;
use protocol::{Code, Failure};
use std::{sync::Arc, time::Duration};

/// What is left of an upload that is answered early is read away, for so long and so far.
const REST: Duration = Duration::from_secs(30);
const MAX_REST: usize = 64 << 20;

/// The cache's routes.
pub fn router() -> Router<Arc<Services>> {
    Router::new().route("/cache/{*path}", get(read).put(put)).route("/v1/closure/{hash}", get(closure))
}

async fn read(State(services): State<Arc<Services>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    http::serve_cache(&services.cache, &headers, &path).await
}

async fn closure(State(services): State<Arc<Services>>, Path(hash): Path<String>, headers: HeaderMap) -> Response {
    http::serve_closure(&services.cache, &headers, &hash).await
}

async fn put(
    State(services): State<Arc<Services>>,
    Path(path): Path<String>,
    extensions: Extensions,
    headers: HeaderMap,
    mut body: Body,
) -> Result<StatusCode, Response> {
    let done = match authorise::pusher(&services, &headers, &extensions).await {
        Ok(Some(Admin(actor))) => take(&services, &actor, &path, &mut body).await,
        Ok(None) => Err(unauthorised()),
        Err(failure) => Err(failed(&failure)),
    };
    // To curl an answer that comes before the end of the upload is a broken stream of HTTP/2.
    let _ = tokio::time::timeout(REST, discard(body)).await;
    done
}

async fn discard(mut body: Body) {
    let mut seen = 0;
    while let Some(Ok(frame)) = body.frame().await
        && seen < MAX_REST
    {
        seen += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
}

/// 201 where the file is new, 200 where it was here already.
async fn take(services: &Services, actor: &Actor, path: &str, body: &mut Body) -> Result<StatusCode, Response> {
    let refused = |failure: Failure| {
        tracing::warn!(%failure, actor = actor.name, "a push is refused");
        failed(&failure)
    };
    match Member::parse(path) {
        Some(Member::Nar(name)) => {
            let new = services.cache.put_nar(name, body.size_hint().exact(), body).await.map_err(refused)?;
            Ok(if new { StatusCode::CREATED } else { StatusCode::OK })
        }
        Some(Member::NarInfo(name)) => {
            let info = services.cache.put_narinfo(name.trim_end_matches(".narinfo"), body).await.map_err(refused)?;
            tracing::info!(actor = actor.name, path = %info.path, "pushed");
            services.pushes.note(actor, &info.path).await;
            Ok(StatusCode::CREATED)
        }
        // Listings, logs, realisations, debug information: to take them and drop them would be a lie.
        Some(Member::Info) | None => Err(not_kept(path)),
    }
}

fn not_kept(path: &str) -> Response {
    let cause = "putting a file into the cache: it keeps NARs and narinfos, nothing else";
    let failure = Failure::new(Code::Input, cause).with_remedy(instead(path));
    let mut response = failed(&failure);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// What to do in place of putting this.
fn instead(path: &str) -> &'static str {
    match path.split_once('/') {
        Some(("log", _)) => "leave the build logs where they are: nodes need none",
        Some(("realisations", _)) => {
            "nothing: the store paths are in the cache already, and nodes need no realisations; to have the push end well, \
             push the output paths in place of the derivation"
        }
        Some(("debuginfo", _)) => "push without index-debug-info in the cache's URL",
        None if path.ends_with(".ls") => "push without write-nar-listing in the cache's URL",
        _ => "let Nix push: nix copy --to https://SERVER:8443/cache PATH",
    }
}

fn unauthorised() -> Response {
    let failure = Failure::new(Code::Forbidden, "putting a file into the cache: it needs an admin's token")
        .with_remedy("Nix: netrc-file with a line: machine HOST login admin password TOKEN");
    let mut response = failed(&failure);
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    let challenge = HeaderValue::from_static("Basic realm=\"cache\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}
