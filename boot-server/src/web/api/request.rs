//! Who asks, and what: identities and bodies of requests.

use super::{
    MAX_BODY,
    answer::{Refused, later},
};
use crate::{
    base::places::source_of, domain::audit::Actor, fleet::intake::Teller, server::Services, state::tokens::Token,
    web::peer::Peer,
};
use axum::{
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Response},
};
use protocol::{
    Code, Failure,
    calls::{self, Call},
    encoding::Sha256,
    failure::Result,
    names::NodeName,
};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// A body that has not arrived by then is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The cookie of an admin on the page; `__Host-` ties it to this host and to HTTPS.
pub const COOKIE: &str = "__Host-centra";

/// What a call asks for: the query of a GET, the JSON body of any other; an error names the key by its path.
pub struct In<C: Call>(pub C::Request);

impl<C: Call> FromRequest<Arc<Services>> for In<C> {
    type Rejection = Refused;

    async fn from_request(request: Request, services: &Arc<Services>) -> Result<Self, Refused> {
        let wrong = |text: &str| Refused::from(Failure::new(Code::Input, format!("reading the request: {text}")));
        if C::METHOD == calls::Method::Get {
            let query = Query::try_from_uri(request.uri()).map_err(|rejection| wrong(&rejection.body_text()))?;
            return Ok(Self(query.0));
        }
        let read = async {
            let share = match request.extensions().get::<Peer>() {
                Some(peer) => {
                    let is_admin = request.extensions().get::<Admin>().is_some();
                    Some(peer.seat.share(peer.address, is_admin, length_of(request.headers())).await)
                }
                None => None,
            };
            (bytes::Bytes::from_request(request, services).await, share)
        };
        let (bytes, _share) =
            tokio::time::timeout(BODY_TIMEOUT, read).await.map_err(|_| wrong("its body did not arrive"))?;
        let bytes = bytes.map_err(|rejection| wrong(&rejection.body_text()))?;
        Ok(Self(protocol::parse::json("the request", &bytes)?))
    }
}

impl FromRequestParts<Arc<Services>> for Peer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Services>) -> Result<Self, Refused> {
        let missing = || Refused::from(Failure::new(Code::Internal, "reading the request: it has no peer"));
        parts.extensions.get::<Peer>().cloned().ok_or_else(missing)
    }
}

/// What [`super::authorise`] found out is with the request; a route that it did not guard has none of it.
macro_rules! from_authorisation {
    ($($who:ty),*) => {$(
        impl FromRequestParts<Arc<Services>> for $who {
            type Rejection = Refused;

            async fn from_request_parts(parts: &mut Parts, _: &Arc<Services>) -> Result<Self, Refused> {
                let unguarded = || Refused::from(Failure::new(Code::Internal, "reading the request: nobody asked who may"));
                parts.extensions.get::<Self>().cloned().ok_or_else(unguarded)
            }
        }
    )*};
}

from_authorisation!(Identity, Machine, Admin, Token);

/// A node by its certificate.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The node.
    pub name: NodeName,
    /// Its key.
    pub key: Sha256,
    /// From where.
    pub from: IpAddr,
}

/// A node by its certificate, or a machine that showed none.
#[derive(Debug, Clone)]
pub struct Machine(pub Option<Identity>);

/// An admin: by what, and from where.
#[derive(Debug, Clone)]
pub struct Admin(pub Actor);

/// A machine that may tell something now. Asked before what it tells is read, so that a flood costs no more than its heads.
pub struct Heard;

impl FromRequestParts<Arc<Services>> for Heard {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, services: &Arc<Services>) -> std::result::Result<Self, Response> {
        let machine = Machine::from_request_parts(parts, services).await.map_err(IntoResponse::into_response)?;
        let peer = Peer::from_request_parts(parts, services).await.map_err(IntoResponse::into_response)?;
        let teller = match machine.0 {
            Some(node) => Teller::Node(node.name),
            None => Teller::Stranger(source_of(peer.address)),
        };
        services
            .intake
            .hears(teller, length_of(&parts.headers) as u64)
            .map_err(|(failure, after)| later(&failure, after))?;
        Ok(Self)
    }
}

/// How long the body is at most.
fn length_of(headers: &HeaderMap) -> usize {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(MAX_BODY).min(MAX_BODY)
}

/// The name of a node in a path.
pub fn node_name(text: &str) -> Result<NodeName> {
    text.parse().map_err(|error| Failure::new(Code::NotFound, format!("looking for the node: {error}")))
}

/// The token of an `Authorization: Bearer` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// The value of our cookie.
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    cookie_named(headers, COOKIE)
}

/// The value of the cookie of this name. HTTP/2 may send each in a header of its own.
pub fn cookie_named<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let texts = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
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
        headers.append(header::COOKIE, format!("{COOKIE}=second").parse().unwrap());
        assert_eq!(cookie(&headers), Some("second"));
    }
}
