//! Who asks, and what: identities and bodies of requests.

use super::answer::Refused;
use crate::{
    https::Peer,
    server::{Server, now},
    state::nodes::Node,
};
use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, Method, header, request::Parts},
};
use protocol::{Code, Failure, admin::NodeState, encoding::Sha256, failure::Result, names::NodeName};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};

/// A body that has not arrived by then is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The cookie of an admin on the page; `__Host-` ties it to this host and to HTTPS.
pub const COOKIE: &str = "__Host-centra";

/// A JSON body; an error names the key by its path.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Server>> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, Refused> {
        let wrong = |text: &str| Refused(Failure::new(Code::Input, format!("reading the request: {text}")));
        let bytes = tokio::time::timeout(BODY_TIMEOUT, bytes::Bytes::from_request(request, server)).await;
        let bytes = bytes.map_err(|_| wrong("its body did not arrive"))?;
        let bytes = bytes.map_err(|rejection| wrong(&rejection.body_text()))?;
        Ok(Self(protocol::parse::json("the request", &bytes)?))
    }
}

impl FromRequestParts<Arc<Server>> for Peer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Server>) -> Result<Self, Refused> {
        let missing = || Refused(Failure::new(Code::Internal, "reading the request: it has no peer"));
        parts.extensions.get::<Peer>().cloned().ok_or_else(missing)
    }
}

/// A node by its certificate: looked up in the state at every request, so that a key that has lost its node can do
/// nothing more, however long its certificate lasts.
pub struct Identity {
    /// The node.
    pub name: NodeName,
    /// Its key.
    pub key: Sha256,
}

/// The node that has this key and has not been sent away.
async fn current(server: &Server, key: Option<Sha256>) -> Result<Identity> {
    let key = key.ok_or_else(|| Failure::new(Code::Forbidden, "reading the request: it needs a node's certificate"))?;
    let unknown = || Failure::new(Code::EnrolUnknown, "looking for the node of this certificate: it has none");
    let node: Node = server.state.node_by_key(&key).await?.ok_or_else(unknown)?;
    if matches!(node.record.state, NodeState::Revoked | NodeState::Retired | NodeState::Rejected) {
        let cause = format!("reading the request: node {} is {}", node.name, node.record.state);
        return Err(Failure::new(Code::Forbidden, cause));
    }
    Ok(Identity { name: node.name, key })
}

impl FromRequestParts<Arc<Server>> for Identity {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Refused> {
        let peer = Peer::from_request_parts(parts, server).await?;
        Ok(current(server, peer.key).await?)
    }
}

/// A node by its certificate, or nobody where none was shown.
pub struct MaybeIdentity(pub Option<Identity>);

impl FromRequestParts<Arc<Server>> for MaybeIdentity {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Refused> {
        let peer = Peer::from_request_parts(parts, server).await?;
        match peer.key {
            Some(key) => Ok(Self(Some(current(server, Some(key)).await?))),
            None => Ok(Self(None)),
        }
    }
}

/// An admin: a bearer token, or the page's cookie. A node's certificate is worth nothing here.
pub struct Admin(pub String);

impl FromRequestParts<Arc<Server>> for Admin {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Refused> {
        if let Some(token) = bearer(&parts.headers)
            && let Some(name) = server.state.token_name(token).await?
        {
            return Ok(Self(name));
        }
        if let Some(cookie) = cookie(&parts.headers)
            && server.admins.holds(cookie, now())
            && (parts.method == Method::GET || from_our_page(&parts.headers))
        {
            return Ok(Self("admin".to_owned()));
        }
        let failure = Failure::new(Code::Forbidden, "reading the request: it needs an admin's token")
            .with_remedy("pass --dir DIR of the init folder, or --token-file DIR/admin.token");
        Err(Refused(failure))
    }
}

/// The token of an `Authorization: Bearer` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// The value of our cookie.
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get(header::COOKIE)?.to_str().ok()?.split(';');
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// The cookie is SameSite=Strict already; a browser also says where a request comes from.
fn from_our_page(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("a=b; {COOKIE}=xyz; c").parse().unwrap());
        assert_eq!(cookie(&headers), Some("xyz"));
        headers.insert(header::COOKIE, "a=b".parse().unwrap());
        assert_eq!(cookie(&headers), None);
    }
}
