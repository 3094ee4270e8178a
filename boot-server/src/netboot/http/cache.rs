//! `/cache/...` and `/v1/closure/HASH`: the Nix binary cache, on both ports.

use super::reply::{self, Refusal};
use crate::{
    base::files,
    cache::{Cache, Info, Member, is_hash},
};
use axum::{http::HeaderMap, response::Response};
use protocol::{Code, Failure, encoding::Sha256};

/// Answers a request for a file of the cache; `path` is behind `/cache/`.
///
/// # Errors
/// 404 for whatever is no member of a cache.
pub async fn serve(cache: &Cache, request: &HeaderMap, path: &str) -> Result<Response, Refusal> {
    let absent = || Refusal::from_open("such file", &std::io::ErrorKind::NotFound.into());
    let member = Member::parse(path).ok_or_else(absent)?;
    if member == Member::Info {
        let Info(text) = cache.info().await.map_err(Refusal::internal)?;
        let etag = format!("\"{}\"", Sha256::of(text.as_bytes()));
        return Ok(reply::bytes(request, &text.into(), &etag, member.kind()));
    }
    let (file, metadata) = files::open_soon(cache.folder().path(), &member.names())
        .await
        .map_err(|error| Refusal::from_open(path, &error))?;
    Ok(reply::file(request, file, metadata.len(), &reply::tag_of(&metadata), member.kind()))
}

/// Answers with all narinfos of a closure.
///
/// # Errors
/// 404 where the cache does not have the whole closure.
pub async fn closure(cache: &Cache, request: &HeaderMap, hash: &str) -> Result<Response, Refusal> {
    if !is_hash(hash) {
        let cause = "looking for a closure: its name is the 32 characters of a store path's hash";
        return Err(Refusal::not_found(Failure::new(Code::NotFound, cause)));
    }
    let index = cache.index(hash).await.map_err(|failure| match failure.code {
        Code::ClosureMissing | Code::ClosureCorrupt => Refusal::not_found(failure),
        _ => Refusal::internal(failure),
    })?;
    Ok(reply::bytes(request, &index.text, &index.etag, "text/x-nix-narinfo"))
}
